"""Tests of docs/frameworks.md."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from cookie_consent import ConsentMiddleware
from tests.frameworks.examples import WhatStarlettesPagesSay
from tests.frameworks.newcomer import start_example
from tests.frameworks.page import page
from tests.frameworks.running import SAME_ORIGIN, running
from tests.support.asgi import policy
from tests.support.policies import KEY

PAGE = page("fastapi")
DOCUMENTATION = ("/docs", "/docs/oauth2-redirect", "/redoc")


class TestFastAPI(WhatStarlettesPagesSay):
    page = PAGE


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_pages_about_the_api_are_left_out_and_set_no_cookies() -> None:
    async with running(start_example(PAGE).app) as visitor:
        pages: list[httpx.Response] = [await visitor.get(path) for path in DOCUMENTATION]
        asking = await visitor.get("/")
    for reply in pages:
        assert reply.status_code == 200
        assert "privacy-choices" not in reply.text
        assert "set-cookie" not in reply.headers
    assert "refuse_all" in asking.text


@pytest.mark.anyio
async def test_policy_of_ours_forbids_the_third_parties_of_the_pages_about_the_api() -> None:
    async with running(ConsentMiddleware(FastAPI(), policy(), KEY, csp="enforce")) as visitor:
        for path in ("/docs", "/redoc"):
            reply = await visitor.get(path)
            assert "https://cdn.jsdelivr.net" in reply.text
            assert "cdn.jsdelivr.net" not in reply.headers["content-security-policy"]


@pytest.mark.usefixtures("folder")
def test_endpoint_with_a_fallback_and_closed_websocket_of_the_example_follow_the_answer() -> None:
    with TestClient(start_example(PAGE).app) as client:
        branches = client.get("/branches").text
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/live-tour"):
            """It is closed at once."""
        client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        assert "The map" in client.get("/branches").text
        with client.websocket_connect("/live-tour") as socket:
            assert socket.receive_text() == "The film"
    assert branches == "Ginza, Shibuya"
    assert closed.value.code == 1008
