"""Tests of docs/frameworks.md. The socket in a browser is tested in tests/browser/test_nicegui.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks.newcomer import lifetimes, run_tests, start_example, take_first_steps
from tests.frameworks.page import ROOT, page
from tests.frameworks.running import SAME_ORIGIN, running

__all__ = ["PAGE", "run_tests", "take_first_steps", "visit_example"]

PAGE = page("nicegui")
DAY = 86_400
STEPS = {
    "first steps": "import asyncio; asyncio.run(take_first_steps(PAGE))",
    "tests": "run_tests(PAGE)",
    "example": "import asyncio; asyncio.run(visit_example())",
}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_what_the_page_says_works(step: str, folder: Path) -> None:
    """A process has one NiceGUI, which looks at all objects of the process when it starts, also at Django's."""
    code = f"from tests.frameworks.test_nicegui import *; {STEPS[step]}"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)


async def visit_example() -> None:
    """Visit the pages of the example before and after the answer. The session passes before it."""
    paths = ("/suggestions", "/offices", "/tour")
    async with running(start_example(PAGE).app) as visitor:
        first, second = await visitor.get("/"), await visitor.get("/")
        compressed = await visitor.get("/suggestions", headers={"accept-encoding": "gzip"})
        socket = await visitor.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id=none")
        off = [(await visitor.get(path)).text for path in paths]
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        on = [(await visitor.get(path)).text for path in paths]
    assert lifetimes(first) == {"session": 14 * DAY}
    assert "Visit 2." in second.text
    assert compressed.headers["content-encoding"] == "gzip"
    assert "refuse_all" in compressed.text
    assert socket.status_code == 200
    assert '"upgrades":["websocket"]' in socket.text
    assert "set-cookie" not in socket.headers
    for text, expected in zip(
        off, ("For everybody", "The map is switched off.", "The map is switched off."), strict=True
    ):
        assert expected in text
    assert 'value="grant"' in off[2]
    for text, expected in zip(on, ("For you", "maps.example.com", "The film"), strict=True):
        assert expected in text
