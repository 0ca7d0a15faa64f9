"""Tests of docs/frameworks/nicegui.md. The socket in a browser is tested in tests/browser/test_nicegui.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.newcomer import lifetimes, start_example
from tests.frameworks.page import ROOT, page
from tests.frameworks.running import SAME_ORIGIN, running

PAGE = page("nicegui")
DAY = 86_400
STEPS = {
    "first steps": 'import asyncio; asyncio.run(take_first_steps(page("nicegui")))',
    "tests": 'run_tests(page("nicegui"))',
}


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_page_leads_to_a_record_and_its_tests_pass(step: str, folder: Path) -> None:
    """A process has one NiceGUI. This one has that of the example."""
    code = (
        "from tests.frameworks.newcomer import run_tests, take_first_steps\n"
        f"from tests.frameworks.page import page\n{STEPS[step]}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The example, with its storage in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("nicegui"))
        patch.setenv("CONSENT_KEY", "a key of the tests, long enough to be one")
        patch.setenv("NICEGUI_STORAGE_PATH", "storage")
        yield start_example(PAGE)


@pytest.mark.anyio
async def test_example_follows_the_answer_and_its_session_passes_before_consent(example: Any) -> None:
    """NiceGUI starts once in a process, so one test visits all pages."""
    paths = ("/suggestions", "/offices", "/tour")
    async with running(example.app) as visitor:
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
