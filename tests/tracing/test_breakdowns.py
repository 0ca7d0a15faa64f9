"""Tests of what is counted of questions and answers: first askings, and sums by purpose, policy and so on."""

from __future__ import annotations

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.counts import MAX_PREFIXES, MOST, Counts, Shown
from tests.support.asgi import PHONE, PREFIX, ROBOT, Clock, Fields, Reply, Visitor, install, page_app, policy, run
from tests.support.browsers.browser import forms

READS = [("user-agent", PHONE), ("accept", "text/html"), ("sec-fetch-dest", "document")]
ARRIVES = ("sec-fetch-site", "none")
GOES_ON = ("sec-fetch-site", "same-origin")


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture(params=["quick", "careful"])
def app(request: pytest.FixtureRequest, sink: MemorySink) -> ConsentMiddleware:
    # A page with an entity tag is no ordinary page.
    headers = [] if request.param == "quick" else [("etag", '"1"')]
    return install(page_app(headers=headers), access_log=sink)


def counted(app: ConsentMiddleware, sink: MemorySink, *beginnings: str) -> dict[str, int]:
    """Return the counts whose names begin with one of these: name, with detail if there is one -> sum."""
    log = app._site.access_log
    assert log is not None
    log.counts.flush()
    sums: dict[str, int] = {}
    for count in sink.counts:
        if count["count.name"].startswith(beginnings):
            name = " ".join(filter(None, [count["count.name"], count.get("count.detail")]))
            sums[name] = sums.get(name, 0) + count["count.value"]
    return sums


def press(visitor: Visitor, reply: Reply, button: str) -> None:
    """Press a button of the question in a page."""
    (form,) = forms(reply.text)
    visitor.send_form(form.pressed(button))


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
    ids=[
        "typed",
        "link",
        "page of the site",
        "its other host",
        "reload",
        "no field",
        "old link",
        "old page of the site",
    ],
)
def test_question_is_first_where_no_page_of_the_site_led_there(
    headers: Fields, is_first: bool, app: ConsentMiddleware, sink: MemorySink
) -> None:
    visitor = Visitor(app, READS)
    for _ in range(2):  # the second page takes the quick way
        reply = visitor.get("/", headers)
        assert dict(forms(reply.text)[0].hidden)["first"] == ("1" if is_first else "")
    found = counted(app, sink, "asked")
    assert found["asked"] == found["asked_by_prefix /"] == 2
    assert found.get("asked_first", 0) == found.get("asked_first_by_prefix /", 0) == (2 if is_first else 0)


def test_question_and_answer_are_counted_by_each_thing(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    visitor.get("/docs/start", [ARRIVES])
    press(visitor, visitor.get("/docs/more", [GOES_ON], query=b"a=b"), "accept_all")
    things = ("device mobile", "prefix /docs", f"policy {policy().version}")
    purposes = ("media", "analytics")
    assert counted(app, sink, "asked_by", "asked_first_by", "granted", "answered", "refused") == {
        **{f"asked_by_{thing}": 2 for thing in things},
        **{f"asked_first_by_{thing}": 1 for thing in things},
        **{f"asked_by_purpose {purpose}": 2 for purpose in purposes},
        "granted": 1,
        **{f"granted_by_{thing}": 1 for thing in things},
        **{f"granted_by_purpose {purpose}": 1 for purpose in purposes},
    }


def test_answer_to_the_first_question_is_told_from_later_ones(app: ConsentMiddleware, sink: MemorySink) -> None:
    first, later = Visitor(app, READS), Visitor(app, READS)
    press(first, first.get("/", [ARRIVES]), "refuse_all")
    later.get("/", [ARRIVES])
    press(later, later.get("/", [GOES_ON]), "refuse_all")
    found = counted(app, sink, "")
    assert (found["asked_first"], found["refused"], found["answered_first"]) == (2, 2, 1)


def test_single_purposes_are_counted_when_answered_and_withdrawn(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    visitor.save(media=True)
    assert counted(app, sink, "granted_by_purpose", "refused_by_purpose") == {
        "granted_by_purpose media": 1,
        "refused_by_purpose analytics": 1,
    }
    visitor.accept()
    visitor.save(analytics=True)
    assert counted(app, sink, "withdrawn") == {"withdrawn_by_purpose media": 1}
    visitor.refuse()
    assert counted(app, sink, "withdrawn", "changed", "granted_by_purpose") == {
        "granted_by_purpose media": 1,
        "granted_by_purpose analytics": 1,
        "withdrawn": 1,
        "withdrawn_by_purpose media": 1,
        "withdrawn_by_purpose analytics": 1,
        "changed": 2,
        "changed_by_purpose analytics": 1,
        f"changed_by_policy {policy().version}": 2,
        "changed_by_device mobile": 1,
    }


def test_only_what_is_asked_and_answered_now_is_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    press(visitor, visitor.get("/docs"), "refuse_all")
    assert counted(app, sink, "asked_by_purpose", "granted_by_purpose", "refused_by_purpose") == {
        "granted_by_purpose media": 1,
        "asked_by_purpose analytics": 1,
        "refused_by_purpose analytics": 1,
    }


def test_answer_in_the_settings_is_counted_by_the_page(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    press(visitor, visitor.get(f"{PREFIX}/question", query=b"again=&next=%2Fdocs%2F1"), "accept_all")
    found = counted(app, sink, "granted_by")
    assert found["granted_by_prefix /docs"] == 1


def test_settings_that_are_opened_are_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    visitor.get(PREFIX, [GOES_ON, ("referer", "https://site.example/docs")])
    visitor.get(f"{PREFIX}/question", query=b"again=&next=%2F")
    assert counted(app, sink, "settings") == {"settings": 2}


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([("user-agent", ROBOT)], b""),
        ([*READS, ("referer", f"https://site.example{PREFIX}?language=en")], b"language=ja"),
        ([*READS, ("sec-purpose", "prefetch")], b""),
        (READS, b"erased="),
    ],
    ids=["robot", "from the settings page", "prefetched", "after an erasure"],
)
def test_another_look_at_the_settings_is_not_counted(
    headers: Fields, query: bytes, app: ConsentMiddleware, sink: MemorySink
) -> None:
    Visitor(app, headers).get(PREFIX, query=query)
    Visitor(app, headers).request("HEAD", PREFIX)
    Visitor(app, headers).get(f"{PREFIX}/question")
    assert counted(app, sink, "settings") == {}


def test_settings_page_after_an_answer_is_not_counted(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    press(visitor, visitor.get("/"), "accept_all")
    visitor.get(PREFIX)
    assert counted(app, sink, "settings") == {}


def test_forged_marks_of_a_form_count_nothing_new(app: ConsentMiddleware, sink: MemorySink) -> None:
    visitor = Visitor(app, READS)
    visitor.post({"choice": "refuse_all", "first": "yes", "next": "//elsewhere.example/x"})
    found = counted(app, sink, "refused", "answered")
    assert not [name for name in found if "prefix" in name or "first" in name]
    assert found["refused_by_policy " + policy().version] == 1


def test_no_device_is_counted_of_those_who_say_no(app: ConsentMiddleware, sink: MemorySink) -> None:
    Visitor(app, READS).refuse()
    Visitor(app, READS).save(media=True)
    said_no = counted(app, sink, "refused", "partial")
    assert said_no["refused"] == said_no["partial"] == 1
    assert not any("device" in name for name in said_no)
    Visitor(app, READS).accept()
    assert counted(app, sink, "granted")["granted_by_device mobile"] == 1


# The sums.


def sums_of(sink: MemorySink, name: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for count in sink.counts:
        if count["count.name"] == name:
            sums[count["count.detail"]] = sums.get(count["count.detail"], 0) + count["count.value"]
    return sums


def ask(counts: Counts, *paths: str) -> None:
    """Count pages with the question, on an event loop."""

    async def serve() -> None:
        for path in paths:
            counts.add_with_details(["asked"], b"site.example", "en", Shown(policy(), "pc", path))

    run(serve())
    counts.flush()


def test_prefixes_are_bounded_in_number_and_length() -> None:
    sink, clock = MemorySink(), Clock()
    counts = Counts(sink, clock)
    ask(counts, *(f"/{number}/page" for number in range(MAX_PREFIXES + 5)), f"/{'x' * 40}", "/\x07", "/3", "/3/other")
    found = sums_of(sink, "asked_by_prefix")
    assert len(found) == MAX_PREFIXES + 1
    assert (found["(other)"], found["/3"]) == (7, 3)
    sink.counts.clear()
    clock.forward(seconds=3600)
    ask(counts, "/new")
    clock.forward(days=1)
    ask(counts, "/new")
    assert sums_of(sink, "asked_by_prefix") == {"(other)": 1, "/new": 1}


def test_prefixes_name_no_persons() -> None:
    sink = MemorySink()
    ask(Counts(sink, Clock()), "/@ann", "/~ann/photos", "/ann@site.example", "/docs/@ann")
    assert sums_of(sink, "asked_by_prefix") == {"(other)": 3, "/docs": 1}


def test_many_combinations_take_bounded_memory() -> None:
    sink = MemorySink()
    counts = Counts(sink, Clock())

    async def serve() -> None:
        for number in range(3000):
            shown = Shown(policy(), "pc", f"/{number // 100}")
            counts.add_with_details(["asked"], b"host%d" % (number % 100), "en", shown)
            assert len(counts._sums) <= MOST

    run(serve())
    counts.flush()
    assert sum(count["count.value"] for count in sink.counts if count["count.name"] == "asked_by_device") == 3000


def test_sums_belong_to_the_day_of_the_question() -> None:
    sink, clock = MemorySink(), Clock()
    counts = Counts(sink, clock)

    async def serve() -> None:
        for path in ("/a", "/b"):
            counts.add_with_details(["asked"], b"site.example", "en", Shown(policy(), "pc", path))
            clock.forward(days=1)

    run(serve())
    counts.flush()
    by_day = [(c["count.detail"], c["count.day"]) for c in sink.counts if c["count.name"] == "asked_by_prefix"]
    assert by_day == [("/a", "2025-06-15"), ("/b", "2025-06-16")]
