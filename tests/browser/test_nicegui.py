"""Tests of NiceGUI's pages, which stay connected to the server, before and after the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.frameworks.newcomer import write_policy
from tests.frameworks.page import EXAMPLES, page
from tests.support.browsers.visitor_browser import NewVisitor, Sites
from tests.support.servers.processes import free_port, running_program, wait_for_port

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The example for NiceGUI, in a server that takes websockets."""
    folder, port = tmp_path_factory.mktemp("nicegui"), free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "nicegui_app:app", "--port", str(port)]
    key = {**os.environ, "CONSENT_KEY": "a key of the tests, long enough to be one"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_policy(page("nicegui"))
        with running_program(command, env=key):
            wait_for_port(port)
            yield Sites(f"http://127.0.0.1:{port}", "", folder / "access.jsonl")


TRANSPORT = "window.did_handshake ? window.socket.io.engine.transport.name : ''"


def more_of(opened: Page) -> str:
    """Press a button that the server answers over the socket, and return the answer."""
    opened.get_by_role("button", name="More", exact=True).click()
    answer = opened.get_by_text("More for")
    expect(answer).to_be_visible()
    return answer.inner_text()


def test_page_stays_connected_and_is_loaded_again_after_the_answer(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/suggestions")
    assert more_of(visitor.page) == "More for everybody"
    assert visitor.page.evaluate(TRANSPORT) == "websocket"
    visitor.choice("accept_all").click()
    expect(visitor.page.get_by_text("For you")).to_be_visible()
    assert more_of(visitor.page) == "More for you"
    assert visitor.page.evaluate(TRANSPORT) == "websocket"
    assert {"session", "consent"} <= set(visitor.cookies)
