"""Tests of `is_traced`: may the running request be traced? Where the request is unknown, it may not."""

from __future__ import annotations

import asyncio

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.current import begin, is_traced
from tests.support.asgi import SITE, Visitor, bodies, call, drive, install, reply_app, response_to
from tests.support.asgi import scope as request_of

OTHER_SITE = SITE.replace('path = "/whois"', 'path = "/nothing"')
SIGNALLED = (
    SITE
    + """
[signals]
gpc = ["analytics"]
"""
)


def noting_app(seen: list[bool]) -> ASGIApp:
    """Return an app that notes during each request whether it is traced."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(is_traced())
        await reply_app()(scope, receive, send)

    return app


def cookies_of_granting_visitor(text: str = SITE) -> str:
    visitor = Visitor(install(text=text))
    visitor.accept()
    return "; ".join(f"{name}={value}" for name, value in visitor.jar.items())


def test_code_outside_requests_is_not_traced() -> None:
    assert not is_traced()


def test_request_has_the_decision_of_its_visitor() -> None:
    seen: list[bool] = []
    app = install(noting_app(seen), SIGNALLED)
    granting, refusing, silent = Visitor(app), Visitor(app), Visitor(app)
    granting.accept()
    refusing.refuse()
    for visitor in (granting, refusing, silent, granting):
        visitor.get()
    granting.get(headers=[("sec-gpc", "1")])
    assert seen == [True, False, False, True, False]


def test_request_with_another_consent_is_not_traced() -> None:
    seen: list[bool] = []
    visitor = Visitor(install(noting_app(seen)))
    visitor.save(media=True)
    visitor.get()
    visitor.get(headers=[("sec-gpc", "1")])
    assert seen == [False, False]


def test_websocket_has_the_decision_of_its_visitor() -> None:
    seen: list[bool] = []
    app = install(noting_app(seen))
    for headers in ([("cookie", cookies_of_granting_visitor())], []):
        asyncio.run(drive(app, request_of(headers=headers, kind="websocket"), [{"type": "websocket.connect"}]))
    assert seen == [True, False]


def test_own_endpoints_are_not_traced() -> None:
    seen: list[bool] = []

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        await install()(scope, receive, send)
        seen.append(is_traced())

    cookies = ("cookie", cookies_of_granting_visitor())
    call(server, path="/privacy-choices", headers=[cookies])
    call(server, path="/", headers=[cookies])
    assert seen == [False, True]


def test_decision_remains_after_the_app_raised() -> None:
    seen: list[bool] = []

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def serve(cookies: str) -> None:
        with pytest.raises(RuntimeError, match="broken"):
            await drive(install(broken), request_of(headers=[("cookie", cookies)]))
        seen.append(is_traced())

    for cookies in (cookies_of_granting_visitor(), ""):
        asyncio.run(serve(cookies))
    assert seen == [True, False]


def test_thread_has_the_decision_only_during_the_request() -> None:
    seen: list[bool] = []
    later = []

    async def note_later(go_on: asyncio.Event) -> None:
        await go_on.wait()
        seen.append(is_traced())
        seen.append(await run_in_threadpool(is_traced))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await run_in_threadpool(is_traced))
        go_on = asyncio.Event()
        later.append((go_on, asyncio.create_task(note_later(go_on))))
        await reply_app()(scope, receive, send)

    request = request_of(headers=[("cookie", cookies_of_granting_visitor())])

    async def serve() -> None:
        await asyncio.create_task(response_to(install(app), request))
        ((go_on, task),) = later
        go_on.set()
        await task

    asyncio.run(serve())
    assert seen == [True, False, False]


def test_nested_middlewares_must_all_allow_tracing() -> None:
    seen: list[bool] = []
    lenient, strict = OTHER_SITE, SITE  # which refuses tracing below /whois
    cookies = ("cookie", cookies_of_granting_visitor(lenient))
    for outer, inner in ((lenient, strict), (strict, lenient), (lenient, lenient)):
        call(install(install(noting_app(seen), inner), outer), path="/whois", headers=[cookies])
    assert seen == [False, False, True]


def test_consent_of_inner_request_does_not_reach_outer_request() -> None:
    seen: list[bool] = []
    cookies = cookies_of_granting_visitor()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/outer":
            await response_to(site, request_of(path="/inner", headers=[("cookie", cookies)]))
            await response_to(site, request_of(path="/inner", headers=[("cookie", cookies)]))
        seen.append(is_traced())
        await reply_app()(scope, receive, send)

    site = install(app)

    async def serve() -> None:
        await response_to(site, request_of(path="/outer"), bodies(b""))
        seen.append(is_traced())

    asyncio.run(serve())
    assert seen == [False, False, False, False]


def test_decision_is_unknown_outside_the_task_of_the_app() -> None:
    seen: list[bool] = []

    async def passing(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    site = BaseHTTPMiddleware(install(noting_app(seen)), dispatch=passing)

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            seen.append(is_traced())
            await send(message)

        await site(scope, receive, sending)

    request = request_of(headers=[("cookie", cookies_of_granting_visitor())])
    asyncio.run(drive(server, request, bodies(b"")))
    assert seen[0]
    assert not any(seen[1:])


def test_running_request_has_the_decision_without_asyncio() -> None:
    """No loop of asyncio runs here: the test takes the steps of the app by hand, as trio does."""
    seen: list[bool] = []

    async def receive() -> Message:
        raise AssertionError("the app does not read the request")

    async def send(message: Message) -> None:
        """Ignore the message."""

    async def served() -> None:
        request = begin(request_of())
        request.decide(traced=True)
        await noting_app(seen)(request_of(), receive, send)
        request.is_running = False
        seen.append(is_traced())

    with pytest.raises(StopIteration):
        served().send(None)
    assert seen == [True, False]
