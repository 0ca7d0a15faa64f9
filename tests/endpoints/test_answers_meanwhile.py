"""Tests of answers that are given while a response to the same visitor is running."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Reply,
    Visitor,
    bodies,
    drive,
    install,
    raw_headers,
    response_to,
    scope,
)

ERASING = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
ALL, NONE = {"choice": "accept_all"}, {"choice": "refuse_all"}
ONLY_MEDIA = {"choice": "save", "purposes": {"media": True}}
SAME_SITE = ("sec-fetch-site", "same-origin")
JSON, FORM = ("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded")


class Site:
    """A site with one slow page, and its visitor.

    Args:
        begins: whether the app starts the response before the other request; otherwise it starts it after that.
        content_type: the page's.
        sets: its Set-Cookie fields.
        headers: its further fields.
        reads: whether the app reads the decision.
    """

    def __init__(
        self,
        *,
        begins: bool = False,
        content_type: str = "text/plain",
        sets: Iterable[str] = ("_ga=1",),
        headers: Iterable[tuple[str, str]] = (),
        reads: bool = True,
        text: str = SITE,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        self.sink, self.clock, self._begins, self._reads = MemorySink(), clock or Clock(), begins, reads
        self._fields = raw_headers([("content-type", content_type), *headers, *(("set-cookie", line) for line in sets)])
        self.allowed = list[bool]()
        self.app: ConsentMiddleware = install(
            self._page, text, **{"access_log": self.sink, "clock": self.clock, **options}
        )
        self.visitor = Visitor(self.app, [("user-agent", PHONE)])

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        consent = scope["state"]["consent"]
        if self._reads:
            self.allowed.append(consent.allows("analytics"))
        start: Message = {"type": "http.response.start", "status": 200, "headers": list(self._fields)}
        if scope["type"] == "websocket":
            start = {"type": "websocket.accept", "headers": list(self._fields)}
        if self._begins:
            await send(start)
        self.is_running.set()
        await self.go_on.wait()
        if not self._begins:
            await send(start)
        if self._reads:
            self.allowed.append(consent.allows("analytics"))
        if scope["type"] == "http":
            await send({"type": "http.response.body", "body": PAGE})

    def scope(self, method: str = "GET", path: str = "/", *headers: tuple[str, str], **more: Any) -> Scope:
        """Return the scope of a request from the visitor."""
        cookies = self.visitor.cookies
        fields = [*self.visitor.headers, *([("cookie", cookies)] if cookies else []), *headers]
        return scope(method, path, fields, **more)

    async def answer(self, choice: object, path: str = PREFIX) -> Reply:
        """Answer while the page is running."""
        if isinstance(choice, str):
            return self.keep(await self._post(choice.encode(), FORM, path))
        return self.keep(await self._post(json.dumps(choice).encode(), JSON, path))

    async def _post(self, body: bytes, kind: tuple[str, str], path: str) -> Reply:
        asked = self.scope("POST", path, kind, SAME_SITE, ("accept", "application/json"))
        return await response_to(self.app, asked, bodies(body))

    def keep(self, reply: Reply) -> Reply:
        """Keep the cookies of a response, as a browser does."""
        for name, line in reply.set_cookies.items():
            self.visitor.jar.pop(name, None)
            if "max-age=0" not in line.lower():
                self.visitor.jar[name] = line.partition(";")[0].partition("=")[2]
        return reply

    def meanwhile(self, act: Callable[[], Awaitable[object]], asked: Scope | None = None) -> Reply:
        """Request the page, act while it is running, and return the page."""

        async def both() -> list[Message]:
            self.is_running, self.go_on = asyncio.Event(), asyncio.Event()
            page = asyncio.create_task(drive(self.app, asked or self.scope(), [{"type": "websocket.connect"}]))
            await self.is_running.wait()
            await act()
            self.go_on.set()
            return await page

        self.allowed.clear()
        return Reply(asyncio.run(both()))

    def while_answering(self, *choices: object, asked: Scope | None = None) -> Reply:
        """Request the page, answer while it is running, and return the page."""

        async def act() -> None:
            for choice in choices:
                self.clock.forward(seconds=1)
                await self.answer(choice)

        return self.meanwhile(act, asked)


REFUSALS = pytest.mark.parametrize("refusal", [NONE, "choice=refuse_all", ONLY_MEDIA, "choice=save&purpose=media"])


@pytest.mark.parametrize("is_other_process", [False, True], ids=["the same process", "another process"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_next_request_deletes_what_a_running_response_set_after_refusal(kind: str, is_other_process: bool) -> None:
    site = Site(sets=["_ga=1", "session=1"])
    site.visitor.accept()
    del site.visitor.jar["__Host-visitor"]
    site.clock.forward(seconds=1)
    reply = site.while_answering(NONE, asked=site.scope(kind=kind))
    assert site.allowed == [True, True], "consent does not change for the app during a request"
    site.keep(reply)
    assert {"_ga", "session"} <= site.visitor.jar.keys()
    if is_other_process:
        site.visitor.app = Site(sets=[], clock=site.clock).app
    deleted = site.visitor.get(f"{PREFIX}/state").set_cookies
    assert "_ga" in deleted
    assert "session" not in deleted
    assert all("max-age=0" in line.lower() for line in deleted.values())


def test_visitor_id_of_a_response_that_ran_during_a_refusal_is_deleted_by_the_next_request() -> None:
    site = Site(sets=[])
    site.visitor.accept()
    del site.visitor.jar["__Host-visitor"]
    site.keep(site.while_answering(NONE))
    assert "__Host-visitor" in site.visitor.jar
    site.keep(site.visitor.get(f"{PREFIX}/state"))
    assert "__Host-visitor" not in site.visitor.jar


def test_grant_during_response_does_not_allow_more() -> None:
    site = Site()
    site.visitor.refuse()
    reply = site.while_answering(ALL)
    assert (site.allowed, reply.set_cookies, site.sink.records) == ([False, False], {}, [])


def test_change_of_other_purpose_does_not_stop_recording() -> None:
    site = Site(sets=["_ga=1"])
    site.visitor.accept()
    site.while_answering({"choice": "save", "purposes": {"analytics": True}})
    assert len(site.sink.records) == 1


# The end of a response.


@pytest.mark.parametrize("text", [SITE, ERASING], ids=["kept", "erased"])
@pytest.mark.parametrize("begins", [False, True], ids=["not started", "started"])
@REFUSALS
def test_response_ended_after_withdrawal_leaves_no_record(refusal: object, begins: bool, text: str) -> None:
    site = Site(begins=begins, text=text)
    site.visitor.accept()
    assert site.while_answering(refusal).body == PAGE
    assert site.sink.records == []


def test_response_ended_after_erasure_leaves_no_record() -> None:
    site = Site(begins=True)
    site.visitor.accept()

    async def erase() -> None:
        reply = await site.answer({}, f"{PREFIX}/erase")
        assert reply.json["erased"] == 0

    site.meanwhile(erase)
    assert site.sink.records == []
    site.while_answering()
    assert len(site.sink.records) == 1, "consent still holds"


def test_response_begun_during_erasure_leaves_no_record() -> None:
    class Slow(MemorySink):
        def erase(self, visitor_id: str) -> int:
            erased = super().erase(visitor_id)
            if not pages:
                asyncio.run_coroutine_threadsafe(begin(), loops[0]).result(30)
            return erased

    async def begin() -> None:
        page = asyncio.create_task(drive(site.app, asked))
        pages.append(page)
        await site.is_running.wait()

    async def both() -> None:
        loops.append(asyncio.get_running_loop())
        site.is_running, site.go_on = asyncio.Event(), asyncio.Event()
        await site.answer({}, f"{PREFIX}/erase")
        site.go_on.set()
        await asyncio.gather(*pages)

    loops, pages = list[asyncio.AbstractEventLoop](), list[asyncio.Task[list[Message]]]()
    sink = Slow()
    site = Site(access_log=sink)
    site.visitor.accept()
    asked = site.scope()
    asyncio.run(both())
    assert (len(pages), sink.records) == (1, [])


def test_event_whose_body_arrives_after_refusal_leaves_no_record() -> None:
    site = Site()
    site.visitor.accept()

    async def event_during(choice: object) -> Reply:
        body, reading = asyncio.Event(), asyncio.Event()

        async def receive() -> Message:
            reading.set()
            await body.wait()
            return bodies(b'{"name": "download", "path": "/"}')[0]

        sent = list[Message]()

        async def send(message: Message) -> None:
            sent.append(message)

        fields = (JSON, SAME_SITE)
        event = asyncio.create_task(site.app(site.scope("POST", f"{PREFIX}/events", *fields), receive, send))
        await reading.wait()
        await site.answer(choice)
        body.set()
        await event
        return Reply(sent)

    for choice in (ALL, NONE):
        asyncio.run(event_during(choice))
        assert len(site.sink.records) == 1
        site.clock.forward(seconds=1)
