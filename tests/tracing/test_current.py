"""Who asks during a request learns of that request; where nobody can know, nothing is allowed."""

from __future__ import annotations

import asyncio

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.current import begin, is_traced
from tests.support.asgi import SITE, Visitor, answer_to, answering, bodies, call, drive, install, scope
from tests.support.asgi import scope as request_of

OTHER_SITE = SITE.replace('path = "/whois"', 'path = "/nothing"')
SIGNALLED = (
    SITE
    + """
[signals]
gpc = ["analytics"]
"""
)


def asking(told: list[bool]) -> ASGIApp:
    """Return an app that notes what is told during each request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(is_traced())
        await answering()(scope, receive, send)

    return app


def cookies_of_somebody_who_grants(text: str = SITE) -> str:
    visitor = Visitor(install(text=text))
    visitor.accept()
    return "; ".join(f"{name}={value}" for name, value in visitor.jar.items())


def test_outside_of_any_request_nothing_is_allowed() -> None:
    assert not is_traced()


def test_each_request_is_told_of_its_own_visitor() -> None:
    told: list[bool] = []
    app = install(asking(told), SIGNALLED)
    granting, refusing, silent = Visitor(app), Visitor(app), Visitor(app)
    granting.accept()
    refusing.refuse()
    for visitor in (granting, refusing, silent, granting):
        visitor.get()
    granting.get(headers=[("sec-gpc", "1")])
    assert told == [True, False, False, True, False]


def test_a_websocket_is_told_too() -> None:
    told: list[bool] = []
    app = install(asking(told))
    for headers in ([("cookie", cookies_of_somebody_who_grants())], []):
        asyncio.run(drive(app, scope(headers=headers, kind="websocket"), [{"type": "websocket.connect"}]))
    assert told == [True, False]


def test_our_own_endpoints_are_nobodys_visit() -> None:
    told: list[bool] = []

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        await install()(scope, receive, send)
        told.append(is_traced())

    cookies = ("cookie", cookies_of_somebody_who_grants())
    call(server, path="/privacy-choices", headers=[cookies])
    call(server, path="/", headers=[cookies])
    assert told == [False, True]


def test_what_the_server_writes_after_the_app_has_failed_is_still_about_the_request() -> None:
    told: list[bool] = []

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def serve(cookies: str) -> None:
        with pytest.raises(RuntimeError, match="broken"):
            await drive(install(broken), request_of(headers=[("cookie", cookies)]))
        told.append(is_traced())

    for cookies in (cookies_of_somebody_who_grants(), ""):
        asyncio.run(serve(cookies))
    assert told == [True, False]


def test_a_thread_of_the_request_is_told_and_one_that_outlives_it_is_not() -> None:
    told: list[bool] = []
    later = []

    async def note_later(go_on: asyncio.Event) -> None:
        await go_on.wait()
        told.append(is_traced())
        told.append(await run_in_threadpool(is_traced))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(await run_in_threadpool(is_traced))
        go_on = asyncio.Event()
        later.append((go_on, asyncio.create_task(note_later(go_on))))
        await answering()(scope, receive, send)

    request = request_of(headers=[("cookie", cookies_of_somebody_who_grants())])

    async def serve() -> None:
        await asyncio.create_task(answer_to(install(app), request))
        ((go_on, task),) = later
        go_on.set()
        await task

    asyncio.run(serve())
    assert told == [True, False, False]


def test_of_several_middlewares_all_have_to_allow_it() -> None:
    told: list[bool] = []
    lenient, strict = OTHER_SITE, SITE  # where all who come to /whois count as having refused
    cookies = ("cookie", cookies_of_somebody_who_grants(lenient))
    for outer, inner in ((lenient, strict), (strict, lenient), (lenient, lenient)):
        call(install(install(asking(told), inner), outer), path="/whois", headers=[cookies])
    assert told == [False, False, True]


def test_a_site_that_calls_itself_for_somebody_else_does_not_lend_a_consent() -> None:
    told: list[bool] = []
    cookies = cookies_of_somebody_who_grants()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/outer":
            await answer_to(site, request_of(path="/inner", headers=[("cookie", cookies)]))
            await answer_to(site, request_of(path="/inner", headers=[("cookie", cookies)]))
        told.append(is_traced())
        await answering()(scope, receive, send)

    site = install(app)

    async def serve() -> None:
        await answer_to(site, request_of(path="/outer"), bodies(b""))
        told.append(is_traced())

    asyncio.run(serve())
    assert told == [False, False, False, False]


def test_behind_a_middleware_that_runs_the_app_in_another_task_nobody_can_know() -> None:
    told: list[bool] = []

    async def passing(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    site = BaseHTTPMiddleware(install(asking(told)), dispatch=passing)

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            told.append(is_traced())
            await send(message)

        await site(scope, receive, sending)

    request = request_of(headers=[("cookie", cookies_of_somebody_who_grants())])
    asyncio.run(drive(server, request, bodies(b"")))
    assert told[0]
    assert not any(told[1:])


def test_under_another_event_loop_requests_are_told_while_they_run() -> None:
    """No loop of asyncio runs here; steps of the app are taken by hand, as trio would."""
    told: list[bool] = []

    async def receive() -> Message:
        raise AssertionError("nobody asks")

    async def send(message: Message) -> None:
        """Take it."""

    async def served() -> None:
        request = begin(request_of())
        request.decide(traced=True)
        await asking(told)(request_of(), receive, send)
        request.end()
        told.append(is_traced())

    with pytest.raises(StopIteration):
        served().send(None)
    assert told == [True, False]
