"""Tests of the examples in README.md and docs/policy.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cookie_consent import Policy, PolicyError
from cookie_consent.cli.init import starter
from cookie_consent.cli.main import FINDING, GOOD, main
from tests.support.documentation import answer, blocks, commands, run, visit
from tests.support.policies import KEY

(POLICY,) = blocks("docs/policy.md", "toml")
WRONG_POLICY, STORED, CHANGED_POLICY = blocks("docs/policy.md", "text")
(ONE_LINE,) = blocks("README.md", "python")
(SMALL_POLICY,) = blocks("README.md", "toml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the policy file of docs/policy.md in it, and the key in the environment."""
    (tmp_path / "consent.toml").write_text(POLICY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    return tmp_path


@pytest.mark.parametrize("policy", [SMALL_POLICY, POLICY, starter(["en"])], ids=["small", "whole", "init"])
def test_one_line_example_asks_holds_back_and_allows(folder: Path, policy: str) -> None:
    (folder / "consent.toml").write_text(policy, encoding="utf-8")
    app = run(ONE_LINE)["app"]
    steps = [
        ("GET", "/", {}),
        answer("accept_all"),
        ("GET", "/", {}),
        answer("refuse_all"),
        ("GET", "/", {}),
    ]
    first, _, allowed, refusal, refused = visit(app, *steps, **{"sec-fetch-site": "same-origin"})
    assert "refuse_all" in first.text
    assert "set-cookie" not in first.headers
    assert "_ga=1" in allowed.headers["set-cookie"]
    assert "_ga=; Max-Age=0" in refusal.headers["set-cookie"]
    assert "refuse_all" not in refused.text
    assert "set-cookie" not in refused.headers


def test_policy_of_the_readme_is_a_part_of_the_one_that_init_writes() -> None:
    (install,) = blocks("README.md", "console")
    (init,) = (command for command in commands(install) if command[:2] == ["cookie-consent", "init"])
    assert main([*init[1:], "written.toml"]) == GOOD
    written, shown = tomllib.loads(Path("written.toml").read_text("utf-8")), tomllib.loads(SMALL_POLICY)
    assert shown["site"].pop("updated") <= written["site"]["updated"]
    assert shown["site"].items() <= written["site"].items()
    for purpose, declared in shown["purposes"].items():
        assert declared.items() <= written["purposes"][purpose].items()
    for table in ("cookies", "recipients"):
        assert [item for item in shown[table] if item not in written[table]] == []


def test_policy_example_loads_and_explains_errors(folder: Path) -> None:
    path = folder / "consent.toml"
    assert Policy.load(path).optional == ("visits", "analytics", "media")
    wrong = path.read_text(encoding="utf-8").replace("traces = true", "traced = true")
    path.write_text(wrong.replace('purpose = "necessary"', 'purpose = "nescessary"'), encoding="utf-8")
    with pytest.raises(PolicyError) as error:
        Policy.load("consent.toml")
    assert str(error.value) == WRONG_POLICY.strip()


def test_example_of_what_scripts_keep_in_the_browser_loads(folder: Path) -> None:
    (folder / "consent.toml").write_text(f"{POLICY}\n{STORED}", encoding="utf-8")
    assert Policy.load("consent.toml").stored == {"analytics": r"seen\-.*"}


def test_check_command_lists_changes_since_earlier_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = (folder / "consent.toml").read_text(encoding="utf-8")
    earlier = re.sub(r"^\[\[(recipients|changes)\]\].*\n(.+\n)+", "", now, flags=re.MULTILINE)
    earlier = earlier.replace('retention = "395 days"', 'retention = "730 days"')
    (folder / "consent.2025.toml").write_text(earlier, encoding="utf-8")
    assert main(["check", "--against", "consent.2025.toml"]) == FINDING
    assert capsys.readouterr().out.endswith(f"\n\n{CHANGED_POLICY}")


def test_stable_script_address_leads_to_script() -> None:
    app = run(ONE_LINE)["app"]
    (lead,) = visit(app, ("GET", "/privacy-choices/choices.js", {}))
    path = re.search('"[.](/assets/.*)"', lead.text)
    assert path
    (script,) = visit(app, ("GET", f"/privacy-choices{path[1]}", {}))
    assert "window" in script.text
