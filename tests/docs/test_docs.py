"""Tests of the documentation as a whole: its links and commands, and of docs/policy.md and docs/proof.md."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from cookie_consent import Policy, PolicyError
from cookie_consent.cli.main import FINDING, GOOD, main
from cookie_consent.ledgers import open_ledger
from cookie_consent.policy.parts import RecordRules, RequestRules
from cookie_consent.policy.reader import read_goals
from tests.support.asgi import Visitor, install
from tests.support.browsers.browser import forms
from tests.support.documentation import ROOT, blocks, commands, run
from tests.support.policies import KEY, policy_of

DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in DOCUMENTS), *sorted((ROOT / "docs").rglob("*.md"))]
WHO = {"name": "Site", "controller": "Site Ltd.", "contact": "privacy@site.example", "prevailing_language": "en"}
WRITTEN = (("docs/banner.md", 0), ("docs/banner.md", 1), ("docs/laws.md", 0), ("docs/subdomains.md", 0))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page; "" is the page itself."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {"", *(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)}


def leads_nowhere(page: Path, link: str) -> bool:
    """Return whether a link leads to a file or a heading of this project that is not there."""
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    return not target.exists() or (bool(anchor) and anchor not in anchors(target))


def test_links_lead_to_files_and_headings() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))]
    assert [(page.name, link) for page, link in links if ":" not in link and leads_nowhere(page, link)] == []


def policy_in(languages: list[str], **tables: Any) -> Policy:
    return policy_of({"site": {**WHO, "languages": languages, "prevailing_language": languages[0]}, **tables})


@pytest.mark.parametrize(("page", "number"), WRITTEN)
def test_policy_of_a_page_loads(page: str, number: int) -> None:
    tables = tomllib.loads(blocks(page, "toml")[number])
    languages = tables.get("site", {}).get("languages", ["en"])
    site = {**WHO, "languages": languages, "prevailing_language": languages[0], **tables.pop("site", {})}
    assert list(policy_of({"site": site, **tables}).texts) == languages


def test_documented_retention_is_the_default() -> None:
    rules = {name: table for block in blocks("docs/proof.md", "toml") for name, table in tomllib.loads(block).items()}
    assert rules.keys() == {"records", "requests"}
    policy = policy_in(["en"], **rules)
    assert (policy.records, policy.requests) == (RecordRules(), RequestRules())


@pytest.fixture
def policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The policy file of docs/policy.md, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "consent.toml").write_text(blocks("docs/policy.md", "toml")[0], encoding="utf-8")
    return tmp_path / "consent.toml"


def test_errors_of_a_policy_are_told_as_on_the_page(policy_file: Path) -> None:
    wrong = policy_file.read_text(encoding="utf-8").replace("traces = true", "traced = true")
    policy_file.write_text(wrong.replace('purpose = "necessary"', 'purpose = "nescessary"'), encoding="utf-8")
    with pytest.raises(PolicyError) as error:
        Policy.load("consent.toml")
    assert str(error.value) == blocks("docs/policy.md", "text")[0].strip()


def test_what_scripts_keep_in_the_browser_is_declared_as_on_the_page(policy_file: Path) -> None:
    with policy_file.open("a", encoding="utf-8") as file:
        file.write(blocks("docs/policy.md", "text")[1])
    assert Policy.load("consent.toml").stored == {"analytics": r"seen\-.*"}


def test_changes_since_an_earlier_policy_are_told_as_on_the_page(
    policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = policy_file.read_text(encoding="utf-8")
    earlier = re.sub(r"^\[\[(recipients|changes)\]\].*\n(.+\n)+", "", now, flags=re.MULTILINE)
    earlier = earlier.replace('retention = "395 days"', 'retention = "730 days"')
    policy_file.with_name("consent.2025.toml").write_text(earlier, encoding="utf-8")
    assert main(["check", "--against", "consent.2025.toml"]) == FINDING
    assert capsys.readouterr().out.endswith(f"\n\n{blocks('docs/policy.md', 'text')[2]}")


@pytest.mark.slow
def test_documented_commands_show_the_words_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "access.jsonl").touch()
    visitor = Visitor(install(ledger="sqlite:///consent.db"))
    question = forms(visitor.get("/privacy-choices/question").text)[0]
    visitor.send_form(question.pressed("accept_all"))
    lines = [line for block in blocks("docs/proof.md", "console") for line in block.splitlines()]
    statuses: dict[str, int] = {}
    for line in lines:
        here = line.replace("postgresql://user:password@host/database", "sqlite:///moved.db")
        command = shlex.split(here.removeprefix("$ "), comments=True)
        if command[0] == "cookie-consent":
            statuses[line] = main(command[1 : command.index(">") if ">" in command else None])
        else:
            monkeypatch.setenv(*command[1].split("=", 1))
    # The request that the example names does not exist here.
    assert {line for line, status in statuses.items() if status != GOOD} == {line for line in lines if "R-7K3M" in line}
    capsys.readouterr()
    (record,) = (json.loads(link.document or "") for link in open_ledger("sqlite:///consent.db").links())
    (example,) = map(json.loads, blocks("docs/proof.md", "json"))
    assert example.keys() == record.keys()
    code, desk = blocks("docs/proof.md", "python")
    run(code.replace("GpMbWmCSTml0oWEWKeThWQ", record["consent_id"]))
    assert "Refuse all" in capsys.readouterr().out
    run(desk, app=Starlette(), POLICY=policy_in(["en"]), KEYS=KEY, LEDGER=None)


def test_documented_goals_are_those_that_the_page_explains() -> None:
    goals, funnels = read_goals(tomllib.loads(blocks("docs/goals.md", "toml")[0]))
    assert [goal.step for goal in goals] == ["/names/order", "event:download"]
    assert funnels[0].steps == ("/names*", "/names/check", "goal:order")


def commands_of(*pages: str) -> list[list[str]]:
    """Return the commands of pages that a terminal shows."""
    shown = [block for page in pages for kind in ("console", "sh") for block in blocks(page, kind)]
    return [command for block in shown for command in commands(block)]


def test_our_commands_take_the_documented_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands_of("README.md", "docs/policy.md", "docs/goals.md", "docs/large-sites.md")
    ours = [arguments for program, *arguments in shown if program == "cookie-consent"]
    assert len(ours) > 5
    for arguments in ours:
        with pytest.raises(SystemExit, match="0"):
            main([*arguments, "--help"])


def test_commands_for_a_checkout_name_what_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for command in commands_of("docs/performance.md", "docs/mutation.md", "CONTRIBUTING.md"):
        program, *arguments = [part for part in command if not re.fullmatch(r"[A-Z_]+=\S*", part)]
        if program == "make":
            assert arguments[0] in targets
        elif program.endswith("python"):
            assert arguments[0] == "-m"
            assert importlib.util.find_spec(arguments[1])
        else:
            assert shutil.which(Path(program).name, path=ROOT / ".venv" / "bin")
        assert [name for name in arguments if name.startswith("tests/") and not (ROOT / name).exists()] == []
