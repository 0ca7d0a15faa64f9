"""Tests of what the audit prints and writes, of its targets, and of the checks for a site's own tests."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from cookie_consent.cli import FINDING, GOOD, WRONG_USAGE, main
from cookie_consent.policy.policy import Policy
from tests.audit import planted
from tests.support.servers.threads import served

pytestmark = pytest.mark.slow
REGISTRY = Path(__file__).parents[2] / "examples" / "registry"
PLANTED = "tests.audit.planted:app"


def test_example_site_has_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "examples.registry.app:app"]) == GOOD
    assert "examples.registry.app:app: 0 findings." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "line", "broken", "rule"),
    [
        (
            "app.py",
            'return templates.TemplateResponse(request, "home.html")',
            'response = templates.TemplateResponse(request, "home.html")\n    response.set_cookie("ab", "1")\n'
            "    return response",
            "undeclared-cookie",
        ),
        (
            "templates/home.html",
            "{% block main %}",
            '{% block main %}<img src="https://pixel.example/p.gif">',
            "undeclared-host",
        ),
    ],
)
def test_one_broken_line_is_the_only_finding(
    file: str,
    line: str,
    broken: str,
    rule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"registry_{rule.replace('-', '_')}"
    shutil.copytree(REGISTRY, tmp_path / name)
    path = tmp_path / name / file
    text = path.read_text(encoding="utf-8")
    assert line in text
    path.write_text(text.replace(line, broken, 1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["audit", f"{name}.app:app", "--json"]) == FINDING
    found = [it for it in json.loads(capsys.readouterr().out)["findings"] if it["rule"] != "never-seen"]
    assert [it["rule"] for it in found] == [rule]
    if file == "app.py":
        number = text[: text.index(line)].count("\n") + 2
        assert found[0]["places"][0]["source"] == f"{name}/app.py:{number}"


def test_text_names_each_finding_with_its_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", PLANTED, "--pages", "1000"]) == FINDING
    text = capsys.readouterr().out
    assert "Finding undeclared-cookie: A cookie is set that the policy does not declare.\n" in text
    assert '  "basket" (30 days; declared: 7 days), for unknown, refused, granted' in text
    assert "planted.py:" in text
    assert "Set-Cookie: ab_test=...; Path=/; SameSite=lax (page https://localhost/server-undeclared)" in text


def test_page_and_sarif_have_all_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, log = tmp_path / "audit.html", tmp_path / "audit.sarif"
    assert main(["audit", PLANTED, "--json", "--html", str(page), "--sarif", str(log), "--pages", "1000"]) == FINDING
    found = json.loads(capsys.readouterr().out)["findings"]
    html = page.read_text(encoding="utf-8")
    assert html.count("<details>") == len(found)
    assert "&lt;img src=&#34;https://pixel.example/p.gif&#34;&gt;" in html
    (run,) = json.loads(log.read_text(encoding="utf-8"))["runs"]
    assert len(run["results"]) == len(found)
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in run["results"]} <= rules
    (result,) = [it for it in run["results"] if it["message"]["text"].endswith(" ab_test")]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("tests/audit/planted.py")
    assert place["region"]["startLine"] > 1
    assert result["level"] == "error"


def test_what_was_seen_is_written_into_the_policy_with_its_comments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "consent.toml"
    file.write_text(f"# The museum's.\n{planted.POLICY}", encoding="utf-8")
    assert main(["audit", PLANTED, "--write", str(file), "--pages", "1000"]) == FINDING
    assert 'Write the purpose in place of each "?".' in capsys.readouterr().out
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# The museum's.\n")
    declared = tomllib.loads(text)
    cookies = {cookie["name"]: cookie for cookie in declared["cookies"]}
    assert cookies["tracker"]["duration"] == "400 days"
    assert cookies["ab_test"]["duration"] == "session"
    assert cookies["indexed"]["kind"] == "storage"
    assert "https://pixel.example" in {it["origins"][0] for it in declared["recipients"]}
    with pytest.raises(ValueError, match="purpose"):
        Policy.load(file)
    file.write_text(text.replace('"?"', '"media"'), encoding="utf-8")
    Policy.load(file)


def test_usual_purpose_of_known_cookie_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(planted.SET_COOKIES, "server-undeclared", ("_ga", {}, None))
    file = tmp_path / "consent.toml"
    file.write_text(planted.POLICY.replace("[[recipients]]", "[[recipients]]"), encoding="utf-8")
    assert main(["audit", PLANTED, "--write", str(file), "--pages", "1000"]) == FINDING
    (cookie,) = [it for it in tomllib.loads(file.read_text(encoding="utf-8"))["cookies"] if it["name"] == "_ga"]
    assert cookie["purpose"] == "analytics"
    assert "of Google, which has to be in [[recipients]]" in file.read_text(encoding="utf-8")


def test_nothing_is_written_where_all_is_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "consent.toml"
    shutil.copy(REGISTRY / "consent.toml", file)
    before = file.read_bytes()
    assert main(["audit", "examples.registry.app:app", "--write", str(file)]) == GOOD
    assert "declares all that was seen." in capsys.readouterr().out
    assert file.read_bytes() == before


@pytest.mark.server
def test_site_at_an_address_is_visited(capsys: pytest.CaptureFixture[str]) -> None:
    with served(planted.app) as port:
        assert main(["audit", f"http://127.0.0.1:{port}/", "--pages", "1000", "--json"]) == FINDING
    found = {(it["rule"], it["name"]) for it in json.loads(capsys.readouterr().out)["findings"]}
    assert ("undeclared-host", "pixel.example") in found
    # Cookies of the server that the middleware holds back are not seen from outside.
    assert ("undeclared-cookie", "ab_test") not in found


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("app", "'app' is no app: write module:app"),
        ("no_such_module:app", "there is no module 'no_such_module' here"),
        ("tests.audit.planted:nothing", "the module has no 'nothing'"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1/ cannot be reached"),
        ("starlette.responses:Response", "is no app"),
        ("tests.audit.unwrapped:app", "was answered with 404, and not by ConsentMiddleware"),
    ],
)
def test_wrong_target_is_explained(target: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", target]) == WRONG_USAGE
    assert problem in capsys.readouterr().err


def test_text_of_site_does_not_control_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(planted.FAULTS, "image", ('<img src="https://pixel.example/\x1b[2J">', "", ""))
    assert main(["audit", PLANTED]) == FINDING
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "https://pixel.example/\\u001b[2J" in printed
