"""Tests of a site under trio, where asyncio is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
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

from cookie_consent.report.live.app import report_app
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.counts import FLUSH_INTERVAL
from tests.support.asgi import PHONE, PREFIX, bodies, install, page_app, response_to, scope
from tests.support.faulty_ledger import FaultyLedger
from tests.support.servers.processes import free_port, kill_process_group, process_group_options

pytestmark = pytest.mark.server

BROWSER = (("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document"))
GPC = ("sec-gpc", "1")


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
