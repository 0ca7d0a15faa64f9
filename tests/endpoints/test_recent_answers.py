"""Tests of answers that are given while a response to the same visitor is running."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, current
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.http.recent_answers import MAX_REMEMBERED, RecentAnswers
from cookie_consent.ledgers import Ledger, MemoryLedger
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
        self.was_traced = current.is_traced()
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
            return self._kept(await self._post(choice.encode(), FORM, path))
        return self._kept(await self._post(json.dumps(choice).encode(), JSON, path))

    async def _post(self, body: bytes, kind: tuple[str, str], path: str) -> Reply:
        asked = self.scope("POST", path, kind, SAME_SITE, ("accept", "application/json"))
        return await response_to(self.app, asked, bodies(body))

    def _kept(self, reply: Reply) -> Reply:
        assert reply.status in (200, 303), reply.text
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


def cookies_set_by(reply: Reply) -> list[str]:
    """Return the names of the cookies that a response sets and does not delete."""
    return [name for name, line in reply.set_cookies.items() if "max-age=0" not in line.lower()]


REFUSALS = pytest.mark.parametrize("refusal", [NONE, "choice=refuse_all", ONLY_MEDIA, "choice=save&purpose=media"])
LEDGERS = pytest.mark.parametrize("ledger", [None, MemoryLedger], ids=["no ledger", "ledger"])


@REFUSALS
@LEDGERS
def test_response_started_after_refusal_sets_no_optional_cookies(
    refusal: object, ledger: Callable[[], Ledger] | None
) -> None:
    site = Site(sets=["_ga=1", "session=1"], ledger=ledger and ledger())
    site.visitor.accept()
    site.clock.forward(seconds=1)
    reply = site.while_answering(refusal)
    assert site.allowed == [True, True], "consent does not change for the app during a request"
    assert cookies_set_by(reply) == ["session"]
    assert site.sink.records == []
    assert not site.was_traced, "logs mask the request from then on"


@LEDGERS
def test_new_visitor_id_is_not_set_after_refusal_during_response(
    ledger: Callable[[], Ledger] | None,
) -> None:
    site = Site(ledger=ledger and ledger())
    site.visitor.accept()
    del site.visitor.jar["__Host-visitor"]
    reply = site.while_answering(NONE)
    assert (cookies_set_by(reply), site.sink.records) == ([], [])


def test_answers_of_other_visitors_do_not_affect_running_response() -> None:
    site = Site()
    site.visitor.accept()
    del site.visitor.jar["__Host-visitor"]

    async def others() -> None:
        asked = scope("POST", PREFIX, [JSON, SAME_SITE])
        for choice in (ALL, NONE):
            answered = await response_to(site.app, asked, bodies(json.dumps(choice).encode()))
            line = answered.all("set-cookie")[0].partition(";")[0]
            asked = scope("POST", PREFIX, [JSON, SAME_SITE, ("cookie", line)])
            site.clock.forward(seconds=1)

    site.clock.forward(seconds=1)
    assert cookies_set_by(site.meanwhile(others)) == ["_ga", "__Host-visitor"]
    assert len(site.sink.records) == 1


def test_grant_during_response_does_not_allow_more() -> None:
    site = Site()
    site.visitor.refuse()
    reply = site.while_answering(ALL)
    assert (site.allowed, reply.set_cookies, site.sink.records) == ([False, False], {}, [])


@LEDGERS
def test_withdrawal_during_response_counts_despite_later_grant(
    ledger: Callable[[], Ledger] | None,
) -> None:
    site = Site(ledger=ledger and ledger())
    site.visitor.accept()
    reply = site.while_answering(NONE, ALL)
    assert (cookies_set_by(reply), site.sink.records) == ([], [])
    assert site.visitor.state()["status"] == "granted"


def test_change_of_other_purpose_does_not_stop_recording() -> None:
    site = Site(sets=["_ga=1", "player=1"])
    site.visitor.accept()
    reply = site.while_answering({"choice": "save", "purposes": {"analytics": True}})
    assert cookies_set_by(reply) == ["_ga"]
    assert len(site.sink.records) == 1
    assert site.was_traced


def test_refusal_during_response_deletes_cookies_and_makes_response_private() -> None:
    site = Site(sets=[], headers=[("cache-control", "public, max-age=60")])
    site.visitor.accept()
    site.visitor.jar["player"] = "1"
    reply = site.while_answering({"choice": "save", "purposes": {"analytics": True}})
    assert {line.partition(";")[0] for line in reply.all("set-cookie")} == {"player="}
    assert "public" not in reply.get("cache-control")
    assert "private" in reply.get("cache-control")


@pytest.mark.parametrize("traced", [True, False])
def test_response_started_after_refusal_is_private_though_app_reads_nothing(traced: bool) -> None:
    site = Site(sets=[], headers=[("cache-control", "public, max-age=60")], reads=False)
    site.visitor.save(analytics=traced, media=True)
    reply = site.while_answering(NONE)
    assert "private" in reply.get("cache-control")
    assert "Cookie" in reply.get("vary")


NEW_PURPOSE = """
[purposes.research]
title = { en = "Research", ja = "調査" }
description = { en = "We do research.", ja = "調査をします。" }
"""


@pytest.mark.parametrize("begins", [False, True], ids=["not started", "held"])
def test_answer_during_response_removes_banner(begins: bool) -> None:
    old = Visitor(install(clock=Clock()))
    old.accept()
    for answers, is_asked in (([], True), ([ALL], False)):
        site = Site(begins=begins, content_type="text/html", sets=["session=1"], text=SITE + NEW_PURPOSE)
        site.visitor.jar |= old.jar
        asked = site.scope("GET", "/", ("accept", "text/html"))
        assert (b"pchoice" in site.while_answering(*answers, asked=asked).body) is is_asked


@pytest.mark.parametrize(
    "options",
    [{}, {"begins": True, "content_type": "text/html", "settings_link": True}],
    ids=["not started", "held"],
)
def test_csp_names_only_recipients_allowed_when_response_starts(options: dict[str, Any]) -> None:
    origins = 'origins = ["https://maps.example.com"]'
    text = SITE.replace(origins, f'{origins}\ndirectives = ["img"]')
    site = Site(text=text, **{"content_type": "text/html", "csp": "enforce", **options})
    site.visitor.accept()
    assert "maps.example.com" in site.while_answering().get("content-security-policy")
    assert "maps.example.com" not in site.while_answering(NONE).get("content-security-policy")


# Held pages: the start of a page is held until its first bytes show whether it is HTML.


@pytest.mark.parametrize("is_new", [False, True], ids=["known visitor id", "new visitor id"])
@REFUSALS
def test_held_page_sets_no_optional_cookies_after_refusal(refusal: object, is_new: bool) -> None:
    site = Site(begins=True, content_type="text/html", sets=["_ga=1", "session=1"], settings_link=True)
    site.visitor.accept()
    site.visitor.jar["_ga"] = "1"
    if is_new:
        del site.visitor.jar["__Host-visitor"]
    reply = site.while_answering(refusal)
    assert cookies_set_by(reply) == ["session"]
    deletions = [line for line in reply.all("set-cookie") if line.startswith("_ga=")]
    assert deletions
    assert len(deletions) == len(set(deletions))
    assert (b"pchoice-way-back" in reply.body, site.sink.records) == (True, [])


def test_held_page_sets_cookies_that_are_still_allowed() -> None:
    site = Site(begins=True, content_type="text/html", sets=["_ga=1", "player=1"], settings_link=True)
    site.visitor.accept()
    visitor = site.visitor.jar.pop("__Host-visitor")
    assert cookies_set_by(site.while_answering()) == ["_ga", "player", "__Host-visitor"]
    assert len(site.sink.records) == 1
    site.visitor.jar["__Host-visitor"] = visitor
    assert cookies_set_by(site.while_answering({"choice": "save", "purposes": {"analytics": True}})) == ["_ga"]
    assert len(site.sink.records) == 2


def test_trailers_after_refusal_set_no_optional_cookies() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        await site.answer(NONE)
        await send({"type": "http.response.trailers", "headers": raw_headers([("set-cookie", "_ga=1"), ("x", "y")])})

    site = Site()
    site.visitor.accept()
    site.clock.forward(seconds=1)
    site.app._enforcement.app = stream
    sent = asyncio.run(drive(site.app, site.scope()))
    assert sent[-1]["headers"] == [(b"x", b"y")]


def test_held_page_after_banner_answer_renews_visitor_cookie() -> None:
    site = Site(begins=True, content_type="text/html", sets=[], settings_link=True)
    site.visitor.send_form("choice=accept_all&source=banner&next=/")
    assert cookies_set_by(site.while_answering({"choice": "save", "purposes": {"analytics": True}})) == [
        "__Host-visitor"
    ]
    assert len(site.sink.records) == 1


@LEDGERS
def test_websocket_accepted_after_refusal_sets_no_optional_cookies(ledger: Callable[[], Ledger] | None) -> None:
    site = Site(sets=["_ga=1", "session=1"], ledger=ledger and ledger())
    site.visitor.accept()
    site.visitor.jar["player"] = "1"
    assert len(site.while_answering(asked=site.scope(kind="websocket")).all("set-cookie")) == 2
    reply = site.while_answering(NONE, asked=site.scope(kind="websocket"))
    assert cookies_set_by(reply) == ["session"]
    assert list(reply.set_cookies) == ["session", "__Host-visitor", "player"]
    assert not site.was_traced


# The end of a response.


@pytest.mark.parametrize("text", [SITE, ERASING], ids=["kept", "erased"])
@pytest.mark.parametrize("is_new", [False, True], ids=["known visitor id", "new visitor id"])
@REFUSALS
def test_response_ended_after_withdrawal_leaves_no_record(refusal: object, is_new: bool, text: str) -> None:
    site = Site(begins=True, text=text)
    site.visitor.accept()
    if is_new:
        del site.visitor.jar["__Host-visitor"]
    reply = site.while_answering(refusal)
    assert reply.body == PAGE
    assert ("__Host-visitor" in cookies_set_by(reply), "_ga" in cookies_set_by(reply)) == (is_new, True), (
        "the response had started before"
    )
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


def test_event_whose_body_arrives_after_refusal_is_refused() -> None:
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

    for choice, status, records in ((ALL, 204, 1), (NONE, 403, 1)):
        assert (asyncio.run(event_during(choice)).status, len(site.sink.records)) == (status, records)
        site.clock.forward(seconds=1)


# Remembered answers.


def record(number: int = 0, purposes: int = 4, state: State = State.GRANTED) -> ConsentRecord:
    answers = {f"purpose-{n}": Answer(state, "abcde") for n in range(purposes)}
    return ConsentRecord(
        answers=answers, policy="0" * 16, decided_at=number, source="banner", language="en", consent_id=f"{number:022}"
    )


def test_overflow_of_remembered_answers_denies_optional_purposes() -> None:
    for most, sets, records in ((2, ["_ga"], 1), (3, [], 0)):
        site = Site(sets=["_ga=1"])
        site.visitor.accept()

        async def others(site: Site = site, most: int = most) -> None:
            recent = site.app._installed.recent_answers
            recent._most, recent._events = 2, recent._events[:2]
            for number in range(most):
                recent.answered(None, record(number))

        assert cookies_set_by(site.meanwhile(others)) == sets
        assert len(site.sink.records) == records


@pytest.mark.slow
def test_remembered_answers_are_bounded_in_number_and_size() -> None:
    recent = RecentAnswers(timedelta(days=184), Clock())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(3 * MAX_REMEMBERED):
        recent.answered(record(number), record(number + 1), [f"{number:022}"])
        recent.erased(f"{number:022}")
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert recent.sequence == 6 * MAX_REMEMBERED
    assert grown < 8_000_000, f"{grown:,} bytes"
