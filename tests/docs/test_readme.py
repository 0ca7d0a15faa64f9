"""Tests of the examples in README.md and docs/policy.md."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware, Policy, PolicyError
from cookie_consent.cli.main import FINDING, GOOD, main
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.policy import from_toml
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.visitors.answers.posted import read_answer
from tests.tracing.test_access_record import problems

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
POLICY_PAGE = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")


def blocks(kind: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{re.escape(kind)}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


POLICY, CHOICE = blocks("toml", POLICY_PAGE)
WRONG_POLICY, CHANGED_POLICY = blocks("text", POLICY_PAGE)
ONE_LINE, FEATURES, FASTAPI, BROWSER, PROOF, REPORT = blocks("python")
KEY = "a key of the tests, long enough to be one"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the policy file of docs/policy.md in it, and the key in the environment."""
    (tmp_path / "consent.toml").write_text(POLICY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", KEY)
    return tmp_path


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 (our own README)
    return names


def visit(app: Any, *steps: tuple[str, str, dict[str, str]], **headers: str) -> list[httpx.Response]:
    async def walk() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://site.example", headers=headers) as client:
            return [await client.request(method, path, data=data or None) for method, path, data in steps]

    return asyncio.run(walk())


def answer(choice: str) -> tuple[str, str, dict[str, str]]:
    return ("POST", "/privacy-choices", {"choice": choice})


@pytest.mark.parametrize("policy", [*blocks("toml"), POLICY], ids=["small", "whole"])
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


def test_policy_example_loads_and_explains_errors(folder: Path) -> None:
    path = folder / "consent.toml"
    assert Policy.load(path).optional == ("analytics", "media")
    path.write_text(path.read_text(encoding="utf-8").replace("traces = true", "traced = true"), encoding="utf-8")
    with pytest.raises(PolicyError) as error:
        Policy.load("consent.toml")
    assert str(error.value) == WRONG_POLICY.strip()


def test_choice_example_lets_visitors_choose_each_recipient(folder: Path) -> None:
    site = POLICY[: POLICY.index("[purposes.")].replace('"ja"', '"en"').replace("regions", "# regions")
    (folder / "consent.toml").write_text(re.sub(r"languages = .*", 'languages = ["en"]', site) + CHOICE, "utf-8")
    policy = Policy.load(folder / "consent.toml")
    assert policy.by_recipient == {"ads"}
    (form,) = re.findall(r"A form answers with `([^`]*)`", POLICY_PAGE)
    (data,) = re.findall(r"JSON has\s+`([^`]*)`", POLICY_PAGE)
    assert form == "recipient=adnet"
    app = run(ONE_LINE)["app"]
    steps = [
        ("POST", "/privacy-choices", {"choice": "save", "recipient": "adnet"}),
        ("GET", "/privacy-choices/state", {}),
    ]
    _, state = visit(app, *steps, **{"sec-fetch-site": "same-origin"})
    (said,) = re.findall(r"`(\"recipients\": [^`]*)` as well", POLICY_PAGE)
    assert {"recipients": state.json()["recipients"]} == json.loads(f"{{{said}}}")
    posted = read_answer("application/json", data.encode(), policy)
    assert (posted.purposes, posted.recipients) == ({"ads": True}, {"bidder": False})


def test_check_command_lists_changes_since_earlier_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = (folder / "consent.toml").read_text(encoding="utf-8")
    earlier = re.sub(r"^\[\[(recipients|changes)\]\].*\n(.+\n)+", "", now, flags=re.MULTILINE)
    earlier = earlier.replace('retention = "395 days"', 'retention = "730 days"')
    (folder / "consent.2025.toml").write_text(earlier, encoding="utf-8")
    assert main(["check", "--against", "consent.2025.toml"]) == FINDING
    assert capsys.readouterr().out.endswith(f"\n\n{CHANGED_POLICY}")


def test_browser_example_lets_no_recipient_in_before_a_yes() -> None:
    app = run(ONE_LINE.replace(ONE_LINE.splitlines()[-1], BROWSER))["app"]
    steps = [("GET", "/", {}), answer("accept_all"), ("GET", "/", {})]
    before, _, after = visit(app, *steps, **{"sec-fetch-site": "same-origin"})
    recipients = [origin for table in tomllib.loads(POLICY)["recipients"] for origin in table["origins"]]
    policies = [page.headers["content-security-policy"] for page in (before, after)]
    assert [any(origin in policy for origin in recipients) for policy in policies] == [False, True]


@pytest.mark.slow
def test_proof_example_keeps_and_verifies_answers(capsys: pytest.CaptureFixture[str]) -> None:
    app = run(ONE_LINE.replace(ONE_LINE.splitlines()[-1], PROOF))["app"]
    visit(app, ("GET", "/", {}), answer("accept_all"), answer("refuse_all"), **{"sec-fetch-site": "same-origin"})
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in blocks("console")[1].splitlines()]
    assert [command[1] for command in commands] == ["verify", "records", "requests", "purge"]
    for command in commands:
        assert main(command[1:]) == GOOD
    said = capsys.readouterr().out
    assert "granted" in said
    assert "withdrawn" in said


@pytest.mark.slow
def test_analytics_commands_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLinesSink(folder / "logs" / "access.jsonl")
    log.write(blocks("json")[0].encode())
    log.close()
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in blocks("console")[2].splitlines()]
    assert [" ".join(command[:2]) for command in commands] == [
        "pip install",
        "cookie-consent report",
        "cookie-consent report",
        "cookie-consent serve-report",
        "cookie-consent compact",
    ]
    for command in commands[1:]:
        if command[1] == "serve-report":  # serves until it is stopped; see tests/report/test_serve_report.py
            with pytest.raises(SystemExit, match="0"):
                main([*command[1:], "--help"])
        else:
            assert main(command[1:]) == GOOD
    assert "visitors" in capsys.readouterr().out.lower()
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_report_example_requires_sign_in(folder: Path) -> None:
    async def sign_in(request: Request) -> Response:
        request.session["analyst"] = True
        return PlainTextResponse("welcome")

    names = run(ONE_LINE)
    app = names["app"]
    app.router.routes.append(Route("/sign-in", sign_in))
    app.add_middleware(SessionMiddleware, secret_key=KEY)
    exec(REPORT, names)  # noqa: S102 (our own README)
    (folder / "logs").mkdir()
    (folder / "logs" / "access.jsonl").write_text(blocks("json")[0], encoding="utf-8")
    before, _, after = visit(app, ("GET", "/report/", {}), ("GET", "/sign-in", {}), ("GET", "/report/", {}))
    assert before.status_code == 403
    assert after.status_code == 200
    assert "Visits" in after.text


def test_feature_example_gives_fallback_until_granted() -> None:
    names = run(FEATURES)
    site = Starlette(routes=[Route("/offices", names["offices"]), Route("/tour", names["tour"])])
    app = ConsentMiddleware(site, "consent.toml", KEY)
    steps = [
        ("GET", "/offices", {}),
        ("GET", "/tour", {}),
        answer("accept_all"),
        ("GET", "/offices", {}),
        ("GET", "/tour", {}),
    ]
    headers = {"sec-fetch-site": "same-origin", "accept": "text/html", "accept-language": "en"}
    degraded, explained, _, full, video = visit(app, *steps, **headers)
    assert degraded.text == "The map needs your consent. The addresses are listed below."
    assert explained.status_code == 200
    assert 'value="grant"' in explained.text
    assert (full.text, video.text) == ("the map", "the video")


def test_fastapi_example_gives_fallback_until_granted() -> None:
    steps = [
        ("GET", "/tour", {}),
        ("GET", "/suggestions", {}),
        answer("accept_all"),
        ("GET", "/tour", {}),
        ("GET", "/suggestions", {}),
    ]
    off, plain, _, on, own = visit(run(FASTAPI)["app"], *steps, **{"sec-fetch-site": "same-origin"})
    assert off.status_code == 200
    assert off.json()["missing"] == ["media"]
    assert plain.json() == ["for everybody"]
    assert (on.json(), own.json()) == ({"video": "tour.mp4"}, ["for you"])


def test_template_example_renders_before_and_after_grant() -> None:
    template = Environment(autoescape=True).from_string(blocks("html+jinja")[0])

    async def page(request: Request) -> Any:
        return HTMLResponse(template.render(consent_context(request)))

    app = ConsentMiddleware(Starlette(routes=[Route("/", page)]), "consent.toml", KEY)
    steps = [("GET", "/", {}), answer("accept_all"), ("GET", "/", {})]
    off, _, on = visit(app, *steps, **{"sec-fetch-site": "same-origin", "accept-language": "en"})
    assert "<iframe" not in off.text
    assert "The map needs your consent." in off.text
    assert "<iframe" in on.text
    assert '<a href="/privacy-choices?language=en&amp;next=/" data-privacy-settings>' in on.text


def test_stable_script_address_leads_to_script() -> None:
    app = run(ONE_LINE)["app"]
    (lead,) = visit(app, ("GET", "/privacy-choices/choices.js", {}))
    path = re.search('"[.](/assets/.*)"', lead.text)
    assert path
    (script,) = visit(app, ("GET", f"/privacy-choices{path[1]}", {}))
    assert "window" in script.text


def test_access_record_example_matches_schema() -> None:
    assert problems("access_record", json.loads(blocks("json")[0])) == []


def test_readme_has_no_untested_kind_of_block() -> None:
    kinds = set(re.findall(r"^```(\S+)", README, re.MULTILINE))
    assert kinds == {"console", "python", "toml", "text", "html+jinja", "json"}


def test_policy_page_has_section_for_every_table() -> None:
    titles = re.findall(r"^## (.*)$", POLICY_PAGE, re.MULTILINE)
    tables = {table for title in titles for table in re.findall(r"`\[+([a-z]+)", title)}
    assert tables | {"changes"} == from_toml._TABLES.keys()
    assert "`[[changes]]`" in POLICY_PAGE
    assert tomllib.loads(POLICY).keys() <= from_toml._TABLES.keys()


TABLES_OF_KEYS = {
    "site": from_toml._SITE,
    "purposes": from_toml._PURPOSE,
    "cookies": from_toml._COOKIE,
    "recipients": from_toml._RECIPIENT,
    "features": from_toml._FEATURE,
    "services": from_toml._SERVICE,
}


@pytest.mark.parametrize("table", TABLES_OF_KEYS)
def test_policy_page_explains_every_key_of_a_table(table: str) -> None:
    (section,) = re.findall(rf"^## `\[+{table}\b.*?(?=^## )", POLICY_PAGE, re.DOTALL | re.MULTILINE)
    explained = {
        key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall("`(.*?)`", row)
    }
    assert explained == TABLES_OF_KEYS[table].keys()
