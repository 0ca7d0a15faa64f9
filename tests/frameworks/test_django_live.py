"""Tests of Django's app, which has no lifespan, in servers that are told to end: the last records are kept."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cookie_consent.cli.main import main
from tests.frameworks.page import page
from tests.frameworks.running import BROWSER, SAME_ORIGIN
from tests.support.servers.processes import free_port, running_program, wait_for_port

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
        wait_for_port(port)
        visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        for _ in range(3):
            visitor.get("/")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)
    records = (folder / "logs" / "access.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(record)["url.path"] for record in records] == ["/"] * 3
    counts = (folder / "logs" / "access.counts.jsonl").read_text(encoding="utf-8")
    assert '"granted"' in counts
