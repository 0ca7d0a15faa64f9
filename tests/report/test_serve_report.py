"""Tests of the live report: authorization, questions, caching, concurrency, guards, and the command `serve-report`."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp

from cookie_consent.cli.frame import GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.cli.serve_report import PASSWORD
from cookie_consent.report import UnreadableError
from cookie_consent.report.live.app import KEPT_FOR, MOST_PAGES, Page, Pages, report_app
from cookie_consent.report.live.guards import is_loopback, require_loopback, require_password
from cookie_consent.report.page.page import STYLE_SOURCE
from cookie_consent.report.settings import Goals, Settings
from tests.report.test_report_page import figures, table
from tests.support.asgi import Reply, call, response_to, scope
from tests.support.report_records import DAYS, FIRST, LAST, RECORDS, line
from tests.support.report_sample import sample_report
from tests.support.served import visited

NOW = datetime(2026, 11, 25, 14, 2, tzinfo=UTC).timestamp()
LONGEST_WAIT = 30.0
ANYWHERE = "0.0.0.0"  # noqa: S104 (the tests check that it needs a password)
SECRET = "ein: Käse für 東京"
"""A password may have any letters, and colons."""
POLICY = '[site]\ntime_zone = "Asia/Tokyo"\n[goals.paid]\nevent = "paid"'
REAL = report_app("none/access.jsonl", authorize=lambda request: True, clock=lambda: NOW)
"""A report that is computed, without any files."""


class Maker:
    """Makes reports and notes their questions. A test sets its clock."""

    def __init__(self, *errors: Exception) -> None:
        self.asked: list[dict[str, Any]] = []
        self.errors, self.now = list(errors), NOW

    def __call__(self, access_log: str | os.PathLike[str], **question: Any) -> dict[str, Any]:
        self.asked.append({"access_log": access_log, **question})
        if self.errors:
            raise self.errors.pop(0)
        return sample_report()

    def app(self, authorize: Callable[[Request], Any] | None = lambda request: True, **settings: Any) -> ASGIApp:
        return report_app("access.jsonl", authorize=authorize, make=self, clock=lambda: self.now, **settings)


@pytest.mark.parametrize(("memory", "size"), [(None, None), (64_000_000, 64_000_000), ("2GB", 2_000_000_000)])
def test_report_app_passes_its_memory_limit(memory: Any, size: int | None) -> None:
    maker = Maker()
    assert get(maker.app(memory=memory)).status == 200
    assert maker.asked[0].get("memory") == size


@pytest.mark.parametrize(
    ("policy", "zone", "day", "goals"),
    [
        (POLICY, "Asia/Tokyo", 26, Goals((("paid", "event:paid"),))),
        (Settings(time_zone="America/New_York"), "America/New_York", 25, Goals()),
    ],
)  # fmt: skip
def test_days_and_goals_are_those_of_the_policy(policy: Any, zone: str, day: int, goals: Goals, tmp_path: Path) -> None:
    maker, file = Maker(), tmp_path / "consent.toml"
    maker.now = datetime(2026, 11, 25, 20, tzinfo=UTC).timestamp()
    if isinstance(policy, str):
        file.write_text(policy)
        policy = file
    get(maker.app(policy=policy))
    asked = maker.asked[0]
    assert (asked["time_zone"], asked["until"], asked["goals"]) == (zone, date(2026, 11, day), goals)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"memory": "much"}, "'much' is no size of a memory"), ({"policy": __file__}, "test_serve_report.py is no TOML")],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Maker().app(**wrong)


def get(app: ASGIApp, headers: Any = (), **asked: str) -> Reply:
    return call(app, "GET", "/", headers, query=urlencode(asked).encode())


# Authorization


def test_only_authorize_that_returns_true_shows_report(caplog: pytest.LogCaptureFixture) -> None:
    async def nobody(request: Request) -> bool:
        return False

    maker = Maker()
    for authorize in (None, lambda request: False, lambda request: "True", lambda request: 1, nobody):
        reply = get(maker.app(authorize))
        assert (reply.status, "You may not see this report." in reply.text, "<form" in reply.text) == (403, True, False)
    assert maker.asked == []
    assert [record.getMessage() for record in caplog.records] == [
        "report_app: nobody may see the report. Say who may: report_app(…, authorize=lambda request: …)"
    ]


def test_authorize_may_be_asynchronous() -> None:
    async def everybody(request: Request) -> bool:
        return True

    assert get(Maker().app(everybody)).status == 200


@pytest.mark.parametrize(
    ("site", "dest", "status"),
    [("cross-site", "image", 403), ("cross-site", "document", 200), ("same-origin", "empty", 200)],
)
def test_cross_site_page_may_link_to_report_but_not_embed_it(site: str, dest: str, status: int) -> None:
    assert get(Maker().app(), [("sec-fetch-site", site), ("sec-fetch-dest", dest)]).status == status


# Questions


def test_report_has_security_headers() -> None:
    policy = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    wanted = {
        "content-security-policy": f"{policy}style-src {STYLE_SOURCE}",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    reply = get(Maker().app())
    assert {name: reply.get(name) for name in wanted} == wanted


@pytest.mark.slow
def test_content_security_policy_allows_the_banner() -> None:
    policies = {call(Maker().app(), state={"consent": object()}).get("content-security-policy") for _ in range(2)}
    assert len(policies) == 2
    for policy in policies:
        nonce = policy.split("script-src ")[1].split(";")[0]
        assert policy.endswith(f"; style-src {STYLE_SOURCE} {nonce}; script-src {nonce}; connect-src 'self'")


def question(**asked: Any) -> dict[str, Any]:
    """Return the arguments of a report, of thirty days by default."""
    empty = dict.fromkeys(("host", "step", "compare"))
    days = {"since": date(2026, 10, 27), "until": date(2026, 11, 25)}
    return {"access_log": "access.jsonl", "time_zone": "UTC", "goals": Goals(), "where": (), **empty, **days, **asked}


YESTERDAY, TODAY, TOMORROW = (date(2026, 11, day) for day in (24, 25, 26))


@pytest.mark.parametrize(
    ("asked", "later", "wanted"),
    [
        ({}, 0, question()),
        ({"period": "7d"}, 0, question(since=date(2026, 11, 19))),
        ({"period": "7d"}, 1, question(since=date(2026, 11, 20), until=TOMORROW)),
        ({"period": "today"}, 0, question(since=TODAY)),
        ({"period": "yesterday"}, 0, question(since=YESTERDAY, until=YESTERDAY)),
        ({"from": "yesterday", "period": "7d"}, 0, question(since=YESTERDAY)),
        ({"to": "2026-11-24"}, 0, question(until=YESTERDAY)),
        (
            {"from": "2026-11-01", "to": "2026-11-24", "host": " a.example ", "compare": "year", "step": "week"},
            0,
            question(since=date(2026, 11, 1), until=YESTERDAY, host="a.example", compare="year", step="week"),
        ),
    ],
)
def test_query_parameters_are_the_question(asked: dict[str, str], later: int, wanted: dict[str, Any]) -> None:
    maker = Maker()
    maker.now += 86_400 * later
    reply = get(maker.app(), **asked)
    assert maker.asked == [wanted]
    period = "" if "from" in asked or "to" in asked else asked.get("period", "30d")
    assert (f"?period={period}&amp;" in reply.text) == bool(period), "links to rows keep it"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"from": "0d"}, "&#39;0d&#39; is no day: write it as 2026-11-25, yesterday, or 7d"),
        ({"from": "2026-11-31"}, "&#39;2026-11-31&#39; is no day"),
        ({"to": "\u0660"}, "&#39;\u0660&#39; is no day"),
        ({"to": "2026-11-25T00:00"}, "&#39;2026-11-25T00:00&#39; is no day"),
        ({"period": "\u0667d"}, "&#39;\u0667d&#39; is no day"),
        ({"from": "2026-11-26"}, "from:"),
        ({"from": "0001-01-01"}, "from, to:"),
        ({"from": "1980-01-01"}, "from:"),
        ({"from": "1970-01-02", "to": "1970-01-03", "compare": "previous"}, "from, to:"),
        ({"host": "a\0"}, "host: a text without NUL characters, in UTF-8."),
        ({"compare": "next"}, "compare: one of previous, year."),
        ({"step": "minute"}, "step: one of hour, day, week, month."),
    ],
)
def test_wrong_question_is_explained_on_the_page(asked: dict[str, str], said: str) -> None:
    reply = get(REAL, **asked)
    assert reply.status == 400
    assert said in reply.text
    assert "<form" in reply.text


def test_undecodable_query_is_a_bad_request() -> None:
    assert call(REAL, query=b"host=%ff%00&host=%f0&from=%80&=&&&").status == 400


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (UnreadableError("access_log: there is no file."), 503, "access_log: there is no file."),
        (ValueError("Write it so."), 400, "Write it so."),
        pytest.param(RuntimeError("secret"), 500, "could not be made", marks=pytest.mark.logs_an_exception),
    ],
)
def test_error_while_making_report_is_shown_without_secrets(
    error: Exception, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = get(Maker(error).app())
    assert (reply.status, said in reply.text, "secret" in reply.text) == (status, True, False)
    assert [record.getMessage() for record in caplog.records] == ["A report could not be made."] * (status == 500)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/report/", 200),
        ("HEAD", "/report/", 200),
        ("GET", "/report", 307),
        ("GET", "/report/other", 404),
        ("POST", "/report/", 405),
    ],
)
def test_report_app_serves_one_page_by_get_and_head(method: str, path: str, status: int) -> None:
    site = Starlette(routes=[Mount("/report", Maker().app())])
    assert call(site, method, path).status == status


# Caching and concurrency


@pytest.mark.slow
def test_page_is_cached_for_some_seconds() -> None:
    maker = Maker()
    app = maker.app()
    for later, made in ((0, 1), (KEPT_FOR - 1, 1), (1, 2), (-1000, 3)):
        maker.now += later
        assert get(app).status == 200
        assert len(maker.asked) == made
    get(app, host="a.example")
    assert len(maker.asked) == 4


class Slow:
    """Makes reports after `go_on` is set, and counts how many at the same time."""

    def __init__(self) -> None:
        self.started, self.go_on = threading.Event(), threading.Event()
        self.made = self.now = self.most = 0

    def __call__(self, access_log: Any, **question: Any) -> dict[str, Any]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.started.set()
        assert self.go_on.wait(LONGEST_WAIT)
        self.made += 1
        self.now -= 1
        return sample_report()


def client_of(make: Any) -> httpx.AsyncClient:
    app = report_app("access.jsonl", authorize=lambda request: True, make=make, clock=lambda: NOW)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def statuses_of(slow: Slow, hosts: list[str]) -> list[int]:
    """Ask about all these hosts while the first report is being made, and return the status codes."""
    async with client_of(slow) as client:
        asked = [asyncio.create_task(client.get("/", params={"host": host})) for host in hosts]
        await asyncio.to_thread(slow.started.wait, LONGEST_WAIT)
        slow.go_on.set()
        return [reply.status_code for reply in await asyncio.gather(*asked)]


@pytest.mark.slow
def test_reports_are_made_one_at_a_time_and_shared() -> None:
    slow = Slow()
    assert asyncio.run(statuses_of(slow, ["a", "a", "b", "a", "b"])) == [200] * 5
    assert (slow.made, slow.most) == (2, 1)


@pytest.mark.slow
def test_too_many_waiting_questions_get_503() -> None:
    slow = Slow()
    many = [f"h{number}" for number in range(MOST_PAGES + 1)]
    assert asyncio.run(statuses_of(slow, many)) == [200] * MOST_PAGES + [503]
    assert slow.made == MOST_PAGES


def test_cancelled_request_does_not_cancel_shared_report() -> None:
    async def ask() -> int:
        slow = Slow()
        async with client_of(slow) as client:
            impatient, patient = (asyncio.create_task(client.get("/")) for _ in range(2))
            await asyncio.to_thread(slow.started.wait, LONGEST_WAIT)
            impatient.cancel()
            slow.go_on.set()
            return (await patient).status_code

    assert asyncio.run(ask()) == 200


ENDING = """
import asyncio, threading
from pathlib import Path
import httpx
from cookie_consent.report.engines.duckdb_files import connected
from cookie_consent.serve_report import report_app

started = threading.Event()

def wait():
    with connected(Path("none")):
        pass
    started.set()
    threading.Event().wait()

def compute():
    with connected(Path("none")) as connection:
        started.set()
        connection.execute("SELECT count(*) FROM range(1_000_000_000_000) AS a WHERE hash(a.range) = 1").fetchall()

async def serve(make):
    app = report_app("none", authorize=lambda request: True, make=lambda access_log, **asked: make())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        asked = [asyncio.create_task(client.get("/", params={"host": host})) for host in ("a", "b")]
        await asyncio.to_thread(started.wait)
        for task in asked:
            task.cancel()

asyncio.run(serve(%s))
"""


@pytest.mark.parametrize("make", ["wait", "compute"])
@pytest.mark.slow
def test_running_report_does_not_delay_process_exit(make: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING % make], capture_output=True, text=True, timeout=LONGEST_WAIT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def pages_of(made: list[Any], *, is_over: threading.Event | None = None) -> Pages:
    """Return pages that note what was asked. With `is_over`, the process ends while the first one is made."""

    def make(asked: Any) -> Page:
        made.append(asked)
        if is_over:
            is_over.set()
        return Page(200, "made", NOW)

    return Pages(make, lambda: NOW, (is_over or threading.Event()).is_set)


def question_about(host: int) -> Any:
    return (("host", str(host)),)


def test_page_is_not_delivered_after_process_exit() -> None:
    made = list[Any]()
    pages = pages_of(made, is_over=threading.Event())
    asked = [pages._start(question_about(host)) for host in (1, 2)]
    assert pages._thread is not None
    pages._end(pages._thread)
    assert not pages._thread.is_alive()
    assert (made, [page.done() for page in asked]) == ([question_about(1)], [False, False])


def test_idle_report_thread_ends_at_once() -> None:
    pages = pages_of([])
    assert asyncio.run(pages.get(())) == Page(200, "made", NOW)
    assert pages._thread is not None
    pages._end(pages._thread)
    assert not pages._thread.is_alive()


def test_number_of_kept_pages_is_limited() -> None:
    made = list[Any]()

    async def ask_many() -> None:
        pages = pages_of(made)
        for number in [*range(MOST_PAGES + 5), MOST_PAGES + 4]:
            assert await pages.get(question_about(number)) is not None
        assert len(pages._pages) == MOST_PAGES

    asyncio.run(ask_many())
    assert len(made) == MOST_PAGES + 5


def test_next_question_retries_failed_thread_start(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[Any]()
    pages = pages_of(made)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            asyncio.run(pages.get(question_about(1)))
    assert asyncio.run(asyncio.wait_for(pages.get(question_about(2)), LONGEST_WAIT)) == Page(200, "made", NOW)
    assert made == [question_about(2)]


# Guards


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8765", 200),
        ("127.0.0.1:8765", 200),
        ("127.9.9.9", 200),
        ("[::1]:8765", 200),
        ("[::1]", 200),
        ("", 421),
        ("rebound.example:8765", 421),
        ("localhost.rebound.example", 421),
        ("127.0.0.1.rebound.example", 421),
        ("192.168.1.4", 421),
        ("[::1", 200),
        ("[::2]:8765", 421),
        ("[]", 421),
        ("user@localhost", 421),
    ],
)
def test_loopback_server_answers_only_loopback_hosts(host: str, status: int) -> None:
    headers = [(b"host", host.encode())] if host else []
    asked = response_to(require_loopback(PlainTextResponse("ok")), {**scope(), "headers": headers})
    assert asyncio.run(asked).status == status


def basic(credentials: str) -> list[tuple[str, str]]:
    return [("authorization", f"Basic {b64encode(credentials.encode()).decode()}")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (basic(f"anybody:{SECRET}"), 200),
        (basic(f":{SECRET}"), 200),
        ([("authorization", basic(f":{SECRET}")[0][1].replace("Basic", "bAsIc"))], 200),
        (basic(f"anybody:{SECRET} "), 401),
        (basic(f"anybody:{SECRET[:-1]}"), 401),
        (basic(SECRET), 401),
        (basic(":"), 401),
        (basic("\u00fc:\u00fc"), 401),
        ([("authorization", basic(f":{SECRET}")[0][1].replace("Basic", "Bearer"))], 401),
        ([("authorization", "Basic %%%")], 401),
        ([("authorization", "Basic \xff\xe9")], 401),
        ([("authorization", "Basic")], 401),
        ([], 401),
    ],
)
def test_only_correct_password_is_accepted(headers: Any, status: int) -> None:
    reply = call(require_password(PlainTextResponse("ok"), SECRET), headers=headers)
    assert reply.status == status
    assert reply.get("www-authenticate") == ('Basic realm="Report", charset="UTF-8"' if status == 401 else "")


@pytest.mark.parametrize("host", ["", ANYWHERE, "::", "example", "10.0.0.1", "127.0.0.1:80"])
def test_other_addresses_are_no_loopback(host: str) -> None:
    assert not is_loopback(host)


# The command


def run(*argv: str) -> int:
    return main(["serve-report", *argv])


@pytest.fixture
def access_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty access log, and no settings in the environment."""
    for variable in (PASSWORD, "CONSENT_ACCESS_LOG"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "access.jsonl").touch()
    return str(tmp_path / "access.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize("is_there", [True, False])
def test_command_serves_report_on_loopback(is_there: bool, access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not is_there:  # a site that has just started
        Path(access_log).unlink()
    with visited(capsys) as replies:
        ended = run("--access-log", access_log, "--port", "0")
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [200])
    assert "Visitors by day" in replies[0].text


@pytest.mark.slow
@pytest.mark.parametrize("host", [ANYWHERE, "localhost"])
def test_password_is_needed(
    host: str, access_log: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--host", host, "--port", "0"]
    monkeypatch.setenv("CONSENT_ACCESS_LOG", access_log)
    if host == ANYWHERE:
        file = Path(access_log).with_name("password")
        file.write_text(f"{SECRET}\nnot this\n", "utf-8")
        options += ["--password-file", str(file)]
    else:
        monkeypatch.setenv(PASSWORD, SECRET)
    with visited(capsys, "wrong horse battery", SECRET) as replies:
        ended = run(*options)
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [401, 401, 200])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--host", ANYWHERE], "Others than this machine can connect to 0.0.0.0: that needs a password."),
        (["--host", ""], "Others than this machine can connect to"),
        (["--host", "registry.example"], "Others than this machine can connect to registry.example"),
        (["--password-file", "missing"], "--password-file: missing cannot be read as a text"),
        (["--password-file", "short"], "The password has to have 12 characters at least."),
        (["--password-file", "empty"], "The password has to have 12 characters at least."),
        (["--password-file", "binary"], "--password-file: binary cannot be read as a text"),
        (["--access-log", "mq://localhost/ACCESS"], 'access_log: "mq://" cannot be read'),
        (["--access-log", "none/access.jsonl"], "there is no file none/access.jsonl"),
        (["--access-log", ""], "Name the access log: --access-log URL"),
        (["--time-zone", "Mars/Olympus"], 'there is no time zone "Mars/Olympus"'),
        ([], "The password has to have 12 characters at least."),
    ],
)
def test_command_refuses_wrong_arguments(
    argv: list[str], said: str, access_log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(access_log).parent)
    Path("short").write_text("short\n")
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe" * 20)
    if not argv:
        monkeypatch.setenv(PASSWORD, "short")
    assert run("--access-log", access_log, "--port", "0", *argv) == WRONG_USAGE
    assert said in capsys.readouterr().err


def test_command_reports_port_in_use(access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("--access-log", access_log, "--port", str(port)) == WRONG_USAGE
    assert capsys.readouterr().err == f"It cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}.\n"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_wrong_port_is_refused(port: str, access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--access-log", access_log, "--port", port)
    assert ended.value.code == WRONG_USAGE
    assert f"--port: {port!r} is no whole number from 0 to 65,535" in capsys.readouterr().err


def test_command_without_uvicorn_says_how_to_install(
    access_log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run("--access-log", access_log) == WRONG_USAGE
    assert 'serve-report needs uvicorn: pip install "cookie-consent[analytics]"' in capsys.readouterr().err


# Real records


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"host": "site.example", "compare": "previous"}, {"where": "page=/*"}])
def test_report_app_shows_written_records(more: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    log.write_bytes(b"".join(map(line, RECORDS)))
    reply = get(report_app(log, authorize=lambda request: True), **{"from": str(FIRST), "to": str(LAST), **more})
    shown = figures(reply.text)
    assert (reply.status, len(table(shown["Views by day"])), "\u202e" in reply.text) == (200, DAYS + 1, False)
    assert sum(int(row[1]) for row in table(shown["Pages by views"])[1:]) > 0
