"""The report live: who may see it, what may be asked, and how much is made at once."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
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

from cookie_consent.cli.command import GOOD, WRONG_USAGE
from cookie_consent.cli.serve_report import PASSWORD, SERVE_REPORT
from cookie_consent.report import UnreadableError
from cookie_consent.report.live.app import KEPT_FOR, _Pages, _Rendered, report_app
from cookie_consent.report.live.guards import OnlyByLoopback, OnlyByPassword, is_loopback
from cookie_consent.report.page.page import STYLE_SOURCE
from cookie_consent.sinks import open_sink
from tests.report.test_report_page import figures, table
from tests.support.asgi import Reply, call, response_to, scope
from tests.support.report_records import DAYS, FIRST, line, random_counts, random_records
from tests.support.report_sample import sample_report

NOW = datetime(2026, 11, 25, 14, 2, tzinfo=UTC).timestamp()
LONGEST_WAIT = 30.0
ANYWHERE = "0.0.0.0"  # noqa: S104 (it is what has to be guarded)
SECRET = "correct horse battery"


class Maker:
    """Makes reports, and remembers what of. The clock goes where a test wants it."""

    def __init__(self, *errors: Exception) -> None:
        self.asked: list[dict[str, Any]] = []
        self.errors, self.now = list(errors), NOW

    def __call__(self, access_log: str | os.PathLike[str], **question: Any) -> dict[str, Any]:
        self.asked.append({"access_log": access_log, **question})
        if self.errors:
            raise self.errors.pop(0)
        return sample_report()

    def app(self, authorize: Callable[[Request], Any] | None = lambda request: True) -> ASGIApp:
        return report_app("access.jsonl", authorize=authorize, make=self, clock=lambda: self.now)


@pytest.mark.slow
def test_reports_take_the_memory_that_they_may() -> None:
    maker = Maker()
    for memory in (None, 64_000_000, "2GB"):
        get(report_app("access.jsonl", authorize=lambda request: True, make=maker, memory=memory))
    assert [asked.get("memory") for asked in maker.asked] == [None, 64_000_000, 2_000_000_000]
    with pytest.raises(ValueError, match="'much' is no size of a memory"):
        report_app("access.jsonl", authorize=lambda request: True, memory="much")


def get(app: ASGIApp, headers: Any = (), **asked: str) -> Reply:
    return call(app, "GET", "/", headers, query=urlencode(asked).encode())


# who


def test_left_out_or_anything_but_true_nobody_sees_it(caplog: pytest.LogCaptureFixture) -> None:
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


def test_who_may_see_it_may_be_found_out_asynchronously() -> None:
    async def everybody(request: Request) -> bool:
        await asyncio.sleep(0)
        return True

    assert get(Maker().app(everybody)).status == 200


def test_a_foreign_page_cannot_load_it_into_itself_but_may_link_to_it() -> None:
    app = Maker().app()
    assert get(app, [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "image")]).status == 403
    assert get(app, [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")]).status == 200
    assert get(app, [("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")]).status == 200


# what


def test_a_page_that_is_served_carries_what_keeps_it_apart() -> None:
    reply = get(Maker().app())
    assert reply.status == 200
    assert reply.get("content-security-policy") == (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"style-src {STYLE_SOURCE}"
    )
    assert reply.get("cache-control") == "no-store"
    assert reply.get("x-content-type-options") == "nosniff"
    assert reply.get("cross-origin-resource-policy") == "same-origin"


@pytest.mark.slow
def test_in_a_consenting_site_its_question_may_be_put_into_the_page() -> None:
    policies = {call(Maker().app(), state={"consent": object()}).get("content-security-policy") for _ in range(2)}
    assert len(policies) == 2
    for policy in policies:
        nonce = policy.split("script-src ")[1].split(";")[0]
        assert policy.endswith(f"; style-src {STYLE_SOURCE} {nonce}; script-src {nonce}; connect-src 'self'")


def test_without_a_question_the_last_thirty_days_are_shown() -> None:
    maker = Maker()
    reply = get(maker.app())
    assert maker.asked == [
        {
            "access_log": "access.jsonl",
            "since": date(2026, 10, 27),
            "until": date(2026, 11, 25),
            "host": None,
            "path": None,
            "compare": False,
        }
    ]
    assert 'value="2026-10-27"' in reply.text


def test_the_form_asks_the_question() -> None:
    maker = Maker()
    asked = {"from": "2026-11-01", "to": "2026-11-25", "host": " a.example ", "path": "/names", "compare": "previous"}
    assert get(maker.app(), **asked).status == 200
    assert {key: maker.asked[0][key] for key in ("since", "until", "host", "path", "compare")} == {
        "since": date(2026, 11, 1),
        "until": date(2026, 11, 25),
        "host": "a.example",
        "path": "/names",
        "compare": True,
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"from": "yesterday"}, "From: write a day like 2026-11-25."),
        ({"from": "2026-11-31"}, "From: write a day like 2026-11-25."),
        ({"to": "\u0660"}, "To: write a day like 2026-11-25."),
        ({"to": "2026-11-25T00:00"}, "To: write a day like 2026-11-25."),
        ({"from": "2026-11-26"}, "from:"),
        ({"from": "0001-01-01"}, "from, to:"),
        ({"from": "1980-01-01"}, "from:"),
        ({"from": "1970-01-02", "to": "1970-01-03", "compare": "previous"}, "from, to:"),
        ({"host": "a\0"}, "Host and path: up to 253 and 1,000 characters that can be seen"),
        ({"host": "a" * 254}, "Host and path:"),
        ({"path": "/\u202e"}, "Host and path:"),
        ({"path": "/" * 1001}, "Host and path:"),
        ({"compare": "next"}, "Compare: &#34;previous&#34;, or nothing."),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_in_the_page(asked: dict[str, str], said: str) -> None:
    maker = Maker()
    reply = get(maker.app(), **asked)
    assert (reply.status, maker.asked) == (400, [])
    assert said in reply.text
    assert "<form" in reply.text


def test_bytes_that_are_no_text_are_no_exception() -> None:
    assert call(Maker().app(), query=b"host=%ff%00&host=%f0&from=%80&=&&&").status == 400


@pytest.mark.logs_an_exception
def test_what_goes_wrong_is_told_in_the_page(caplog: pytest.LogCaptureFixture) -> None:
    maker = Maker(UnreadableError("access_log: there is no file."), ValueError("Write it so."), RuntimeError("secret"))
    app = maker.app()
    for status, said in ((503, "access_log: there is no file."), (400, "Write it so."), (500, "could not be made")):
        maker.now += KEPT_FOR
        reply = get(app)
        assert reply.status == status
        assert said in reply.text
        assert "secret" not in reply.text
    assert [record.getMessage() for record in caplog.records] == ["A report could not be made."]


def test_there_is_one_page_and_it_is_only_looked_at() -> None:
    site = Starlette(routes=[Mount("/report", Maker().app())])
    assert call(site, path="/report/").status == 200
    assert call(site, path="/report").status == 307
    assert call(site, path="/report/other").status == 404
    assert call(site, "POST", "/report/").status == 405
    assert call(site, "HEAD", "/report/").status == 200


# how much


@pytest.mark.slow
def test_a_page_answers_the_same_question_for_some_seconds() -> None:
    maker = Maker()
    app = maker.app()
    for later, made in ((0, 1), (KEPT_FOR - 1, 1), (1, 2), (-1000, 3)):
        maker.now += later
        assert get(app).status == 200
        assert len(maker.asked) == made
    get(app, host="a.example")
    assert len(maker.asked) == 4


class Slow:
    """Makes reports once it is let go, and counts how many it makes at the same time."""

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


async def asked_at_once(slow: Slow, hosts: list[str]) -> list[int]:
    """Ask about all of these hosts while the first report is being made, and return the status codes."""
    app = report_app("access.jsonl", authorize=lambda request: True, make=slow, clock=lambda: NOW)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        asked = [asyncio.create_task(client.get("/", params={"host": host})) for host in hosts]
        await asyncio.to_thread(slow.started.wait, LONGEST_WAIT)
        slow.go_on.set()
        return [reply.status_code for reply in await asyncio.gather(*asked)]


@pytest.mark.slow
def test_reports_are_made_one_at_a_time_and_the_same_one_once() -> None:
    slow = Slow()
    assert asyncio.run(asked_at_once(slow, ["a", "a", "b", "a", "b"])) == [200] * 5
    assert (slow.made, slow.most) == (2, 1)


@pytest.mark.slow
def test_too_many_questions_at_once_are_told_to_come_again() -> None:
    async def ask() -> tuple[int, str | None]:
        slow, hosts, all_wait = Slow(), [f"h{number}" for number in range(16)], asyncio.Event()
        arrived = []

        def authorize(request: Request) -> bool:
            arrived.append(request)
            if len(arrived) == len(hosts):
                all_wait.set()
            return True

        app = report_app("access.jsonl", authorize=authorize, make=slow, clock=lambda: NOW)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            waiting = [asyncio.create_task(client.get("/", params={"host": host})) for host in hosts]
            async with asyncio.timeout(LONGEST_WAIT):
                await all_wait.wait()
            refused = await client.get("/", params={"host": "one-more"})
            slow.go_on.set()
            assert {reply.status_code for reply in await asyncio.gather(*waiting)} == {200}
            assert (await client.get("/", params={"host": "one-more"})).status_code == 200
            return refused.status_code, refused.headers.get("retry-after")

    assert asyncio.run(ask()) == (503, "10")


def test_somebody_who_goes_away_takes_the_page_from_nobody_else() -> None:
    async def ask() -> int:
        slow = Slow()
        app = report_app("access.jsonl", authorize=lambda request: True, make=slow, clock=lambda: NOW)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
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
        for one in asked:
            one.cancel()

asyncio.run(serve(%s))
"""


@pytest.mark.parametrize("make", ["wait", "compute"])
@pytest.mark.slow
def test_a_report_that_is_being_made_holds_no_process_that_ends(make: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING % make], capture_output=True, text=True, timeout=LONGEST_WAIT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_page_of_a_process_that_ends_is_given_to_nobody() -> None:
    is_over, made = threading.Event(), []

    def make(asked: Any) -> _Rendered:
        made.append(asked)
        is_over.set()
        return _Rendered(200, "late")

    pages = _Pages(make, lambda: NOW, is_over.is_set)
    asked = [pages._start((("host", host),)) for host in ("a", "b")]
    thread = pages._thread
    assert thread is not None
    pages._end(thread)
    assert not thread.is_alive()
    assert made == [(("host", "a"),)]
    assert [page.done() for page in asked] == [False, False]


def test_an_idle_thread_is_not_waited_for() -> None:
    pages = _Pages(lambda asked: _Rendered(200, "made"), lambda: NOW)
    assert asyncio.run(pages.get(())) == _Rendered(200, "made")
    thread = pages._thread
    assert thread is not None
    pages._end(thread)
    assert not thread.is_alive()


def test_where_no_thread_can_be_started_the_next_question_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def make(asked: Any) -> _Rendered:
        made.append(asked)
        return _Rendered(200, "made")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask() -> _Rendered | None:
        pages = _Pages(make, lambda: NOW)
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                await pages.get((("host", "a"),))
        async with asyncio.timeout(LONGEST_WAIT):
            return await pages.get((("host", "b"),))

    assert asyncio.run(ask()) == _Rendered(200, "made")
    assert made == [(("host", "b"),)]


# the guards


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
def test_on_the_machine_itself_only_its_own_names_are_answered(host: str, status: int) -> None:
    reply = call(OnlyByLoopback(PlainTextResponse("ok")), host=host)
    assert reply.status == status


def test_a_request_without_a_host_is_not_answered() -> None:
    without = {**scope(), "headers": []}
    assert asyncio.run(response_to(OnlyByLoopback(PlainTextResponse("ok")), without)).status == 421


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
        ([("authorization", f"Bearer {SECRET}")], 401),
        ([("authorization", "Basic %%%")], 401),
        ([("authorization", "Basic \xff\xe9")], 401),
        ([("authorization", "Basic")], 401),
        ([], 401),
    ],
)
def test_only_the_password_opens(headers: Any, status: int) -> None:
    reply = call(OnlyByPassword(PlainTextResponse("ok"), SECRET), headers=headers)
    assert reply.status == status
    assert reply.get("www-authenticate") == ('Basic realm="Report", charset="UTF-8"' if status == 401 else "")


def test_a_password_may_have_any_letters() -> None:
    secret = "ein: Käse für 東京"
    assert call(OnlyByPassword(PlainTextResponse("ok"), secret), headers=basic(f"me:{secret}")).status == 200


def test_addresses_of_the_machine_itself_are_known() -> None:
    assert [host for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1") if not is_loopback(host)] == []
    assert [host for host in ("", ANYWHERE, "::", "example", "10.0.0.1", "127.0.0.1:80") if is_loopback(host)] == []


# the command


def run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    SERVE_REPORT.arguments(parser)
    return SERVE_REPORT.run(parser.parse_args(argv))


@pytest.fixture
def access_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An access log with nothing in it, and no settings in the environment."""
    for variable in (PASSWORD, "CONSENT_ACCESS_LOG"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "access.jsonl").touch()
    return str(tmp_path / "access.jsonl")


@contextmanager
def visited(capsys: pytest.CaptureFixture[str], *auth: str) -> Iterator[list[httpx.Response]]:
    """Open the page as soon as it is served, and end the server as Ctrl-C does."""
    replies: list[httpx.Response] = []

    def visit() -> None:
        said, end = "", time.monotonic() + LONGEST_WAIT
        while not (found := re.search(r"http://\S+/", said)) and time.monotonic() < end:
            said += capsys.readouterr().out
            time.sleep(0.02)
        if found:
            try:
                for pair in [None, *(("me", password) for password in auth)]:
                    replies.append(httpx.get(found[0], auth=pair, timeout=LONGEST_WAIT, trust_env=False))
            finally:
                os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield replies
    finally:
        visitor.join()


@pytest.mark.slow
def test_the_report_is_served_on_the_machine_itself(access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    with visited(capsys) as replies:
        ended = run("--access-log", access_log, "--port", "0")
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [200])
    assert "Views by day" in replies[0].text


@pytest.mark.slow
def test_a_log_that_no_record_has_come_to_yet_is_served_as_empty(
    access_log: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(access_log).unlink()
    with visited(capsys) as replies:
        ended = run("--access-log", access_log, "--port", "0")
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [200])
    assert "Views by day" in replies[0].text


@pytest.mark.slow
def test_where_others_can_connect_a_password_is_asked_for(
    access_log: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\nnot this\n")
    listen = ("--host", ANYWHERE, "--port", "0")
    with visited(capsys, "wrong horse battery", SECRET) as replies:
        ended = run("--access-log", access_log, *listen, "--password-file", str(tmp_path / "password"))
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [401, 401, 200])


@pytest.mark.slow
def test_on_the_machine_itself_a_password_may_be_set_too(
    access_log: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSWORD, SECRET)
    monkeypatch.setenv("CONSENT_ACCESS_LOG", access_log)
    with visited(capsys, SECRET) as replies:
        ended = run("--host", "localhost", "--port", "0")
    assert (ended, [reply.status_code for reply in replies]) == (GOOD, [401, 200])


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
        (["--access-log", "nats://localhost/ACCESS"], 'access_log: "nats://" cannot be read'),
        (["--access-log", "none/access.jsonl"], "there is no file none/access.jsonl"),
        (["--access-log", ""], "Name the access log: --access-log URL"),
    ],
)
def test_what_cannot_be_served_is_told(
    argv: list[str], said: str, access_log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(access_log).parent)
    Path("short").write_text("short\n")
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe" * 20)
    assert run("--access-log", access_log, "--port", "0", *argv) == WRONG_USAGE
    assert said in capsys.readouterr().err


def test_a_short_password_of_the_environment_is_refused(
    access_log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "short")
    assert run("--access-log", access_log) == WRONG_USAGE
    assert "The password has to have 12 characters at least." in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("--access-log", access_log, "--port", str(port)) == WRONG_USAGE
    assert capsys.readouterr().err == f"It cannot listen on 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}.\n"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_is_a_number(port: str, access_log: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--access-log", access_log, "--port", port)
    assert ended.value.code == WRONG_USAGE
    assert f"--port: {port!r} is no port: write a number from 0 to 65535" in capsys.readouterr().err


def test_without_a_server_it_says_what_to_install(
    access_log: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as if it were not installed
    assert run("--access-log", access_log) == WRONG_USAGE
    assert 'serve-report needs uvicorn: pip install "cookie-consent[analytics]"' in capsys.readouterr().err


# with real records


@pytest.mark.slow
def test_what_was_recorded_is_what_the_page_shows(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "access.jsonl"))
    for record in random_records(seed=3):
        sink.write(line(record))
    for count in random_counts(seed=3):
        sink.count(line(count))
    sink.close()
    app = report_app(tmp_path / "access.jsonl", authorize=lambda request: True)
    until = (FIRST + timedelta(DAYS - 1)).isoformat()
    for asked in ({}, {"host": "site.example", "compare": "previous"}, {"path": "/a"}):
        reply = get(app, **{"from": FIRST.isoformat(), "to": until, **asked})
        assert reply.status == 200
        shown = figures(reply.text)
        assert len(table(shown["Views by day"])) == DAYS + 1
        assert sum(int(row[1]) for row in table(shown["Pages by views"])[1:]) > 0
        assert "\u202e" not in reply.text


@pytest.mark.slow
def test_a_range_without_records_is_a_page_too(access_log: str) -> None:
    reply = get(report_app(access_log, authorize=lambda request: True), compare="previous")
    assert (reply.status, "Nothing of this in this time, or of too few visitors." in reply.text) == (200, True)
