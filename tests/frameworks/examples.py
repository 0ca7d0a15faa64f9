"""What the tests of each framework's example have in common: how visitors use it, before and after an answer."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from tests.frameworks.newcomer import lifetimes
from tests.frameworks.page import FALLBACK
from tests.frameworks.running import SAME_ORIGIN, running

DAY = 86_400


async def check_cookies(site: Any, app: Any, expected: dict[str, int | None], path: str = "/") -> None:
    """Check that a framework sets these cookies, and that all pass before anybody answered, for as long.

    Args:
        site: the framework's app.
        app: the same app with the middleware in front.
        expected: name -> for how many seconds; None until the browser closes.
        path: a page that sets them, and does not ask for the decision.
    """
    async with running(site) as visitor:
        own = await visitor.get(path)
    async with running(app) as visitor:
        passed = await visitor.get(path)
    assert lifetimes(own) == expected
    assert lifetimes(passed) == expected


async def check_features(app: Any) -> None:
    """Check the pages of an example whose features need consent, before and after everything is granted."""
    paths = ("/suggestions", "/tour", "/offices")
    async with running(app) as visitor:
        off = [(await visitor.get(path)).text.strip() for path in paths]
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        on = [(await visitor.get(path)).text.strip() for path in paths]
    assert off[0] == '["for everybody"]'
    assert all(FALLBACK in page and 'value="grant"' in page for page in off[1:])
    assert on[0] == '["for you"]'
    assert "The film" in on[1]
    assert "<iframe" in on[2]
    assert "/privacy-choices?language=en" in on[2]


async def check_compression(app: Any) -> None:
    """Check that a page which is sent compressed asks, and after an answer has the link to the settings."""
    async with running(app) as visitor:
        asking = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
        await visitor.post("/privacy-choices", json={"choice": "refuse_all"}, headers=SAME_ORIGIN)
        answered = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
    assert [page.headers["content-encoding"] for page in (asking, answered)] == ["gzip", "gzip"]
    assert "refuse_all" in asking.text
    assert 'class="pchoice-way-back"' in answered.text


def check_websocket(client: TestClient) -> None:
    """Check what an example's websocket says, before and after everything is granted."""
    said = []
    for choice in (None, "accept_all"):
        if choice:
            client.post("/privacy-choices", json={"choice": choice}, headers=SAME_ORIGIN)
        with client.websocket_connect("/live") as socket:
            said.append(socket.receive_json())
    assert said == [{"media": False}, {"media": True}]
