"""Tests of the counts: views, questions and answers of all visitors, without anything about a single visitor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
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
from cookie_consent.tracing.counts import ARRIVED_ON_ERROR, MAX_ERRORS, MOST, Counts
from tests.support.asgi import PAGE, PHONE, PREFIX, ROBOT, SITE, Clock, Visitor, install, run

ANOTHER_COOKIE = '[[cookies]]\nname = "more"\npurpose = "media"\n'
BROWSER = (("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document"))


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _missing(request: Request) -> Response:
    return HTMLResponse(PAGE, status_code=404)


async def _data(request: Request) -> Response:
    return PlainTextResponse("data")


async def _map(request: Request) -> Response:
    request.state.consent.feature("map")
    return HTMLResponse(PAGE)


async def _box(request: Request) -> Response:
    allowed = request.state.consent.allows("media")
    return HTMLResponse(PAGE if allowed else consent_context(request)["consent_fallback"]("map"))


@requires("media")
async def _videos(request: Request) -> Response:
    return HTMLResponse(PAGE)


@requires("media", "analytics")
async def _both(request: Request) -> Response:
    return HTMLResponse(PAGE)


APP = Router(
    [
        Route("/", _page),
        Route("/data", _data),
        Route("/missing", _missing),
        Route("/map", _map),
        Route("/box", _box),
        Route("/videos", _videos),
        Route("/both", _both),
    ]
)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def app(sink: MemorySink) -> ConsentMiddleware:
    return install(APP, access_log=sink)


def counts(app: ConsentMiddleware, sink: MemorySink) -> dict[str, int]:
    """End the server, and return the counts: name, with language or detail if there is one -> sum.

    Without those by purpose, policy and so on: see test_breakdowns.
    """
    drive_lifespan(app)
    sums: dict[str, int] = {}
    for count in sink.counts:
        if "_by_" in count["count.name"]:
            continue
        more = [count[key] for key in ("consent.language", "count.detail") if key in count]
        name = " ".join([count["count.name"], *more])
        sums[name] = sums.get(name, 0) + count["count.value"]
    return sums


def drive_lifespan(app: ConsentMiddleware) -> None:
    async def lifespan() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            """Ignore the message."""

        async def ending(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})

        inner, app.app = app.app, ending
        await app({"type": "lifespan", "state": {}}, receive, send)
        app.app = inner

    asyncio.run(lifespan())


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


def test_error_page_counts_no_view_but_question_and_answer(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, [*BROWSER, ("sec-gpc", "1")])
    visitor.get("/missing")
    visitor.save(analytics=True, media=True)
    visitor.get("/missing")
    visitor.get("/")
    assert [(record["url.path"], record["record.kind"]) for record in sink.records] == [
        ("/missing", "request"),
        ("/", "view"),
    ]
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
    found = {name: value for name, value in counts(app, sink).items() if name.startswith("arrived")}
    assert found == {
        "arrived_on_error 404 https://news.example /none": 6,
        "arrived_on_error 404 (other) (other)": 2,
    }


def test_errors_are_bounded_in_number() -> None:
    sink = MemorySink()

    async def serve() -> None:
        counts = make_counts(sink, Clock())
        for number in range(3 * MAX_ERRORS):
            counts.add(ARRIVED_ON_ERROR, b"site.example", detail=f"404 (direct) /{number}")
            assert len(counts._errors) <= MAX_ERRORS
        counts.flush()

    run(serve())
    assert [(count["count.detail"], count["count.value"]) for count in sink.counts] == [
        ("404 (other) (other)", 3 * MAX_ERRORS)
    ]


def test_count_has_no_field_about_a_visitor(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.get("/")
    counts(app, sink)
    assert {key for count in sink.counts for key in count} == {
        "time", "log.record.uid", "record.version", "count.day", "server.address", "consent.language", "count.name",
        "count.detail", "count.value",
    }  # fmt: skip
    assert {count["server.address"] for count in sink.counts} == {"site.example"}


def test_ids_and_times_of_counts_reveal_no_order(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.accept()
    for _ in range(3):
        visitor.get("/")
    counts(app, sink)
    prefixes = [record["log.record.uid"].rpartition("-")[0] for record in sink.records]
    ids = [count["log.record.uid"] for count in sink.counts]
    assert len(set(prefixes)) == 1
    assert len({id_[:8] for id_ in [*ids, prefixes[0]]}) == len(ids) + 1 > 3
    assert all(count["time"][13:] == ":00:00Z" for count in sink.counts)
    keys = ("consent.language", "count.name", "count.detail")
    rows = [[count.get(key, "") for key in keys] for count in sink.counts]
    assert rows == sorted(rows), "the order in which counts began would tell something, too"


def test_withdrawal_and_change_are_counted_separately(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.accept()
    visitor.save(media=True)
    visitor.refuse()
    assert counts(app, sink) == {"granted en": 1, "partial en": 1, "changed en": 1, "withdrawn en": 1}


def test_answers_of_the_first_tour_are_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.refuse()
    visitor.accept()  # on the settings page
    assert counts(app, sink) == {"refused en": 1, "granted en": 1, "changed en": 1}


def test_answer_after_policy_change_counts_as_answer_to_question(sink: MemorySink) -> None:
    visitor = Visitor(install(APP), BROWSER)
    visitor.accept()
    more = install(APP, f"{SITE}{ANOTHER_COOKIE}", access_log=sink)
    visitor.app = more
    assert visitor.state()["should_ask"]
    visitor.save(media=True)
    assert counts(more, sink) == {"partial en": 1}


def test_robots_and_other_requests_are_not_counted_as_views(app: ConsentMiddleware, sink: MemorySink) -> None:
    Visitor(app, [("user-agent", ROBOT)]).get("/")
    Visitor(app, [("sec-fetch-dest", "empty")]).get("/")
    Visitor(app, [("sec-purpose", "prefetch")]).get("/")
    Visitor(app, BROWSER).get("/data")
    Visitor(app, BROWSER).get(f"{PREFIX}/state")
    assert counts(app, sink) == {}


def test_view_decided_by_signal_is_counted_as_signal(sink: MemorySink) -> None:
    app = install(APP, access_log=sink)
    Visitor(app, [*BROWSER, ("dnt", "1"), ("sec-gpc", "1")]).get("/")
    visitor = Visitor(app, BROWSER)
    visitor.accept()
    visitor.get("/", [("dnt", "1")])
    no = Visitor(app, BROWSER)
    no.refuse()
    no.get("/", [("dnt", "1")])
    found = counts(app, sink)
    assert found["views"] == 3
    assert found["signal"] == 2
    assert "views_recorded" not in found


@pytest.mark.parametrize("path", ["/map", "/box", "/videos"])
def test_feature_fallback_is_counted(path: str, app: ConsentMiddleware, sink: MemorySink) -> None:
    no, yes = (Visitor(app, BROWSER) for _ in range(2))
    no.refuse()
    no.get(path)
    yes.accept()
    yes.get(path)
    found = counts(app, sink)
    assert found["degraded map"] == 1
    assert found["views"] == 2


def test_endpoint_without_feature_counts_no_fallback(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, BROWSER)
    visitor.refuse()
    visitor.get("/both")
    assert not [name for name in counts(app, sink) if name.startswith("degraded")]


# The class Counts.


def make_counts(sink: MemorySink, clock: Clock) -> Counts:
    return Counts(sink, clock, lambda: "random")


def test_counts_reach_the_sink_after_half_a_minute() -> None:
    sink = MemorySink()

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


def counts_of_process(serve: str, folder: Path) -> list[dict[str, Any]]:
    """Run a function body that has `counts` in a process of its own, and return the counts that the process wrote."""
    script = f"""
import asyncio, os, sys
from cookie_consent.tracing.counts import ARRIVED_ON_ERROR, MAX_ERRORS, MOST, Counts
from cookie_consent.sinks import JsonLinesSink

async def serve():
    counts = Counts(JsonLinesSink(sys.argv[1]), lambda: 0.0)
{serve}
asyncio.run(serve())
"""
    subprocess.run([sys.executable, "-c", script, str(folder / "access.jsonl")], check=True, timeout=60)
    return [json.loads(line) for line in (folder / "access.counts.jsonl").read_bytes().splitlines()]


@pytest.mark.slow
def test_process_end_without_lifespan_flushes_counts(tmp_path: Path) -> None:
    serve = """
    counts.add("views", b"site.example")
    await asyncio.sleep(0)
    counts.add("views", b"site.example")
"""
    (count,) = counts_of_process(serve, tmp_path)
    assert count["count.value"] == 2


@pytest.mark.slow
def test_forked_process_flushes_only_its_own_counts(tmp_path: Path) -> None:
    serve = """
    counts.add("views", b"parent.example")
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        counts.add("views", b"child.example")
"""
    assert [(count["server.address"], count["count.value"]) for count in counts_of_process(serve, tmp_path)] == [
        ("child.example", 1),
        ("parent.example", 1),
    ]


def test_counts_are_flushed_before_the_sink_is_closed() -> None:
    closed = []

    class Closed(MemorySink):
        def close(self) -> None:
            closed.append(len(self.counts))

    async def serve() -> Counts:
        counts = make_counts(Closed(), Clock())
        counts.add("views", b"site.example")
        return counts

    run(serve())._end()
    assert closed == [1]


def test_counts_without_asyncio_loop_reach_the_sink_at_once() -> None:
    sink = MemorySink()
    counts = make_counts(sink, Clock())
    counts.add("views", b"site.example")
    counts.add("views", b"site.example")
    assert [count["count.value"] for count in sink.counts] == [1, 1]


def test_many_different_counts_reach_the_sink_at_once() -> None:
    sink = MemorySink()

    async def add() -> None:
        counts = make_counts(sink, Clock())
        for number in range(MOST):
            counts.add("degraded", b"site.example", detail=str(number))
        assert len(sink.counts) == MOST

    asyncio.run(add())


@pytest.mark.parametrize(
    ("zone", "began"),
    [("UTC", "15:00"), ("Asia/Tokyo", "15:00"), ("Asia/Kolkata", "14:30"), ("Asia/Kathmandu", "14:15")],
)
def test_hours_of_counts_begin_when_the_clocks_of_the_site_begin_one(zone: str, began: str) -> None:
    sink, clock = MemorySink(), Clock()
    counts = Counts(sink, clock, zone=ZoneInfo(zone))

    async def serve() -> None:
        counts.add("views", b"site.example")
        clock.forward(seconds=3240)
        counts.add("views", b"site.example")
        counts.flush()

    run(serve())
    hour, minute = began.split(":")
    assert [count["time"][11:16] for count in sink.counts] == [began, f"{int(hour) + 1}:{minute}"]


def test_counts_are_separate_per_day() -> None:
    sink, clock = MemorySink(), Clock()

    async def serve() -> None:
        counts = make_counts(sink, clock)
        counts.add("asked", b"site.example", language="en")
        clock.forward(days=1)
        counts.add("asked", b"site.example", language="en")
        counts.flush()

    run(serve())
    assert [(count["count.day"], count["count.value"]) for count in sink.counts] == [
        ("2025-06-15", 1),
        ("2025-06-16", 1),
    ]


def test_hosts_beyond_limit_are_counted_together() -> None:
    sink = MemorySink()

    async def serve() -> None:
        counts = make_counts(sink, Clock())
        for number in range(300):
            counts.add("views", b"host-%d.example" % number)
        counts.flush()

    run(serve())
    assert len(sink.counts) == 101
    assert sink.counts[0]["server.address"] == "(other)"
    assert sink.counts[0]["count.value"] == 200


class Refusing(MemorySink):
    """A sink that refuses counts."""

    def count(self, line: bytes) -> None:
        raise OSError("no room")


def test_sink_that_refuses_counts_costs_no_page(caplog: pytest.LogCaptureFixture) -> None:
    app = install(APP, access_log=Refusing())
    assert Visitor(app, BROWSER).get("/").status == 200
    drive_lifespan(app)
    assert "The sink does not take counts; they are lost: OSError('no room')" in caplog.text


def test_failed_startup_is_passed_on(app: ConsentMiddleware) -> None:
    sent: list[str] = []

    async def lifespan() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        async def failing(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        app.app = failing
        await app({"type": "lifespan", "state": {}}, receive, send)

    asyncio.run(lifespan())
    assert sent == ["lifespan.startup.failed"]
