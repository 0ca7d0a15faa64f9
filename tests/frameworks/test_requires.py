"""Tests of `requires` in frameworks other than Starlette and FastAPI: as a decorator, and asked in the endpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

import falcon
import falcon.asgi
import httpx
import pytest

from cookie_consent import ConsentMiddleware, requires
from tests.frameworks.running import running
from tests.support.asgi import policy
from tests.support.policies import KEY

HTML = {"accept": "text/html", "accept-language": "en"}
JSON = {"accept": "application/json"}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}

needs_media = requires("media")


def falcon_app() -> Any:
    class Map:
        async def on_get_list(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            resp.text = "a list"

        @requires("media")
        async def on_get_decorated(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            resp.text = "the map"

        @requires("media", fallback=on_get_list)
        async def on_get_fallback(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            resp.text = "the map"

        async def on_get_asked(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            if not needs_media.unmet(req):
                resp.text = "the map"

    app = falcon.asgi.App()
    for path in ("decorated", "fallback", "asked"):
        app.add_route(f"/{path}", Map(), suffix=path)
    return app


def app_of_full(name: str) -> Any:
    """Return the app of another framework as a value of a parameter, which runs in the full matrix only."""
    return pytest.param(lambda: app_named(name), marks=pytest.mark.full_matrix, id=name)


def app_named(name: str) -> Any:
    return getattr(import_module("tests.frameworks.requiring_apps"), name)()


APPS = [falcon_app, app_of_full("litestar_app"), app_of_full("quart_app"), app_of_full("blacksheep_app")]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/decorated", "/asked"])
@pytest.mark.parametrize("make_app", APPS)
async def test_page_explains_until_the_purpose_is_granted(
    make_app: Callable[[], Any], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(ConsentMiddleware(make_app(), policy(), KEY)) as client:
            page = await client.get(path, headers=HTML)
            data = await client.get(path, headers=JSON)
            await client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
            granted = await client.get(path, headers=JSON)
    assert page.status_code == data.status_code == 200
    assert "No map without consent." in page.text
    assert 'value="grant"' in page.text
    assert page.headers["cache-control"] == "no-store"
    assert data.json()["missing"] == ["media"]
    assert granted.text == "the map"
    assert caplog.messages == []


@pytest.mark.anyio
@pytest.mark.parametrize("make_app", APPS)
async def test_fallback_responds_in_the_words_of_the_framework(make_app: Callable[[], Any]) -> None:
    async with running(ConsentMiddleware(make_app(), policy(), KEY)) as client:
        refused: httpx.Response = await client.get("/fallback", headers=JSON)
        await client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        granted = await client.get("/fallback", headers=JSON)
    assert refused.text == "a list"
    assert granted.text == "the map"
