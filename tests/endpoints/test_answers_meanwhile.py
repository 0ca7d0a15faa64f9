"""Tests of answers that are given while a response to the same visitor is running."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Reply,
    Visitor,
    bodies,
    drive,
    install,
    response_to,
    run,
    scope,
)

ERASING = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
JSON, OWN = ("content-type", "application/json"), ("sec-fetch-site", "same-origin")
HTML = (b"content-type", b"text/plain")
ALL, NONE = {"choice": "accept_all"}, {"choice": "refuse_all"}
ONLY_MEDIA = {"choice": "save", "purposes": {"media": True}}
ERASE = f"{PREFIX}/erase"


class Site:
    """A site whose visitor acts while its page is running, before or after the response starts."""

    def __init__(self, *, begins: bool = False, sets: Sequence[bytes] = (), text: str = SITE) -> None:
        self.begins = begins
        self.fields = [HTML, *((b"set-cookie", line) for line in sets)]
        self.act: Callable[[], Awaitable[object]] | None = None
        self.sink, self.clock = MemorySink(), Clock()
        app = install(self.page, text, access_log=self.sink, clock=self.clock)
        self.visitor = Visitor(app, [("user-agent", PHONE)])
        self.visitor.accept()

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        before = scope["state"]["consent"].allows("analytics")
        steps = [self.start, self.act_once] if self.begins else [self.act_once, self.start]
        for step in steps:
            await step(send)
        assert scope["state"]["consent"].allows("analytics") is before, "it does not change during a request"
        await send({"type": "http.response.body", "body": b"ok"})

    async def start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.fields})

    async def act_once(self, _: Send) -> None:
        act, self.act = self.act, None
        if act is not None:
            await act()

    async def post(self, body: object, path: str = PREFIX) -> Reply:
        fields = [("cookie", self.visitor.cookies), JSON, OWN, ("accept", "application/json")]
        self.clock.forward(seconds=1)
        return await response_to(self.visitor.app, scope("POST", path, fields), bodies(json.dumps(body).encode()))

    def get_while(self, body: object, path: str = PREFIX) -> tuple[Reply, Reply]:
        """Request the page, and send a body while it is running; return both responses."""
        replies: list[Reply] = []

        async def act() -> None:
            replies.append(await self.post(body, path))

        self.act = act
        return self.visitor.get(), replies[0]


def test_next_request_deletes_what_a_running_response_set_after_refusal() -> None:
    site = Site(sets=[b"_ga=1", b"session=1"])
    del site.visitor.jar["__Host-visitor"]
    _, refused = site.get_while(NONE)
    assert site.visitor.jar.keys() == {"__Host-consent", "__Host-visitor", "_ga", "session"}
    site.visitor.jar["__Host-consent"] = refused.set_cookies["__Host-consent"].partition(";")[0].partition("=")[2]
    # Any process does it.
    site.visitor.app = install(access_log=MemorySink(), clock=site.clock)
    site.visitor.get(f"{PREFIX}/state")
    assert site.visitor.jar.keys() == {"__Host-consent", "session"}


def test_grant_during_response_does_not_allow_more() -> None:
    site = Site(sets=[b"_ga=1"])
    site.visitor.refuse()
    page, _ = site.get_while(ALL)
    assert (page.set_cookies, site.sink.records) == ({}, [])


@pytest.mark.requirement("TR-09")
@pytest.mark.parametrize("text", [SITE, ERASING], ids=["kept", "erased"])
@pytest.mark.parametrize("begins", [False, True], ids=["not started", "started"])
@pytest.mark.parametrize(
    ("answer", "path", "records"),
    [
        (NONE, PREFIX, 0),
        (ONLY_MEDIA, PREFIX, 0),
        ({}, ERASE, 0),
        ({"choice": "save", "purposes": {"analytics": True}}, PREFIX, 1),
    ],
)
def test_response_ended_after_withdrawal_or_erasure_leaves_no_record(
    answer: dict[str, Any], path: str, records: int, begins: bool, text: str
) -> None:
    site = Site(begins=begins, text=text)
    page, reply = site.get_while(answer, path)
    assert (page.body, reply.status) == (b"ok", 200)
    assert len(site.sink.records) == records


def test_response_begun_during_erasure_leaves_no_record() -> None:
    class Slow(MemorySink):
        def erase(self, visitor_id: str) -> int:
            erased = super().erase(visitor_id)
            asyncio.run_coroutine_threadsafe(begin(), loops[0]).result(30)
            return erased

    async def begin() -> None:
        asked = scope(headers=[*site.visitor.headers, ("cookie", site.visitor.cookies)])
        pages.append(asyncio.create_task(drive(site.visitor.app, asked)))
        await is_running.wait()

    async def hold() -> None:
        is_running.set()
        await go_on.wait()

    async def both() -> None:
        loops.append(asyncio.get_running_loop())
        await site.post({}, ERASE)
        go_on.set()
        await asyncio.gather(*pages)

    site, sink = Site(), Slow()
    loops, pages = list[asyncio.AbstractEventLoop](), list[asyncio.Task[list[Message]]]()
    is_running, go_on = asyncio.Event(), asyncio.Event()
    site.act = hold
    site.visitor.app = install(site.page, access_log=sink, clock=site.clock)
    asyncio.run(both())
    assert (len(pages), sink.records) == (1, [])


@pytest.mark.parametrize(("answer", "records"), [(ALL, 1), (NONE, 0)])
def test_event_whose_body_arrives_after_refusal_leaves_no_record(answer: dict[str, Any], records: int) -> None:
    site = Site()
    fields = [*site.visitor.headers, ("cookie", site.visitor.cookies), JSON, OWN]

    async def receive() -> Message:
        await site.post(answer)
        return bodies(b'{"name": "download", "path": "/"}')[0]

    async def send(message: Message) -> None: ...

    run(site.visitor.app(scope("POST", f"{PREFIX}/events", fields), receive, send))
    assert len(site.sink.records) == records
