"""Tests of the start and the end of a server: the lifespan, the check of the app, and errors of a constructor."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.startup import FailsAtStart, check_app, fails_at_start, run_lifespan
from tests.support.asgi import drive

STARTUP, SHUTDOWN = "lifespan.startup", "lifespan.shutdown"
EVENTS: list[Message] = [{"type": STARTUP}, {"type": SHUTDOWN}]
SCOPE = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}


class Server:
    """Runs an app's lifespan as a server does.

    Attributes:
        happened: the types of the messages that the server got, and when our work was done.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.happened = app, list[str]()

    async def _close(self) -> None:
        self.happened.append("closed")

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_lifespan(
            self.app,
            scope,
            receive,
            send,
            at_startup=lambda: self.happened.append("started"),
            at_shutdown=self._close,
        )

    def run(self) -> list[str]:
        """Start and end the server, and return what happened."""
        asyncio.run(drive(self._lifespan, dict(SCOPE), EVENTS, lambda sent: self.happened.append(sent["type"])))
        return self.happened


WHOLE = ["started", "lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]


async def asserting(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError(f"Only requests, not {scope['type']}.")


async def looking_for_path(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["path"])(scope, receive, send)


async def making_a_request(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(Request(scope).url.path)(scope, receive, send)


async def copying_the_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await asserting({**scope, "more": 1}, receive, send)


async def returning(scope: Scope, receive: Receive, send: Send) -> None:
    """Return at once."""


async def responding(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("Hello")(scope, receive, send)


async def responding_whatever_happens(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await responding(scope, receive, send)
    except Exception:  # noqa: BLE001 (as an app that shows a page about each error)
        await PlainTextResponse("Sorry")(scope, receive, send)


async def reading_a_body(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        """Read on."""
    await responding(scope, receive, send)


WITHOUT = [
    *(asserting, refusing, looking_for_path, making_a_request, copying_the_scope),
    *(returning, responding, responding_whatever_happens, reading_a_body),
]


@pytest.mark.parametrize("app", WITHOUT, ids=lambda app: app.__name__)
def test_app_without_lifespan_is_answered_for(app: ASGIApp) -> None:
    assert Server(app).run() == WHOLE


@pytest.mark.parametrize(
    ("app", "raised"),
    [(refusing, []), (looking_for_path, ["KeyError('path')"]), (responding, ["http.response.start"]), (returning, [])],
)
def test_warning_says_what_an_app_raised_that_does_not_name_the_lifespan(
    app: ASGIApp, raised: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    Server(app).run()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(raised)
    assert all(error in record.getMessage() for error, record in zip(raised, caplog.records, strict=True))


async def returning_early(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


async def starting_unasked(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "lifespan.startup.complete"})


async def forgetting_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await returning_early(scope, receive, send)
    await receive()


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    for _ in range(2):
        await send({"type": f"{(await receive())['type']}.complete"})


@pytest.mark.parametrize("app", [returning_early, starting_unasked, forgetting_the_end, whole])
def test_events_that_the_app_leaves_unanswered_are_answered(app: ASGIApp) -> None:
    assert Server(app).run() == WHOLE


class StartupError(Exception):
    """What a site's own start raises."""


def failing(at: str) -> ASGIApp:
    """Return an app with a lifespan that fails at some time."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for event in (STARTUP, SHUTDOWN):
            await receive()
            if at == event:
                raise StartupError(f"the lifespan fails at {event}")
            await send({"type": f"{event}.complete"})
            if at == f"after {event}":
                raise StartupError("it fails later")

    return app


@pytest.mark.parametrize(
    ("at", "happened"),
    [
        (STARTUP, []),
        (f"after {STARTUP}", WHOLE[:2]),
        (SHUTDOWN, WHOLE[:3]),
        (f"after {SHUTDOWN}", WHOLE),
    ],
)
def test_error_of_app_with_lifespan_reaches_the_server(at: str, happened: list[str]) -> None:
    server = Server(failing(at))
    with pytest.raises(StartupError):
        server.run()
    assert server.happened == happened


def test_failed_startup_is_passed_on() -> None:
    def fails(app: Starlette) -> Any:
        raise StartupError("no database")

    server = Server(Starlette(lifespan=fails))
    with pytest.raises(StartupError):
        server.run()
    assert server.happened == ["lifespan.startup.failed"]


@pytest.mark.parametrize("failed", ["lifespan.startup.failed", "lifespan.shutdown.failed"])
def test_failure_that_the_app_reports_is_the_last_event(failed: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if failed.startswith(SHUTDOWN):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": failed})

    happened = Server(app).run()
    assert happened[-1] == failed
    assert ("closed" in happened) == failed.startswith(SHUTDOWN)


def _broken(app: ASGIApp) -> ASGIApp:
    raise StartupError("a wrong option")


def _misses_an_argument(app: ASGIApp, secret: str) -> ASGIApp:
    return app


def _asserts(app: ASGIApp) -> ASGIApp:
    raise AssertionError("a secret is missing")


@pytest.mark.parametrize("make", [_broken, _misses_an_argument, _asserts])
def test_app_that_cannot_be_built_is_no_app_without_lifespan(make: Callable[..., ASGIApp]) -> None:
    """Starlette builds its middleware when it is first called, which is the server's call for the lifespan."""
    server = Server(Starlette(middleware=[Middleware(make)]))
    with pytest.raises((StartupError, TypeError, AssertionError)):
        server.run()
    assert server.happened == []


def test_app_that_calls_itself_fails_to_start_and_says_so() -> None:
    server = Server(returning)

    async def calling_itself(scope: Scope, receive: Receive, send: Send) -> None:
        await server._lifespan(scope, receive, send)

    server.app = calling_itself
    (failed,) = asyncio.run(drive(server._lifespan, dict(SCOPE), EVENTS))
    assert failed["type"] == "lifespan.startup.failed"
    assert "call itself for ever" in failed["message"]


def test_app_can_start_again_in_the_same_task() -> None:
    async def start_twice(server: Server) -> None:
        for _ in range(2):
            await drive(server._lifespan, dict(SCOPE), EVENTS, lambda sent: server.happened.append(sent["type"]))

    server = Server(refusing)
    asyncio.run(start_twice(server))
    assert server.happened == WHOLE * 2


# What the middleware wraps


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    pass


class WithoutSignature:
    """An app whose parameters Python cannot tell."""

    __signature__ = "none"

    async def __call__(self, *message: Any) -> None:
        pass


@pytest.mark.parametrize("app", [asgi_app, WithoutSignature()])
def test_asgi_app_is_taken(app: Any) -> None:
    check_app(app)


@pytest.mark.parametrize(("app", "remedy"), [(wsgi_app, "It is a WSGI app"), ("app", "It is the ASGI app")])
def test_other_app_is_refused_with_a_remedy(app: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        check_app(app)


def test_app_that_litestar_wraps_for_a_route_is_refused_with_a_remedy() -> None:
    def build_route_middleware_stack() -> None:  # as Litestar's function is called
        check_app(asgi_app)

    with pytest.raises(ValueError, match="Wrap the app instead"):
        build_route_middleware_stack()


# Errors of a constructor


class Made(FailsAtStart):
    """What a framework constructs."""

    @fails_at_start(lambda names: Made.check_names(names))
    def __init__(self, error: Exception | None = None, **_: Any) -> None:
        if error:
            raise error

    @staticmethod
    def check_names(names: Iterable[str]) -> None:
        if "gone" in names:
            raise ValueError("gone: it is called so no more")


def build_middleware_stack(**options: Any) -> Made:  # as Starlette's method is called
    return Made(**options)


def test_error_of_a_constructor_is_raised_where_the_site_calls_it() -> None:
    assert Made().refuses is None
    for wrong in ({"error": ValueError("wrong")}, {"gone": 1}, {"error": KeyError("x")}):
        with pytest.raises((ValueError, KeyError)):
            Made(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"error": ValueError("wrong")}, "ValueError: wrong\nread on"),
        ({"gone": 1}, "ValueError: gone: it is called so no more"),
    ],
)
def test_error_of_a_late_constructor_stops_the_server_or_each_request(wrong: dict[str, Any], message: str) -> None:
    if error := wrong.get("error"):
        error.add_note("read on")
    refuses = build_middleware_stack(**wrong).refuses
    assert refuses is not None
    sent: list[Message] = []
    for kind in ("lifespan", "http"):
        with pytest.raises(ValueError, match=r"wrong|no more"):
            asyncio.run(drive(refuses, {"type": kind}, EVENTS, sent.append))
    assert sent == [{"type": "lifespan.startup.failed", "message": message}]


def test_error_that_says_all_ends_the_process_without_a_traceback() -> None:
    code = "from tests.base.test_startup import Made; Made(error=ValueError('wrong'))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "ValueError: wrong\n")
    code = code.replace("ValueError", "KeyError")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stderr.startswith("Traceback")
