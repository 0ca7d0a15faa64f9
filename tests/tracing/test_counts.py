"""Tests of the counts: views, questions and answers of all visitors, without anything about a single visitor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio
import trio.testing
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.counts import ARRIVED_ON_ERROR, FEW, MAX_ERRORS, MAX_PREFIXES, MOST, Counts, Shown
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    ROBOT,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    drive,
    install,
    page_app,
    policy,
    run,
)
from tests.support.browsers.browser import forms

ANOTHER_COOKIE = '[[cookies]]\nname = "more"\npurpose = "media"\n'
BROWSER = (("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document"))
ARRIVES = ("sec-fetch-site", "none")
GOES_ON = ("sec-fetch-site", "same-origin")


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE, status_code=404 if request.url.path == "/missing" else 200)


async def _data(request: Request) -> Response:
    return PlainTextResponse("data")


async def _map(request: Request) -> Response:
    request.state.consent.feature("map")
    return HTMLResponse(PAGE)


async def _box(request: Request) -> Response:
    allowed = request.state.consent.allows("media")
    return HTMLResponse(PAGE if allowed else consent_context(request)["consent_fallback"]("map"))


APP = Router(
    [
        Route("/data", _data),
        Route("/map", _map),
        Route("/box", _box),
        Route("/videos", requires("media")(_page)),
        Route("/both", requires("media", "analytics")(_page)),
        *(Route(path, _page) for path in ("/", "/missing", "/docs/{page}")),
    ]
)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def app(sink: MemorySink) -> ConsentMiddleware:
    return install(APP, access_log=sink)


def counts(app: ConsentMiddleware, sink: MemorySink, beginnings: str | tuple[str, ...] = "") -> dict[str, int]:
    """End the server, and return the counts whose names begin so: name, with language or detail if there is one -> sum.

    Without a beginning, those by purpose, policy and so on are left out.
    """
    drive_lifespan(app)
    sums = Counter[str]()
    for count in sink.counts:
        name = count["count.name"]
        if name.startswith(beginnings) if beginnings else "_by_" not in name:
            more = [count[key] for key in ("consent.language", "count.detail") if key in count]
            sums[" ".join([name, *more])] += count["count.value"]
    return dict(sums)


def drive_lifespan(app: ConsentMiddleware) -> None:
    """Start and end the server."""

    async def ending(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    inner = app.app
    app.app = ending
    asyncio.run(drive(app, {"type": "lifespan", "state": {}}))
    app.app = inner


# What is counted of pages and answers.


def test_views_questions_and_answers_are_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    yes, no, some = (Visitor(app, BROWSER) for _ in range(3))
    for visitor in (yes, no, some):
        visitor.get("/")
    yes.accept()
    no.refuse()
    some.save(media=True)
    for visitor in (yes, no, some):
        visitor.get("/")
    yes.get("/data")
    assert counts(app, sink) == {
        "views": 6,
        "views_recorded": 1,
        "asked en": 3,
        "asked_first en": 3,
        "granted en": 1,
        "refused en": 1,
        "partial en": 1,
    }
    assert [record["record.kind"] for record in sink.records] == ["view", "request"]


def _change_twice(visitor: Visitor) -> None:
    visitor.accept()
    visitor.save(media=True)
    visitor.refuse()


def _refuse_and_accept(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.accept()  # on the settings page


def _come_by_signals(visitor: Visitor) -> None:
    visitor.get("/", [("dnt", "1"), ("sec-gpc", "1")])
    visitor.accept()
    visitor.get("/", [("dnt", "1")])


def _refuse_with_signal(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.get("/", [("dnt", "1")])


def _open_no_pages(visitor: Visitor) -> None:
    for header in (("user-agent", ROBOT), ("sec-fetch-dest", "iframe"), ("sec-purpose", "prefetch")):
        Visitor(visitor.app, [header]).get("/")
    visitor.request("HEAD", "/")
    visitor.get("/data")
    visitor.get(f"{PREFIX}/state")


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        (_change_twice, {"granted en": 1, "partial en": 1, "changed en": 1, "withdrawn en": 1}),
        (_refuse_and_accept, {"refused en": 1, "granted en": 1, "changed en": 1}),
        (_come_by_signals, {"views": 2, "signal": 2, "granted en": 1}),
        (_refuse_with_signal, {"views": 1, "refused en": 1}),
        (_open_no_pages, {}),
    ],
    ids=["withdrawal and change", "change in the settings", "signals", "signal of who refused", "no page of a person"],
)
def test_counts_of_a_visitor(
    do: Callable[[Visitor], None], expected: dict[str, int], app: ConsentMiddleware, sink: MemorySink
) -> None:
    do(Visitor(app, BROWSER))
    assert counts(app, sink) == expected


def test_error_page_counts_no_view_but_question_and_answer(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, [*BROWSER, ("sec-gpc", "1")])
    visitor.get("/missing")
    visitor.save(analytics=True, media=True)
    visitor.get("/missing")
    visitor.get("/")
    kinds = [(record["url.path"], record["record.kind"]) for record in sink.records]
    assert kinds == [("/missing", "request"), ("/", "view")]
    assert counts(app, sink) == {
        "views": 1,
        "views_recorded": 1,
        "asked en": 1,
        "asked_first en": 1,
        "granted en": 1,
        "arrived_on_error 404 (other) (other)": 2,
    }


def test_errors_with_which_visits_begin_are_counted_for_everybody(app: ConsentMiddleware, sink: MemorySink) -> None:
    comes = [*BROWSER, ("sec-fetch-site", "cross-site"), ("referer", "https://News.example/list?q=1")]
    for answers in (None, True, False) * 2:
        visitor = Visitor(app, comes)
        if answers is not None:
            visitor.save(analytics=answers)
        visitor.get("/none", query=b"token=s3cr3t")
    Visitor(app, comes).get("/reset/s3cr3t")
    Visitor(app, comes).get("/@ann")
    for other in (
        ("sec-fetch-site", "same-origin"),
        ("cache-control", "max-age=0"),
        ("sec-fetch-dest", "image"),
        ("user-agent", ROBOT),
        ("sec-purpose", "prefetch"),
    ):
        Visitor(app, [*(field for field in comes if field[0] != other[0]), other]).get("/none")
    assert counts(app, sink, "arrived") == {
        "arrived_on_error 404 https://news.example /none": 6,
        "arrived_on_error 404 (other) (other)": 2,
    }


def test_answer_after_policy_change_counts_as_answer_to_question(sink: MemorySink) -> None:
    visitor = Visitor(install(APP), BROWSER)
    visitor.accept()
    more = install(APP, f"{SITE}{ANOTHER_COOKIE}", access_log=sink)
    visitor.app = more
    assert visitor.state()["should_ask"]
    visitor.save(media=True)
    assert counts(more, sink) == {"partial en": 1}


@pytest.mark.parametrize(("path", "degraded"), [("/map", 1), ("/box", 1), ("/videos", 1), ("/both", 0)])
def test_feature_fallback_is_counted(path: str, degraded: int, app: ConsentMiddleware, sink: MemorySink) -> None:
    no, yes = (Visitor(app, BROWSER) for _ in range(2))
    no.refuse()
    no.get(path)
    yes.accept()
    yes.get(path)
    expected = {"views": 2, "views_recorded": 1}
    assert counts(app, sink, ("degraded", "views")) == expected | ({"degraded map": 1} if degraded else {})


@pytest.mark.requirement("TR-01")
def test_count_has_no_field_about_a_visitor_and_reveals_no_order(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.get("/")
    visitor.accept()
    for _ in range(3):
        visitor.get("/")
    counts(app, sink)
    assert {key for count in sink.counts for key in count} == {
        "time", "log.record.uid", "record.version", "count.day", "server.address", "consent.language", "count.name",
        "count.detail", "count.value",
    }  # fmt: skip
    assert {count["server.address"] for count in sink.counts} == {"site.example"}
    (prefix,) = {record["log.record.uid"].rpartition("-")[0] for record in sink.records}
    ids = [count["log.record.uid"] for count in sink.counts]
    assert len({id_[:8] for id_ in [*ids, prefix]}) == len(ids) + 1 > 3
    assert all(count["time"][13:] == ":00:00Z" for count in sink.counts)
    keys = ("consent.language", "count.name", "count.detail")
    rows = [[count.get(key, "") for key in keys] for count in sink.counts]
    assert rows == sorted(rows), "the order in which counts began would tell something, too"


def test_sink_that_refuses_counts_costs_no_page(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(MemorySink):
        def count(self, line: bytes) -> None:
            raise OSError("no room")

    app = install(APP, access_log=Refusing())
    assert Visitor(app, BROWSER).get("/").status == 200
    drive_lifespan(app)
    assert "The sink does not take counts; they are lost: OSError('no room')" in caplog.text


def test_failed_startup_is_passed_on(app: ConsentMiddleware) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    app.app = failing
    sent = asyncio.run(drive(app, {"type": "lifespan", "state": {}}))
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]


# First questions, and sums by purpose, policy, device and prefix.


def press(visitor: Visitor, reply: Reply, button: str) -> None:
    """Press a button of the question in a page."""
    (form,) = forms(reply.text)
    visitor.send_form(form.pressed(button))


@pytest.mark.parametrize("etag", [[], [("etag", '"1"')]], ids=["quick", "careful"])
@pytest.mark.parametrize(
    ("headers", "is_first"),
    [
        ([ARRIVES], True),
        ([("sec-fetch-site", "cross-site"), ("referer", "https://search.example/")], True),
        ([GOES_ON], False),
        ([("sec-fetch-site", "same-site"), ("referer", "https://www.site.example/")], False),
        ([ARRIVES, ("cache-control", "max-age=0")], False),
        ([], True),
        ([("referer", "https://search.example/")], True),
        ([("referer", "https://site.example/before")], False),
    ],
    ids=["typed", "link", "page of the site", "its other host", "reload", "no field", "old link", "old page of it"],
)
def test_question_is_first_where_no_page_of_the_site_led_there(
    headers: Fields, is_first: bool, etag: Fields, sink: MemorySink
) -> None:
    app = install(page_app(headers=[*etag]), access_log=sink)
    visitor = Visitor(app, BROWSER)
    for _ in range(2):  # the second page takes the quick way, unless it has an entity tag
        reply = visitor.get("/", headers)
        assert dict(forms(reply.text)[0].hidden)["first"] == ("1" if is_first else "")
    found = counts(app, sink, "asked")
    assert found["asked en"] == found["asked_by_prefix /"] == 2
    assert found.get("asked_first en", 0) == found.get("asked_first_by_prefix /", 0) == (2 if is_first else 0)


def test_question_and_answer_are_counted_by_each_thing(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.get("/docs/start", [ARRIVES])
    press(visitor, visitor.get("/docs/more", [GOES_ON], query=b"a=b"), "accept_all")
    things = ("device mobile", "prefix /docs", f"policy {policy().version}")
    purposes = ("media", "analytics")
    assert counts(app, sink, ("asked_by", "asked_first_by", "granted", "answered", "refused")) == {
        **{f"asked_by_{thing}": 2 for thing in things},
        **{f"asked_first_by_{thing}": 1 for thing in things},
        **{f"asked_by_purpose {purpose}": 2 for purpose in purposes},
        "granted en": 1,
        **{f"granted_by_{thing}": 1 for thing in things},
        **{f"granted_by_purpose {purpose}": 1 for purpose in purposes},
    }


def test_answer_to_the_first_question_is_told_from_later_ones(app: ConsentMiddleware, sink: MemorySink) -> None:
    first, later = Visitor(app, BROWSER), Visitor(app, BROWSER)
    press(first, first.get("/", [ARRIVES]), "refuse_all")
    later.get("/", [ARRIVES])
    press(later, later.get("/", [GOES_ON]), "refuse_all")
    found = counts(app, sink)
    assert (found["asked_first en"], found["refused en"], found["answered_first en"]) == (2, 2, 1)


def test_single_purposes_are_counted_when_answered_and_withdrawn(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.save(media=True)
    visitor.accept()
    visitor.save(analytics=True)
    visitor.refuse()
    assert counts(app, sink, ("withdrawn", "changed", "granted_by_purpose", "refused_by_purpose")) == {
        "refused_by_purpose analytics": 1,
        "granted_by_purpose media": 1,
        "granted_by_purpose analytics": 1,
        "withdrawn en": 1,
        "withdrawn_by_purpose media": 1,
        "withdrawn_by_purpose analytics": 1,
        "changed en": 2,
        "changed_by_purpose analytics": 1,
        f"changed_by_policy {policy().version}": 2,
        "changed_by_device mobile": 1,
    }


def test_only_what_is_asked_and_answered_now_is_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    press(visitor, visitor.get("/docs/1"), "refuse_all")
    assert counts(app, sink, ("asked_by_purpose", "granted_by_purpose", "refused_by_purpose")) == {
        "granted_by_purpose media": 1,
        "asked_by_purpose analytics": 1,
        "refused_by_purpose analytics": 1,
    }


def test_settings_that_are_opened_and_the_page_of_an_answer_there_are_counted(
    app: ConsentMiddleware, sink: MemorySink
) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.get(PREFIX, [GOES_ON, ("referer", "https://site.example/docs")])
    press(visitor, visitor.get(f"{PREFIX}/question", query=b"again=&next=%2Fdocs%2F1"), "accept_all")
    visitor.get(PREFIX)
    found = counts(app, sink, ("settings", "granted_by_prefix"))
    assert found == {"settings en": 2, "granted_by_prefix /docs": 1}, "the page after an answer is none that was opened"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([("user-agent", ROBOT)], b""),
        ([*BROWSER, ("referer", f"https://site.example{PREFIX}?language=en")], b"language=ja"),
        ([*BROWSER, ("sec-purpose", "prefetch")], b""),
        (BROWSER, b"erased="),
    ],
    ids=["robot", "from the settings page", "prefetched", "after an erasure"],
)
def test_another_look_at_the_settings_is_not_counted(
    headers: Fields, query: bytes, app: ConsentMiddleware, sink: MemorySink
) -> None:
    Visitor(app, headers).get(PREFIX, query=query)
    Visitor(app, headers).request("HEAD", PREFIX)
    Visitor(app, headers).get(f"{PREFIX}/question")
    assert counts(app, sink, "settings") == {}


def test_forged_marks_of_a_form_count_nothing_new(app: ConsentMiddleware, sink: MemorySink) -> None:
    Visitor(app, BROWSER).post({"choice": "refuse_all", "first": "yes", "next": "//elsewhere.example/x"})
    found = counts(app, sink, ("refused", "answered"))
    assert not [name for name in found if "prefix" in name or "first" in name]
    assert found["refused_by_policy " + policy().version] == 1


def test_no_device_is_counted_of_those_who_say_no(app: ConsentMiddleware, sink: MemorySink) -> None:
    Visitor(app, BROWSER).refuse()
    Visitor(app, BROWSER).save(media=True)
    Visitor(app, BROWSER).accept()
    found = counts(app, sink, ("refused", "partial", "granted"))
    assert (found["refused en"], found["partial en"], found["granted en"]) == (1, 1, 1)
    assert [name for name in found if "device" in name] == ["granted_by_device mobile"]


# The class Counts.


def make_counts(sink: MemorySink, clock: Clock) -> Counts:
    return Counts(sink, clock, lambda: "random")


def sums_by_detail(sink: MemorySink, name: str) -> dict[str, int]:
    sums = Counter[str]()
    for count in sink.counts:
        if count["count.name"] == name:
            sums[count["count.detail"]] += count["count.value"]
    return dict(sums)


def ask(counts: Counts, paths: Iterable[str], host: bytes = b"site.example") -> None:
    """Count pages with the question, on an event loop."""

    async def serve() -> None:
        for path in paths:
            counts.add_with_details(["asked"], host, "en", Shown(policy(), "pc", path))
            assert len(counts._sums) <= MOST

    run(serve())


def test_counts_reach_the_sink_after_half_a_minute(sink: MemorySink) -> None:
    async def serve() -> None:
        counts = make_counts(sink, Clock())
        for _ in range(3):
            counts.add("views", b"Site.Example:8000")
        await trio.sleep(29.9)
        assert sink.counts == []
        await trio.sleep(0.2)
        assert len(sink.counts) == 1
        await trio.sleep(100)
        counts.add("views", b"site.example")
        assert len(sink.counts) == 1

    trio.run(serve, clock=trio.testing.MockClock(autojump_threshold=0))
    assert sink.counts == [
        {
            "time": "2025-06-15T15:00:00Z",
            "log.record.uid": "random",
            "record.version": 1,
            "count.day": "2025-06-15",
            "server.address": "site.example",
            "count.name": "views",
            "count.value": 3,
        }
    ]


ENDING = """
    counts.add("views", b"site.example")
    await asyncio.sleep(0)
    counts.add("views", b"site.example")
"""
FORKED = """
    counts.add("views", b"parent.example")
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        counts.add("views", b"child.example")
"""


@pytest.mark.parametrize(
    ("serve", "expected"),
    [(ENDING, [("site.example", 2)]), (FORKED, [("child.example", 1), ("parent.example", 1)])],
    ids=["without lifespan", "forked"],
)
@pytest.mark.slow
def test_process_end_flushes_its_own_counts(serve: str, expected: list[tuple[str, int]], tmp_path: Path) -> None:
    script = f"""
import asyncio, os, sys
from cookie_consent.tracing.counts import Counts
from cookie_consent.sinks import JsonLinesSink

async def serve():
    counts = Counts(JsonLinesSink(sys.argv[1]), lambda: 0.0)
{serve}
asyncio.run(serve())
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "access.jsonl")], check=True, timeout=60)
    found = map(json.loads, (tmp_path / "access.counts.jsonl").read_bytes().splitlines())
    assert [(count["server.address"], count["count.value"]) for count in found] == expected


def test_counts_without_asyncio_loop_reach_the_sink_at_once(sink: MemorySink) -> None:
    counts = make_counts(sink, Clock())
    counts.add("views", b"site.example")
    counts.add("views", b"site.example")
    assert [count["count.value"] for count in sink.counts] == [1, 1]


def test_many_different_counts_reach_the_sink_at_once(sink: MemorySink) -> None:
    async def add() -> None:
        counts = make_counts(sink, Clock())
        for number in range(MOST):
            counts.add("degraded", b"site.example", detail=str(number))
        assert len(sink.counts) == MOST

    asyncio.run(add())


@pytest.mark.parametrize(
    ("zone", "began", "next_began"),
    [
        ("UTC", "15:00", "16:00"),
        ("Asia/Tokyo", "15:00", "16:00"),
        ("Asia/Kolkata", "14:30", "15:30"),
        ("Asia/Kathmandu", "14:15", "15:15"),
    ],
)
def test_hours_of_counts_begin_when_the_clocks_of_the_site_begin_one(
    zone: str, began: str, next_began: str, sink: MemorySink
) -> None:
    clock = Clock()
    counts = Counts(sink, clock, zone=ZoneInfo(zone))
    ask(counts, ["/a"])
    clock.forward(seconds=3240)
    ask(counts, ["/a"])
    clock.forward(days=1)
    ask(counts, ["/b"])
    counts.flush()
    found = [
        (count["count.detail"], count["count.day"], count["time"][11:16])
        for count in sink.counts
        if count["count.name"] == "asked_by_prefix"
    ]
    day, next_day = "2025-06-15", "2025-06-16"
    assert found == [("/a", day, began), ("/a", day, next_began), ("/b", next_day, next_began)]


def test_hosts_beyond_limit_are_counted_together(sink: MemorySink) -> None:
    counts = make_counts(sink, Clock())

    async def serve() -> None:
        for number in range(300):
            counts.add("views", b"host-%d.example" % number)
        counts.add("views", b"%b.example" % (b"x" * 300))
        counts.add("views", b"host-0.example")
        counts.flush()

    run(serve())
    assert len(sink.counts) == 101
    found = [(count["server.address"], count["count.value"]) for count in sink.counts]
    assert found[:3] == [("(other)", 201), ("host-0.example", 2), ("host-1.example", 1)]


def test_errors_are_named_once_there_are_a_few_and_bounded_in_number(sink: MemorySink) -> None:
    counts = make_counts(sink, Clock())

    async def serve() -> None:
        for number in [*[-1] * FEW, *[-2] * (FEW - 1), *range(3 * MAX_ERRORS)]:
            counts.add(ARRIVED_ON_ERROR, b"site.example", detail=f"404 (direct) /{number}")
            assert len(counts._errors) <= MAX_ERRORS
        counts.add(ARRIVED_ON_ERROR, b"site.example", detail=f"404 (direct) /{'x' * 300}")
        counts.flush()

    run(serve())
    others = FEW - 1 + 3 * MAX_ERRORS + 1
    assert sums_by_detail(sink, ARRIVED_ON_ERROR) == {"404 (direct) /-1": FEW, "404 (other) (other)": others}


def test_prefixes_are_bounded_in_number_and_length_and_name_no_persons(sink: MemorySink) -> None:
    clock = Clock()
    counts = Counts(sink, clock)
    ask(counts, ["/@ann", "/~ann/photos", "/ann@site.example", "/docs/@ann", f"/{'x' * 40}", "/\x07"])
    ask(counts, [*(f"/{number}/page" for number in range(MAX_PREFIXES)), "/3", "/3/other"])
    counts.flush()
    found = sums_by_detail(sink, "asked_by_prefix")
    assert len(found) == MAX_PREFIXES + 1
    assert (found["(other)"], found["/3"], found["/docs"]) == (6, 3, 1)
    sink.counts.clear()
    clock.forward(seconds=3600)
    ask(counts, ["/new"])
    clock.forward(days=1)
    ask(counts, ["/new"])
    counts.flush()
    assert sums_by_detail(sink, "asked_by_prefix") == {"(other)": 1, "/new": 1}


def test_many_combinations_take_bounded_memory(sink: MemorySink) -> None:
    counts = Counts(sink, Clock())
    for host in range(100):
        ask(counts, [f"/{number}" for number in range(30)], b"host%d" % host)
    counts.flush()
    assert sums_by_detail(sink, "asked_by_device") == {"pc": 3000}
