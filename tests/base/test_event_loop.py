"""Tests of the event loop helpers, and of a site under asyncio and under trio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
import trio.testing
from starlette.types import Message

from cookie_consent.base.threads import start, wait_for_result
from cookie_consent.current import is_traced
from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.report.live.app import report_app
from cookie_consent.sinks import JsonLinesSink, MemorySink
from cookie_consent.tracing.counts import FLUSH_INTERVAL
from tests.support.asgi import PHONE, PREFIX, Visitor, bodies, install, page_app, response_to, scope
from tests.support.faulty_ledger import FaultyLedger
from tests.support.ledger_files import ledger_url
from tests.support.servers.processes import free_port, kill_process_group, process_group_options

pytestmark = pytest.mark.server

BROWSER = (("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document"))
GPC = ("sec-gpc", "1")


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    ledger: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(ledger_url(tmp_path))
    yield ledger
    for thread in threading.enumerate():
        if thread.name == "consent-retention":
            thread.join(60)  # otherwise it opens another connection
    ledger.close()


def test_consenting_visitor_is_traced_and_can_export_and_erase(ledger: Ledger, backend: str, tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "access.jsonl")
    visitor = Visitor(install(page_app(), ledger=ledger, access_log=sink), BROWSER[:1], backend=backend)
    assert visitor.get("/").status == 200
    assert visitor.accept().json["status"] == "granted"
    assert visitor.get("/first").status == 200
    event = {"name": "download", "path": "/first"}
    assert visitor.post(event, path=f"{PREFIX}/events").status == 204
    export = visitor.get(f"{PREFIX}/export").json
    assert [record["url.path"] for record in export["access_records"]] == ["/first", "/first"]
    (record,) = export["consent_records"]
    assert visitor.get(f"{PREFIX}/receipt").json["record_id"] == record["record_id"]
    assert visitor.get(PREFIX).status == 200
    erased = visitor.post({}, [("accept", "application/json")], path=f"{PREFIX}/erase").json
    assert (erased["erased"], len(erased["consent_records"])) == (2, 1)
    assert visitor.refuse().json["status"] == "refused"
    assert visitor.get(f"{PREFIX}/export").json["access_records"] == []


def test_signal_that_overrides_answer_is_recorded_in_ledger(ledger: Ledger, backend: str) -> None:
    app = install(page_app(), ledger=ledger)
    visitor = Visitor(app, backend=backend)
    visitor.accept()
    cookies = ("cookie", visitor.cookies)

    async def visits() -> None:
        export = (await response_to(app, scope(path=f"{PREFIX}/export", headers=[cookies]))).json
        consent_id = export["consent_records"][0]["consent_id"]
        for _ in range(3):
            assert (await response_to(app, scope(headers=[GPC, cookies]))).status == 200
        with anyio.fail_after(30):
            while await ledger.count(consent_id) < 2:  # noqa: ASYNC110 (the ledger signals no change)
                await anyio.sleep(0.01)

    anyio.run(visits, backend=backend)
    kept = visitor.get(f"{PREFIX}/export").json["consent_records"]
    assert [record["event"] for record in kept] == ["granted", "signal"]


@pytest.mark.parametrize("is_async", [False, True])
def test_desk_is_notified_of_request(is_async: bool, ledger: Ledger, backend: str) -> None:
    notices: list[dict[str, Any]] = []

    async def notify(notice: dict[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        notices.append(notice)

    desk = notify if is_async else notices.append
    visitor = Visitor(install(page_app(), ledger=ledger, desk=desk), backend=backend)
    assert visitor.send_form("kind=see&text=What+do+you+keep", path=f"{PREFIX}/requests").status == 201
    assert [notice["kind"] for notice in notices] == ["see"]


def test_shutdown_flushes_waiting_counts(ledger: Ledger, backend: str) -> None:
    sink = MemorySink()
    app = install(page_app(), ledger=ledger, access_log=sink)
    Visitor(app, BROWSER, backend=backend).get("/")
    sent_types: list[str] = []

    async def serving(scope: Any, receive: Any, send: Any) -> None:
        for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await receive()
            await send({"type": answer})
            assert app._site.proof is not None
            await anyio.to_thread.run_sync(
                app._site.proof.retention.wait
            )  # it uses the ledger, which the fixture closes

    async def lifespan() -> None:
        events = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Message:
            return {"type": next(events)}

        async def send(message: Message) -> None:
            sent_types.append(message["type"])

        app.app = serving
        await app({"type": "lifespan", "state": {}}, receive, send)

    anyio.run(lifespan, backend=backend)
    assert sent_types == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert {count["count.name"] for count in sink.counts} >= {"views", "asked", "asked_by_purpose"}


def test_counts_are_batched_under_trio() -> None:
    sink = MemorySink()
    app = install(page_app(), access_log=sink)

    async def visits() -> None:
        for _ in range(3):
            await response_to(app, scope(headers=BROWSER))
        assert sink.counts == []
        await trio.sleep(FLUSH_INTERVAL + 0.5)
        assert {count["count.value"] for count in sink.counts} == {3}

    trio.run(visits, clock=trio.testing.MockClock(autojump_threshold=0))


def test_hanging_ledger_refuses_answer_under_trio() -> None:
    app = install(page_app(), ledger=FaultyLedger(anyio.sleep_forever))
    same_site = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")]

    async def answers() -> int:
        body = json.dumps({"choice": "accept_all"}).encode()
        return (await response_to(app, scope("POST", PREFIX, same_site), bodies(body))).status

    assert trio.run(answers, clock=trio.testing.MockClock(autojump_threshold=0)) == 503


def test_is_traced_holds_after_response_only_in_same_task(backend: str) -> None:
    app = install(page_app(), access_log=MemorySink())
    visitor = Visitor(app, BROWSER, backend=backend)
    visitor.accept()
    cookies = ("cookie", visitor.cookies)

    async def served() -> tuple[bool, bool, bool]:
        elsewhere = []

        async def other() -> None:
            elsewhere.append(is_traced())

        await response_to(app, scope(headers=[*BROWSER, cookies]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
        return is_traced(), elsewhere[0], await anyio.to_thread.run_sync(is_traced)

    assert anyio.run(served, backend=backend) == (True, False, False)


def test_report_page_is_served(backend: str, tmp_path: Path) -> None:
    app = report_app(tmp_path / "access.jsonl", authorize=lambda request: True)
    assert Visitor(app, backend=backend).get("/").status == 200


def test_cancelled_request_does_not_cancel_report_for_others(backend: str, tmp_path: Path) -> None:
    go_on, made, status = threading.Event(), list[int](), list[int]()

    def make(*_: object, **__: object) -> dict[str, Any]:
        assert go_on.wait(30)
        made.append(1)
        raise ValueError("no such question")

    app = report_app(tmp_path / "access.jsonl", authorize=lambda request: True, make=make)

    async def two() -> None:
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(0.01):
                await response_to(app, scope(path="/"))
            tasks.start_soon(partial(anyio.to_thread.run_sync, go_on.set))
            status.append((await response_to(app, scope(path="/"))).status)

    anyio.run(two, backend=backend)
    assert (status, made) == ([400], [1])


@contextmanager
def hypercorn(log: Path, output: Path) -> Iterator[httpx.Client]:
    """Yield an HTTP client of a site that Hypercorn serves with trio. At the end, stop the server."""
    bind = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-m",
        "hypercorn",
        "--worker-class",
        "trio",
        "--bind",
        bind,
        "tests.support.sites.live_site:site()",
    ]
    stores = {"ACCESS_LOG": str(log), "LEDGER": f"sqlite:///{log}.consent.db"}
    options: dict[str, Any] = {"cwd": Path(__file__).parents[2], "env": {**os.environ, **stores}}
    with output.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, **options, **process_group_options())
    try:
        headers = {"user-agent": PHONE, "origin": f"http://{bind}"}
        transport = httpx.HTTPTransport(retries=10)
        with httpx.Client(base_url=headers["origin"], headers=headers, transport=transport, timeout=30) as visitor:
            yield visitor
        server.terminate()
        assert server.wait(30) == 0
    finally:
        kill_process_group(server)


def test_hypercorn_serves_site_with_trio(tmp_path: Path) -> None:
    log, output = tmp_path / "access.jsonl", tmp_path / "output.txt"
    with hypercorn(log, output) as visitor:
        assert visitor.post(PREFIX, json={"choice": "accept_all"}).json()["status"] == "granted"
        assert visitor.get("/").status_code == 200
        assert visitor.get("/", headers={"sec-gpc": "1"}).status_code == 200
        export = visitor.get(f"{PREFIX}/export").json()
        assert [record["url.path"] for record in export["access_records"]] == ["/", "/"]
        assert export["consent_records"][0]["event"] == "granted"
        assert visitor.post(f"{PREFIX}/erase", headers={"accept": "application/json"}).json()["erased"] == 2
        assert visitor.post(PREFIX, json={"choice": "refuse_all"}).json()["status"] == "refused"
        visitor.get("/", headers={"accept": "text/html"})
    assert "Traceback" not in output.read_text()
    assert "views" in log.with_name("access.counts.jsonl").read_text()  # written at shutdown


# What anyio does not offer.


def test_cancellation_does_not_cancel_shared_future(backend: str) -> None:
    async def work() -> None:
        shared, own = Future[int](), Future[int]()
        for future in (shared, own):
            with anyio.move_on_after(0):
                await wait_for_result(future, shared=future is shared)
        assert not shared.cancelled()
        with pytest.raises(CancelledError):
            own.result(0)

    anyio.run(work, backend=backend)


def test_future_may_complete_after_event_loop_has_ended(backend: str) -> None:
    late = Future[int]()

    async def work() -> None:
        with anyio.move_on_after(0):
            await wait_for_result(late, shared=True)

    anyio.run(work, backend=backend)
    late.set_result(1)
    assert late.result() == 1


def test_background_task_ends_with_event_loop(backend: str) -> None:
    events: list[str] = []

    async def finish() -> None:
        events.append("done")

    async def hang() -> None:
        await anyio.sleep_forever()

    async def work() -> None:
        start(finish)
        start(hang, lambda: events.append("ended"))
        await anyio.wait_all_tasks_blocked()
        assert events == ["done"]

    anyio.run(work, backend=backend)
    assert events == ["done", "ended"]


@pytest.mark.parametrize("is_trio_loaded", [True, False])
def test_background_task_needs_an_event_loop(is_trio_loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_trio_loaded:
        monkeypatch.delitem(sys.modules, "trio")
    with pytest.raises(RuntimeError):
        start(anyio.lowlevel.checkpoint)
