"""Tests of the pages in docs/users: the examples of the one for analysts, and the words of the one for visitors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent.cli.main import GOOD, main
from cookie_consent.sinks import JsonLinesSink
from tests.support.documentation import blocks, commands, run, visit
from tests.support.policies import KEY
from tests.tracing.test_access_record import problems

(COMMANDS,) = blocks("docs/users/analysts.md", "console")
(REPORT,) = blocks("docs/users/analysts.md", "python")
(RECORD,) = blocks("docs/users/analysts.md", "json")


@pytest.mark.slow
def test_analytics_commands_work(site_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLinesSink(site_folder / "logs" / "access.jsonl")
    log.write(RECORD.encode())
    log.close()
    assert [" ".join(command[:2]) for command in commands(COMMANDS)] == [
        "pip install",
        "cookie-consent report",
        "cookie-consent report",
        "cookie-consent serve-report",
        "cookie-consent compact",
    ]
    for command in commands(COMMANDS)[1:]:
        if command[1] == "serve-report":  # serves until it is stopped; see tests/report/test_serve_report.py
            with pytest.raises(SystemExit, match="0"):
                main([*command[1:], "--help"])
        else:
            assert main(command[1:]) == GOOD
    assert "visitors" in capsys.readouterr().out.lower()
    assert (site_folder / "report.html").is_file()


@pytest.mark.slow
def test_report_example_requires_sign_in(site_folder: Path) -> None:
    async def sign_in(request: Request) -> Response:
        request.session["analyst"] = True
        return PlainTextResponse("welcome")

    app = Starlette()
    app.router.routes.append(Route("/sign-in", sign_in))
    app.add_middleware(SessionMiddleware, secret_key=KEY)
    run(REPORT, app=app)
    (site_folder / "logs").mkdir()
    (site_folder / "logs" / "access.jsonl").write_text(RECORD, encoding="utf-8")
    before, _, after = visit(app, ("GET", "/report/", {}), ("GET", "/sign-in", {}), ("GET", "/report/", {}))
    assert before.status_code == 403
    assert after.status_code == 200
    assert "Visits" in after.text


def test_access_record_example_matches_schema() -> None:
    assert problems("access_record", json.loads(RECORD)) == []
