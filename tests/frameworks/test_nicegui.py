"""Tests of docs/frameworks.md. The socket in a browser is tested in tests/browser/test_nicegui.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks.newcomer import SAME_ORIGIN, lifetimes, run_tests, running, start_example, take_first_steps
from tests.frameworks.page import ROOT, page

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


PATHS: dict[str, tuple[tuple[str, ...], str]] = {
    "/suggestions": (("For everybody",), "For you"),
    "/offices": (("The map is switched off.",), "maps.example.com"),
    "/tour": (("The map is switched off.", 'value="grant"'), "The film"),
}
"""Path of the example -> what its page says before consent, and after it."""


async def visit_example() -> None:
    """Visit the pages of the example before and after the answer. The session passes before it."""
    async with running(start_example(PAGE).app) as visitor:
        assert lifetimes(await visitor.get("/")) == {"session": 14 * DAY}
        assert "Visit 2." in (await visitor.get("/")).text
        compressed = await visitor.get("/suggestions", headers={"accept-encoding": "gzip"})
        assert compressed.headers["content-encoding"] == "gzip"
        assert "refuse_all" in compressed.text
        socket = await visitor.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id=none")
        assert '"upgrades":["websocket"]' in socket.text
        assert "set-cookie" not in socket.headers
        for path, (before, _) in PATHS.items():
            text = (await visitor.get(path)).text
            assert [part for part in before if part not in text] == []
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        for path, (_, after) in PATHS.items():
            assert after in (await visitor.get(path)).text
