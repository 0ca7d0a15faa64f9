"""Tests of the caches of visits, cookie names and traces: how long entries hold, and how much memory they take."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import HTTPS, OwnCookies
from cookie_consent.decision.visit import Visits
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.tracer import Trace, Tracing
from tests.support.asgi import PREFIX, SITE, Clock, Visitor, install, page_app, policy, scope
from tests.support.policies import KEY, NOW, granting_record

MANY = 7000
NOTHING = {"necessary": True, "analytics": False, "media": False}
CHANGE = '\n[[changes]]\ndate = 2025-06-20\ntext = { en = "Clearer words.", ja = "表現の見直し" }\n'


def allocated(work: Callable[[int], object], times: int = MANY) -> int:
    """Call `work` with each of many numbers, and return how many bytes it has allocated and not freed."""
    gc.collect()
    tracemalloc.start()
    for number in range(times):
        work(number)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


# How long entries hold.


def test_cached_visit_ends_with_its_day() -> None:
    clock = Clock(datetime(2025, 6, 18, tzinfo=UTC).timestamp())
    visitor = Visitor(install(page_app(), clock=clock))
    visitor.accept()
    visitor.app = install(page_app(), SITE.replace("We count visits.", "We count each visit.") + CHANGE, clock=clock)
    shown = []
    for minute in ("2025-06-19T23:59:00Z", "2025-06-19T23:59:59Z", "2025-06-20T00:00:00Z", "2025-06-20T00:01:00Z"):
        clock.now = datetime.fromisoformat(minute).timestamp()
        shown.append(["pchoice-news" in visitor.get("/").text for _ in range(3)])
    assert shown == [[False] * 3] * 2 + [[True] * 3] * 2


@pytest.mark.parametrize("days", [184, 390])
@pytest.mark.parametrize(("choice", "status"), [("accept_all", "granted"), ("refuse_all", "refused")])
def test_each_answer_holds_as_long_as_cookie_state_and_export_say(choice: str, status: str, days: int) -> None:
    clock = Clock()
    visitor = Visitor(install(page_app(), clock=clock, consent_days=days))
    reply = visitor.post({"choice": choice})
    assert f"; Max-Age={days * 86_400};" in reply.set_cookies["__Host-consent"]
    end = datetime.fromtimestamp(int(clock.now) + days * 86_400, UTC)
    for document in (visitor.state(), visitor.get(f"{PREFIX}/export").json["consent"]):
        assert datetime.fromisoformat(document["expires_at"]) == end
    clock.now = end.timestamp() - 1
    for _ in range(3):
        assert (visitor.state()["status"], visitor.state()["should_ask"]) == (status, False)
    clock.forward(seconds=1)
    assert (visitor.state()["status"], visitor.state()["should_ask"]) == ("unknown", True)


def test_cached_visit_does_not_hold_before_its_request() -> None:
    clock = Clock()
    visitor = Visitor(install(clock=clock))
    visitor.accept()
    for _ in range(3):
        visitor.get(f"{PREFIX}/state")
    clock.forward(seconds=-60)
    assert visitor.state()["status"] == "unknown"


def test_visits_stay_cached_next_to_each_other() -> None:
    visits = make_visits()
    requests = [request_with(b"session=%d; undeclared=1" % number) for number in range(5)]
    *_, second, third = ([visits.read(request, "/") for request in requests] for _ in range(3))
    assert all(visit is same for visit, same in zip(second, third, strict=True))
    assert len(set(map(id, second))) == 5


@pytest.mark.parametrize(("length", "left"), [(64 * 1024, 64 * 1024), (64 * 1024 + 1, len(b"a=1"))])
def test_cookies_are_read_up_to_64_kib(length: int, left: int) -> None:
    cookies = b"a=1; b=".ljust(length, b"x")
    visit = make_visits().read(request_with(cookies), "/")
    assert len(visit.cookies) == left
    assert visit.blocked_counts == {"undeclared": 2 if left == length else 1}


# A decision that fails.


@pytest.mark.logs_an_exception
def test_failed_decision_denies_everything_and_is_not_cached() -> None:
    class Failing(Gate):
        def filter_request(self, field: bytes, purposes: Mapping[str, bool]) -> NoReturn:
            raise ValueError("broken")

    own = OwnCookies(KEY)
    answer = own.set_consent(granting_record(policy()), place=HTTPS).partition(b";")[0]
    visits = Visits(policy(), own, Failing(policy(), {}), lambda: NOW + 1)
    for _ in range(3):
        visit = visits.read(request_with(answer + b"; session=1"), "/")
        assert visit.decision.purposes == NOTHING
        assert (visit.visible_cookies, visit.refusable_cookies, visit.refused_cookies, visit.visitor) == (
            b"",
            (),
            (),
            None,
        )
        assert (visit.traced, visit.depends_on_signals, visit.saved) == (False, False, False)
        assert visit.valid_until == NOW + 1


# How much memory entries take. Without eviction, or with long entries, each cache would take several times as much.


@pytest.mark.parametrize(("name", "most"), [(b"n%d", 150_000), (b"%0250d", 500_000)], ids=["short", "of 250 bytes"])
@pytest.mark.slow
@pytest.mark.no_cover
def test_gate_caches_few_names(name: bytes, most: int) -> None:
    gate = make_gate()
    assert allocated(lambda number: gate.block_reason(name % number, NOTHING), times=3000) < most


@pytest.mark.slow
def test_gate_caches_no_long_names() -> None:
    gate = make_gate()
    assert allocated(lambda number: gate.block_reason(b"%02000d" % number, NOTHING), times=900) < 100_000


@pytest.mark.slow
@pytest.mark.no_cover
def test_few_repeated_cookies_are_cached() -> None:
    visits = make_visits()
    assert (
        allocated(lambda number: visits.read(request_with(b"session=%d" % (number // 2)), "/"), times=8000) < 1_200_000
    )


@pytest.mark.slow
@pytest.mark.no_cover
def test_cached_cookies_are_limited_in_bytes() -> None:
    visits = make_visits()
    cookies = b"session=%01900d; undeclared=1"
    assert 1_000_000 < allocated(lambda number: visits.read(request_with(cookies % number), "/"), 3000) < 9_000_000


@pytest.mark.slow
def test_long_cookies_are_not_cached() -> None:
    visits = make_visits()
    assert (
        allocated(lambda number: visits.read(request_with(b"session=%05000d" % (number // 2)), "/"), times=2000)
        < 50_000
    )


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("length", [10, 240])
@pytest.mark.slow
@pytest.mark.no_cover
def test_tracing_caches_few_pages(length: int) -> None:
    tracing = make_tracing()
    trace = Trace({}, "visitor", "policy", 1_750_000_000)
    assert allocated(lambda number: tracing.write(scope(path=f"/{number:0{length}}"), trace)) < 4_000_000


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("length", [10, 240])
@pytest.mark.slow
@pytest.mark.no_cover
def test_tracing_caches_few_visitors(length: int) -> None:
    tracing = make_tracing()
    request = scope(path="/")
    assert allocated(lambda number: tracing.write(request, Trace({}, f"{number:0{length}}", "policy", 0))) < 2_500_000


def test_visit_and_its_decision_are_frozen() -> None:
    records = OwnCookies(KEY).set_consent(granting_record(policy()), place=HTTPS)
    for headers in ([], [(b"cookie", records.partition(b";")[0])]):
        visit = make_visits().read({"headers": headers, "scheme": "https"}, "/")
        assert visit.decision.status == ("granted" if headers else "unknown")
        changes = {"visitor_id": True, "traced": True}
        for frozen, name in [*((visit, name) for name in changes), (visit.decision, "purposes")]:
            with pytest.raises(AttributeError):
                setattr(frozen, name, True)
            with pytest.raises(AttributeError):
                delattr(frozen, name)
        with pytest.raises(AttributeError):
            visit.traced = True  # type: ignore[misc]
        with pytest.raises(AttributeError):
            visit.decision.status = "granted"  # type: ignore[misc]


@pytest.mark.slow
def test_tracing_caches_no_long_pages() -> None:
    tracing = make_tracing()
    trace = Trace({}, "visitor", "policy", 1_750_000_000)
    assert allocated(lambda number: tracing.write(scope(path=f"/{number:01000}"), trace), times=2000) < 100_000


def make_gate() -> Gate:
    return Gate(policy(), {})


def make_visits() -> Visits:
    return Visits(policy(), OwnCookies(KEY), make_gate(), lambda: 1_750_000_000)


def make_tracing() -> Tracing:

    class Nowhere(MemorySink):
        def write(self, line: bytes) -> None:
            """Keep nothing."""

    return Tracing(Nowhere(), ())


def request_with(cookies: bytes) -> dict[str, object]:
    return {"headers": [(b"cookie", cookies)], "scheme": "https"}
