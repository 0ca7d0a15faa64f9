"""Tests of `requires` for developers: the type of what it decorates, and the status without consent.

What `assert_type` says is checked by mypy, which runs on the tests too.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

import pytest
from fastapi import BackgroundTasks, Depends
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware, requires
from tests.http.test_features import HTML, fastapi_site, site, site_with
from tests.support.asgi import Visitor, call, policy
from tests.support.policies import KEY

# Types.


@requires("media")
async def async_tour(request: Request, zoom: int = 1) -> HTMLResponse:
    return HTMLResponse(f"the tour at {zoom}")


@requires("media")
def sync_tour(request: Request) -> HTMLResponse:
    return HTMLResponse("the tour")


@requires("media")
class Tour(HTTPEndpoint):
    name = "the tour"

    async def get(self, request: Request) -> Response:
        return PlainTextResponse(self.name)


class Tours:
    @requires("media")
    def shortest(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("the shortest")


def test_endpoint_keeps_its_type() -> None:
    assert_type(sync_tour(Request(granted())), HTMLResponse)
    assert_type(Tours().shortest(Request(granted())), PlainTextResponse)
    assert_type(Tour.name, str)
    assert_type(Tour(Request(granted()).scope, *never), Tour)
    kept: Callable[[Request], Coroutine[Any, Any, HTMLResponse]] = async_tour
    assert asyncio.run(kept(Request(granted()))).body == b"the tour at 1"
    with pytest.raises(TypeError):
        asyncio.run(async_tour(Request(granted()), zooom=2))  # type: ignore[call-arg]
    assert (inspect.iscoroutinefunction(async_tour), inspect.iscoroutinefunction(sync_tour)) == (True, False)


def test_dependency_has_type_none() -> None:
    check = requires("media")
    assert_type(check(Request(granted())), None)


async def unused(*_: Any) -> Any:
    raise AssertionError("not reached")


never = (unused, unused)


def granted() -> dict[str, Any]:
    """Return the scope of a request whose visitor has granted everything."""
    return scope_after(Visitor.accept)


def refused() -> dict[str, Any]:
    """Return the scope of a request whose visitor has refused everything."""
    return scope_after(Visitor.refuse)


def scope_after(answer: Callable[[Visitor], Any]) -> dict[str, Any]:
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await PlainTextResponse("ok")(scope, receive, send)

    visitor = Visitor(ConsentMiddleware(app, policy=policy(), secret_keys=KEY))
    answer(visitor)
    visitor.get()
    return scopes[0]


# What is sent without consent.


async def _async_list(request: Request) -> Any:
    return ["Tokyo"]


def _sync_list(request: Request) -> Any:
    return PlainTextResponse("a list")


class _Listing:
    async def __call__(self, request: Request) -> Any:
        return ["Osaka"]


class _ListClass(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("a list", 202)


FALLBACKS = {
    "none": (None, 200, "message"),
    "async function": (_async_list, 200, "Tokyo"),
    "function": (_sync_list, 200, "a list"),
    "object": (_Listing(), 200, "Osaka"),
    "class": (_ListClass, 202, "a list"),
}
KINDS = ["async", "sync", "class", "dependency"]


def site_of(kind: str, fallback: Any, status: int | None) -> Visitor:
    """Return a visitor of a site with an endpoint of a kind at /tour."""
    needs = requires("media", fallback=fallback, status=status)
    if kind == "dependency":
        app, visitor = fastapi_site()

        @app.get("/tour", dependencies=[Depends(needs)])
        async def tour() -> Response:
            return PlainTextResponse("the tour")

        visitor.headers = []
        return visitor
    async_endpoint, sync_endpoint = (inspect.unwrap(endpoint) for endpoint in (async_tour, sync_tour))
    endpoint = {"async": needs(async_endpoint), "sync": needs(sync_endpoint), "class": needs(_TourClass)}[kind]
    return Visitor(site(Route("/tour", endpoint)))


class _TourClass(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("the tour")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [None, 403])
@pytest.mark.parametrize("fallback", FALLBACKS)
def test_status_is_that_of_what_is_sent_without_consent(kind: str, status: int | None, fallback: str) -> None:
    endpoint, own_status, text = FALLBACKS[fallback]
    visitor = site_of(kind, endpoint, status)
    reply = visitor.get("/tour")
    assert reply.status == (status or own_status)
    assert text in reply.text
    visitor.accept()
    granted = visitor.get("/tour")
    assert (granted.status, granted.text[:8]) == (200, "the tour")


@pytest.mark.parametrize("status", [100, 199, 204, 205, 304, 600, "403"])
def test_status_without_body_is_refused(status: Any) -> None:
    with pytest.raises(ValueError, match=rf"status={status} is none of a response with a body, such as 200 or 403"):
        requires("media", status=status)


def test_page_with_another_status_keeps_its_button() -> None:
    async def tour(request: Request) -> Response:
        raise AssertionError("not reached")

    reply = call(site_with(requires("media", status=451)(tour)), path="/map", headers=HTML)
    assert (reply.status, 'value="grant"' in reply.text, "accept_all" in reply.text) == (451, True, False)


def test_background_tasks_run_after_a_fallback_that_is_awaited_later() -> None:
    ran: list[str] = []
    app, visitor = fastapi_site()

    def note(tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "task")

    @app.get("/tour", dependencies=[Depends(note)])
    @requires("media", fallback=_async_list)
    def tour(request: Request) -> Response:
        raise AssertionError("not reached")

    assert visitor.get("/tour").json == ["Tokyo"]
    assert ran == ["task"]


def test_decorated_endpoint_may_be_an_object_that_is_awaited() -> None:
    assert call(site(Route("/tour", requires("necessary")(_Listener()))), path="/tour").text == "heard"


class _Listener:
    async def __call__(self, request: Request) -> Response:
        return PlainTextResponse("heard")


@pytest.mark.parametrize("status", [None, 403])
def test_endpoint_that_asks_itself_gets_the_status_too(status: int | None) -> None:
    async def tour(request: Request) -> Response:
        return PlainTextResponse("" if requires("media", status=status).unmet(request) else "the tour")

    visitor = Visitor(site(Route("/tour", tour)))
    reply = visitor.get("/tour")
    assert (reply.status, reply.json["missing"]) == (status or 200, ["media"])
    visitor.accept()
    assert visitor.get("/tour").text == "the tour"


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_endpoint_without_request_of_starlette_gives_nothing_or_its_fallback(kind: str) -> None:
    class OtherRequest:
        scope = refused()

    def show(request: Any) -> str:
        raise AssertionError("not reached")

    async def show_later(request: Any) -> str:
        raise AssertionError("not reached")

    for fallback, sent in ((None, None), (lambda request: "a list", "a list")):
        endpoint = requires("media", fallback=fallback)(show if kind == "sync" else show_later)
        result: Any = endpoint(OtherRequest())
        assert (asyncio.run(result) if kind == "async" else result) == sent


def test_request_may_have_another_name_and_no_annotation() -> None:
    endpoint = requires("media")(lambda incoming: PlainTextResponse("the tour"))
    visitor = Visitor(site(Route("/tour", endpoint)))
    assert visitor.get("/tour").json["missing"] == ["media"]
    visitor.accept()
    assert visitor.get("/tour").text == "the tour"
