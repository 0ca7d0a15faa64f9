"""Tests of `is_traced`: may the running request be traced? Where the request is unknown, it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.concurrency import run_in_threadpool
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.current import begin, is_traced
from tests.support.asgi import SITE, Fields, Visitor, bodies, call, drive, install, reply_app, response_to, scope

OTHER_SITE = SITE.replace('path = "/whois"', 'path = "/nothing"')
GPC_REFUSES = f'{SITE}\n[signals]\ngpc = ["analytics"]\n'


@pytest.fixture
def seen() -> list[bool]:
    """Whether tracing was allowed, each time that the test looked."""
    return []


@pytest.fixture
def app(seen: list[bool]) -> ASGIApp:
    """An app that notes during each request whether it is traced."""

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(is_traced())
        await reply_app()(scope, receive, send)

    return note


def cookies_of(answer: Callable[[Visitor], object] = Visitor.accept, text: str = SITE) -> Fields:
    """Return the header field with the cookies of a visitor after an answer."""
    visitor = Visitor(install(text=text))
    answer(visitor)
    return [("cookie", visitor.cookies)]


@pytest.mark.parametrize(
    ("answer", "signal", "expected"),
    [
        (Visitor.accept, [], True),
        (Visitor.accept, [("sec-gpc", "1")], False),
        (Visitor.refuse, [], False),
        (lambda visitor: visitor.save(media=True), [], False),
        (lambda visitor: visitor, [], False),
    ],
    ids=["granted", "granted, and a signal", "refused", "another purpose granted", "no answer"],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_request_has_the_decision_of_its_visitor(
    kind: str, answer: Callable[[Visitor], object], signal: Fields, expected: bool, app: ASGIApp, seen: list[bool]
) -> None:
    request = scope(headers=[*cookies_of(answer, GPC_REFUSES), *signal], kind=kind)
    asyncio.run(drive(install(app, GPC_REFUSES), request, [{"type": f"{kind}.request"}]))
    assert seen == [expected]
    assert not is_traced(), "outside requests"


def test_own_endpoints_are_not_traced(seen: list[bool]) -> None:
    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        await install()(scope, receive, send)
        seen.append(is_traced())

    for path in ("/privacy-choices", "/"):
        call(server, path=path, headers=cookies_of())
    assert seen == [False, True]


@pytest.mark.parametrize("headers", [cookies_of(), []], ids=["granted", "no answer"])
def test_decision_remains_after_the_app_raised(headers: Fields) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def serve() -> bool:
        with pytest.raises(RuntimeError, match="broken"):
            await drive(install(broken), scope(headers=headers))
        return is_traced()

    assert asyncio.run(serve()) is bool(headers)


def test_thread_and_task_have_the_decision_only_during_the_request(seen: list[bool]) -> None:
    later: list[asyncio.Task[None]] = []

    async def note_later(go_on: asyncio.Event) -> None:
        await go_on.wait()
        seen.append(is_traced())
        seen.append(await run_in_threadpool(is_traced))

    async def serve() -> None:
        go_on = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(await run_in_threadpool(is_traced))
            later.append(asyncio.create_task(note_later(go_on)))
            await reply_app()(scope, receive, send)

        await asyncio.create_task(response_to(install(app), scope(headers=cookies)))
        go_on.set()
        await later[0]

    cookies = cookies_of()
    asyncio.run(serve())
    assert seen == [True, False, False]


def test_nested_middlewares_must_all_allow_tracing(app: ASGIApp, seen: list[bool]) -> None:
    lenient, strict = OTHER_SITE, SITE  # which refuses tracing below /whois
    for outer, inner in ((lenient, strict), (strict, lenient), (lenient, lenient)):
        call(install(install(app, inner), outer), path="/whois", headers=cookies_of(text=lenient))
    assert seen == [False, False, True]


def test_consent_of_inner_request_does_not_reach_outer_request(app: ASGIApp, seen: list[bool]) -> None:
    cookies = cookies_of()

    async def outer(request: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2 if request["path"] == "/outer" else 0):
            await response_to(site, scope(path="/inner", headers=cookies))
        await app(request, receive, send)

    site = install(outer)

    async def serve() -> None:
        await response_to(site, scope(path="/outer"), bodies(b""))
        seen.append(is_traced())

    asyncio.run(serve())
    assert seen == [False, False, False, False]


def test_decision_is_unknown_outside_the_task_of_the_app(app: ASGIApp, seen: list[bool]) -> None:
    async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    site = BaseHTTPMiddleware(install(app), dispatch=pass_on)
    sent: list[bool] = []
    asyncio.run(drive(site, scope(headers=cookies_of()), bodies(b""), lambda _: sent.append(is_traced())))
    assert seen == [True]
    assert not any(sent)


def test_running_request_has_the_decision_without_asyncio(app: ASGIApp, seen: list[bool]) -> None:
    """No loop of asyncio runs here: the test takes the steps of the app by hand, as trio does."""

    async def receive() -> Message:
        raise AssertionError("the app does not read the request")

    async def send(message: Message) -> None:
        """Ignore the message."""

    async def serve() -> None:
        request = begin(scope())
        request.decide(traced=True)
        await app(scope(), receive, send)
        request.is_running = False
        seen.append(is_traced())

    with pytest.raises(StopIteration):
        serve().send(None)
    assert seen == [True, False]
