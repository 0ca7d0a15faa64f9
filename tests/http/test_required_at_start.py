"""Tests that what a route requires and the policy lacks stops the start, where that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.http.requires import Requires
from tests.support.asgi import policy, reply_app
from tests.support.policies import KEY


def page(request: Request) -> Response:
    return PlainTextResponse("a page")


def starlette(*routes: Any, **options: Any) -> Starlette:
    return Starlette(routes=routes, **options)


def with_dependency(app: Any, needs: Requires, **where: Any) -> Any:
    """Return an app or a router with an endpoint that depends on what it needs."""
    app.get("/map", dependencies=[Depends(needs)], **where)(lambda: "a page")
    return app


def with_parameter(needs: Requires) -> FastAPI:
    def endpoint(allowed: None = Depends(needs)) -> str:
        return "a page"

    app = FastAPI()
    app.get("/map")(endpoint)
    return app


def with_router(router: APIRouter, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(router, prefix="/maps", **options)
    return app


def with_websocket(needs: Requires) -> FastAPI:
    async def endpoint(allowed: None = Depends(needs)) -> None: ...

    app = FastAPI()
    app.websocket("/map")(endpoint)
    return app


def plain_router() -> APIRouter:
    router = APIRouter()
    router.get("/map")(lambda: "a page")
    return router


APPS: dict[str, Callable[[Requires], Any]] = {
    "decorated": lambda needs: starlette(Route("/map", needs(page))),
    "class": lambda needs: starlette(Route("/map", needs(HTTPEndpoint))),
    "mounted router": lambda needs: starlette(Mount("/maps", Router([Route("/map", needs(page))]))),
    "mounted app behind middleware": lambda needs: starlette(
        Mount("/maps", starlette(Route("/map", needs(page)), middleware=[Middleware(GZipMiddleware)]))
    ),
    "app that a middleware wraps": lambda needs: starlette(
        Mount("/maps", GZipMiddleware(starlette(Route("/map", needs(page)))))
    ),
    "FastAPI's endpoint": lambda needs: with_dependency(FastAPI(), needs),
    "FastAPI's parameter": with_parameter,
    "FastAPI's router": lambda needs: with_router(with_dependency(APIRouter(), needs)),
    "where a router is included": lambda needs: with_router(plain_router(), dependencies=[Depends(needs)]),
    "FastAPI's websocket": with_websocket,
}
OPTIONS: dict[str, Any] = {"policy": policy(), "secret_keys": [KEY]}


@pytest.mark.parametrize("app", APPS)
def test_unknown_purpose_of_a_route_stops_the_start(app: str) -> None:
    make = APPS[app]
    with pytest.raises(ValueError, match=r'^requires\(\): there is no purpose "medai"\. Did you mean "media"\?'):
        ConsentMiddleware(make(requires("medai")), **OPTIONS)
    ConsentMiddleware(make(requires("media", "necessary")), **OPTIONS)


@pytest.mark.parametrize("name", ["decorated", "FastAPI's router"])
def test_server_is_told_of_it_at_its_start(name: str) -> None:
    app = APPS[name](requires("medai"))
    app.add_middleware(ConsentMiddleware, **OPTIONS)
    sent = list[Message]()

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(ValueError, match="medai"):
        asyncio.run(app({"type": "lifespan", "state": {}}, receive, send))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert 'requires(): there is no purpose "medai"' in sent[0]["message"]


@pytest.mark.parametrize(
    ("needs", "problem"),
    [
        (requires("map"), r'requires\(\): there is no purpose "map"\. .*"map" is a feature: name its purposes, "m'),
        (requires("media", feature="mapp"), r'requires\(\): there is no feature "mapp"\. Did you mean "map"\?'),
        (requires("media", feature="media"), r'requires\(\): there is no feature "media"'),
    ],
)
def test_purpose_and_feature_are_told_apart(needs: Requires, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ConsentMiddleware(APPS["decorated"](needs), **OPTIONS)


def test_mounted_site_requires_what_its_own_policy_has() -> None:
    inner = Starlette(routes=[Route("/map", requires("postcards")(page))])
    own = ConsentMiddleware(reply_app(), **OPTIONS)
    inner.add_middleware(ConsentMiddleware, policy="of-its-own.toml", secret_keys=[KEY])
    site = ConsentMiddleware(Starlette(routes=[Mount("/inner", inner), Mount("/own", own)]), **OPTIONS)
    assert site.prefix


class Endless:
    """An app that has every attribute."""

    def __getattr__(self, name: str) -> Endless:
        return Endless()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("a page")(scope, receive, send)


class Unready:
    """An app whose routes are not made yet."""

    @property
    def routes(self) -> list[Any]:
        raise RuntimeError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("a page")(scope, receive, send)


def test_apps_of_other_kinds_start() -> None:
    looped = Router()
    looped.routes.append(Mount("/again", looped))
    for app in (Endless(), Unready(), looped):
        assert TestClient(ConsentMiddleware(app, **OPTIONS)).get("/").status_code in (200, 404)
