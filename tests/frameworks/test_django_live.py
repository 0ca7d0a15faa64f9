"""Tests of Django's app, which has no lifespan, in servers that are told to end: the last records are kept."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cookie_consent.cli.main import main
from tests.frameworks.page import page
from tests.frameworks.running import BROWSER, SAME_ORIGIN
from tests.support.servers.processes import LONGEST_START, free_port, running_program
from tests.support.waiting import POLL

pytestmark = pytest.mark.server

SERVERS: dict[str, Callable[[int], list[str]]] = {
    "uvicorn": lambda port: ["uvicorn", "app:app", "--port", str(port)],
    "hypercorn": lambda port: ["hypercorn", "app:app", "--bind", f"127.0.0.1:{port}"],
    "granian": lambda port: ["granian", "app:app", "--interface", "asgi", "--port", str(port)],
}


@pytest.mark.parametrize(
    "server",
    [
        "uvicorn",
        pytest.param("hypercorn", marks=pytest.mark.full_matrix),
        pytest.param("granian", marks=pytest.mark.full_matrix),
    ],
)
def test_last_record_is_in_the_file_when_the_server_has_ended(server: str, folder: Path) -> None:
    main(["init"])
    (folder / "app.py").write_text(page("django").files["app.py"], encoding="utf-8")
    port = free_port()
    with (
        running_program([sys.executable, "-m", *SERVERS[server](port)]) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=BROWSER, trust_env=False, timeout=30) as visitor,
    ):
        wait_until_it_answers(visitor)
        visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        for _ in range(3):
            visitor.get("/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    records = (folder / "logs" / "access.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(record)["url.path"] for record in records] == ["/"] * 3
    counts = (folder / "logs" / "access.counts.jsonl").read_text(encoding="utf-8")
    assert '"granted"' in counts


def wait_until_it_answers(visitor: httpx.Client) -> None:
    end = time.monotonic() + LONGEST_START
    while True:
        try:
            visitor.get("/privacy-choices/state")
        except httpx.ConnectError:
            assert time.monotonic() < end
            time.sleep(POLL)
        else:
            return
