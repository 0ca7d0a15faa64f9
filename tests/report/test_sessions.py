"""Tests of sessions, goals and funnels: each of a few records, all in one log, which is reported once."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.cli.main import GOOD, main
from cookie_consent.report import report
from cookie_consent.report.page.page import page
from cookie_consent.report.settings import Goals
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from tests.support.report_records import MIDNIGHT, NOON, Record, event, line, record

DAY = NOON.date()
END = 10.0 / 60_000
"""The end of the response to the first record, in minutes."""
OTHER = "https://other.example"
LETTER: dict[str, Any] = {"url__query": "utm_source=letter&utm_medium=mail"}
ADVERT: dict[str, Any] = {"url__query": "utm_source=advert"}


def request(minutes: float, **more: Any) -> Record:
    """A request of a page's script, some minutes after noon."""
    return record(minutes, "/data", record__kind="request", **more)


def left(minutes: float, seconds: float) -> Record:
    return event(minutes, "page_leave", duration_ms=1000 * seconds)


def without_visitor(made: Record) -> Record:
    return {key: value for key, value in made.items() if key != "visitor.id"}


Session = tuple[int, float, str, str, bool]
"""Views, minutes, the first and the last page, and whether it bounced."""


def visit(views: int, minutes: int, last: str = "/b") -> Session:
    return views, minutes, "/", last, False


def alone(minutes: int) -> Session:
    return 1, minutes, "/", "/", True


BOUNCE = alone(0)
SESSIONS: dict[str, tuple[list[Record], list[Session]]] = {
    "pause of thirty minutes": ([record(0), record(30 + END, "/b")], [visit(2, 30)]),
    "longer pause": ([record(0), record(30 + END + 1 / 60_000)], [BOUNCE, BOUNCE]),
    "forty minutes on a page": ([record(0), left(40, 2399), record(41, "/b")], [visit(2, 41)]),
    "download of an hour": ([record(0, duration_ms=3_600_000.0), event(1, "scroll"), record(80, "/b")], [visit(2, 80)]),
    "a view that scripts tell of": ([record(0), event(1, "page_view", "/b")], [visit(2, 1)]),
    "a view": ([record(0), left(1, 50)], [alone(1)]),
    "a view and an event": ([record(0), event(1, "download")], [visit(1, 1, "/")]),
    "requests prolong it": ([record(0), request(20), request(50), request(80, duration_ms=60_000.0)], [alone(81)]),
    "a view after requests": ([record(0), request(20), request(45), record(70, "/b")], [visit(2, 70)]),
    "a late request begins none": ([record(0), request(40), record(50), record(55, "/b")], [BOUNCE, visit(2, 5)]),
    "requests alone": ([request(0), request(1)], []),
    "an event alone": ([event(0, "download")], []),
    "request while a page is read": ([record(0), request(40), left(45, 2699), record(46, "/b")], [visit(2, 46)]),
    "requests are of the latest": ([record(0), request(4), record(10, **LETTER), request(12)], [alone(4), alone(2)]),
    "request before a campaign": ([request(9), record(10, **LETTER), request(12)], [alone(2)]),
    "errors are requests": (
        [request(-1, http__response__status_code=404), record(0), request(1, http__response__status_code=500, **LETTER),
         record(1.5, "/end", http__response__status_code=304), request(2, http__response__status_code=400)],
        [visit(2, 2, "/end")],
    ),
    "a campaign during it": ([record(0), record(1, **LETTER), record(2)], [BOUNCE, visit(2, 1, "/")]),
    "the same campaign": ([record(0, **LETTER), record(1), record(2, **LETTER)], [visit(3, 2, "/")]),
    "three campaigns": ([record(0, **LETTER), record(1, **ADVERT), record(2, **LETTER)], [BOUNCE] * 3),
    "no campaign in a query": ([record(0, **ADVERT), record(1, url__query="utm_term=no+campaign")], [visit(2, 1, "/")]),
    "over midnight": ([record(n, at=MIDNIGHT, **LETTER) for n in (-80, -55, -30, -5, 20)], [visit(5, 100, "/")]),
    "written twice": ([record(0), record(0)], [BOUNCE]),
    "no visitor": ([without_visitor(record(0)), without_visitor(record(1))], [BOUNCE] * 2),
}  # fmt: skip
"""What happened -> its records, and the sessions."""

REFERRERS = {
    "https://case.example:8443/a": "(internal)",
    "https://www.case.example": "(internal)",
    "http://case.example": "(internal)",
    "https://wwwcase.example": "https://wwwcase.example",
    OTHER: OTHER,
    "": "",
}
"""The site before a page -> that of the session."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of all these sessions, each on a host of its own, and the tables beside it."""
    log = tmp_path_factory.mktemp("logs") / "access.jsonl"
    cases = [records for records, _ in SESSIONS.values()]
    text = [
        line(
            {**each, "server.address": f"case-{number}.example", "log.record.uid": f"{number}-{each['log.record.uid']}"}
        )
        for number, records in enumerate(cases)
        for each in records
    ]
    for number, referrer in enumerate(REFERRERS):
        for host in ("case.example", "www.case.example"):
            came: dict[str, Any] = {"http__request__referrer": referrer} if referrer else {}
            text.append(
                line(record(number, visitor__id=f"came-{number}", server__address=host, uid=f"{host}-{number}", **came))
            )
    path_of(log, MIDNIGHT.date(), 1, FileFormat.PLAIN).write_bytes(b"".join(text))
    log.touch()
    assert main(["compact", "--access-log", str(log)]) == GOOD
    return log


def rows_of(log: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(log.with_suffix(".duckdb"), read_only=True)) as database:
        return database.execute(query).fetchall()


def test_sessions_are_those_of_their_records(log: Path) -> None:
    found = rows_of(
        log, "SELECT host, views, seconds / 60, entry_path, exit_path, bounced FROM sessions ORDER BY began"
    )
    made = {
        name: [
            (views, round(minutes, 1), *rest)
            for host, views, minutes, *rest in found
            if host == f"case-{number}.example"
        ]
        for number, name in enumerate(SESSIONS)
    }
    assert made == {name: sessions for name, (_, sessions) in SESSIONS.items()}


def test_site_before_is_no_page_of_the_own_site(log: Path) -> None:
    found = rows_of(
        log, "SELECT referrer, count(*) FROM sessions WHERE host LIKE '%case.example' GROUP BY ALL ORDER BY ALL"
    )
    assert dict(found) == Counter([*REFERRERS.values()] * 2)


def test_campaign_of_a_session_is_that_of_its_first_record(log: Path) -> None:
    host = f"case-{[*SESSIONS].index('three campaigns')}.example"
    found = rows_of(log, f"SELECT source, medium, campaign FROM sessions WHERE host = '{host}' ORDER BY began")  # noqa: S608
    assert found == [("letter", "mail", ""), ("advert", "", ""), ("letter", "mail", "")]


def reported(tmp_path: Path, *records: Record, **asked: Any) -> dict[str, Any]:
    """Return the report of an access log with these records."""
    log = tmp_path / "access.jsonl"
    log.write_bytes(b"".join(map(line, records)))
    return report(log, **{"since": DAY, "until": DAY, "threshold": 1, **asked})


def test_session_over_midnight_belongs_to_its_first_day(tmp_path: Path) -> None:
    records = [record(-5, "/in", at=MIDNIGHT), record(5, "/out", at=MIDNIGHT), event(6, "paid", at=MIDNIGHT)]
    goals = Goals((("paid", "event:paid"),))
    days = [reported(tmp_path, *records, since=day, until=day, goals=goals) for day in (DAY, MIDNIGHT.date())]
    assert [(made["sessions"], made["views"], made["visitors"]) for made in days] == [(1, 1, 1), (0, 1, 1)]
    assert [[row["path"] for row in made["exit_pages"]] for made in days] == [["/out"], []]
    assert [made["goals"][0]["sessions"] for made in days] == [1, 0]


@pytest.mark.parametrize(
    ("visitors", "rows"),
    [
        ({"/a": "abcde", "/b": "abcd", "/c": "abc", "/rare": "x"}, [("/a", 5, 5), ("/b", 4, 4), ("(other)", 4, 4)]),
        ({"/a": "abcde", "/rare": "x"}, [("(other)", 6, 6)]),
        ({"/a": "abcde", "/b": "xy", "/c": "xy", "/d": "yx"}, [("(other)", 11, 7)]),
        ({"/a": "xy", "/b": "x"}, []),
        ({"/a": "xy", "/b": "z"}, [("(other)", 3, 3)]),
    ],
)
def test_groups_of_few_visitors_are_joined(visitors: dict[str, str], rows: list[Any], tmp_path: Path) -> None:
    """Each letter is a visitor who saw the page. If "(other)" has too few, the next smallest row joins it."""
    seen = [record(0, path, visitor__id=visitor) for path, letters in visitors.items() for visitor in letters]
    made = reported(tmp_path, *seen, threshold=3)
    assert [(row["path"], row["views"], row["visitors"]) for row in made["pages"]] == rows
    assert made["views"] == len(seen)


def test_counts_of_zero_views_give_no_share(tmp_path: Path) -> None:
    count = {"time": "2026-11-10T12:00:00Z", "count.day": str(DAY), "count.name": "views", "count.value": 0}
    counts_path(tmp_path / "access.jsonl").write_bytes(line(count))
    assert reported(tmp_path, record(0))["share"] == {"views_recorded": 0, "views": 0, "share": None}


def test_log_is_found_by_its_url_and_under_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] *"
    folder.mkdir()
    reported(folder, record(0))
    path_of(folder / "access.jsonl", DAY - timedelta(days=2), 1, FileFormat.GZIP).write_bytes(b"broken, and not opened")
    assert report(f"file://{folder}/access.jsonl", since=DAY, until=DAY)["views"] == 1


# Goals and funnels

FUNNELS = {
    "in order": ([record(1, "/shop/1"), record(2, "/cart"), event(3, "paid")], ("111", "111")),
    "others too": ([record(0), record(1, "/shop"), record(2), record(3, "/cart"), event(5, "paid")], ("111", "111")),
    "cart first": ([record(2, "/cart"), record(4, "/shop/1")], ("100", "100")),
    "paid before": ([record(1, "/shop/1"), event(3, "paid"), record(4, "/cart")], ("110", "110")),
    "not begun": ([record(2, "/cart"), event(3, "paid")], ("000", "000")),
    "on two days": ([record(-1440, "/shop"), record(0, "/cart"), event(1, "paid")], ("100", "111")),
    "an error": ([record(1, "/shop"), request(2, url__path="/cart", http__response__status_code=500)], ("100", "100")),
    "twice": ([record(1, "/shop"), record(2, "/cart"), event(3, "paid"), event(4, "paid")], ("111", "111")),
    "two of three": (
        [record(n, path, visitor__id=f"v{n}") for n, path in ((1, "/shop"), (2, "/shop"), (3, "/shop"))]
        + [record(10 + n, "/cart", visitor__id=f"v{n}") for n in (1, 2)],
        ("320", "320"),
    ),
}  # fmt: skip
"""What happened -> its records, and sessions and visitors of each step: the shop, the cart, an event."""


@pytest.fixture(scope="module")
def goals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of all these: the paths and the event of each have a name of their own."""
    records: list[Record] = []
    for number, (name, (of_case, _)) in enumerate(FUNNELS.items()):
        for each in of_case:
            named = {"url.path": f"/{number}{each['url.path']}", "visitor.id": f"{name} {each['visitor.id']}"}
            named |= {"event.name": f"paid-{number}"} if "event.name" in each else {}
            records.append({**each, **named, "log.record.uid": f"{number}-{each['log.record.uid']}"})
    reached = tuple((f"paid {number}", f"event:paid-{number}") for number in range(len(FUNNELS)))
    funnels = tuple(
        (name, (f"/{number}/shop*", f"/{number}/cart", f"goal:paid {number}")) for number, name in enumerate(FUNNELS)
    )
    once = Goals((*reached, ("cart", "/0/cart")), (*funnels, ("one record", ("/0/shop*", "/0/shop/1"))))
    folder = tmp_path_factory.mktemp("logs")
    return reported(folder, *records, since=DAY - timedelta(days=1), goals=once)


def test_steps_of_a_funnel_are_taken_in_their_order(goals: dict[str, Any]) -> None:
    made = {
        row["funnel"]: tuple("".join(str(step[who]) for step in row["steps"]) for who in ("sessions", "visitors"))
        for row in goals["funnels"]
    }
    assert made == {**{name: steps for name, (_, steps) in FUNNELS.items()}, "one record": ("10", "10")}
    (steps,) = (row["steps"] for row in goals["funnels"] if row["funnel"] == "two of three")
    losses = [(step["lost_sessions"], step["lost_visitors"], step["conversion"]) for step in steps]
    assert losses == [(None, None, 1.0), (1, 1, 0.6667), (2, 2, 0.0)]


def test_session_reaches_a_goal_once(goals: dict[str, Any]) -> None:
    reached = {row["goal"]: (row["sessions"], row["visitors"]) for row in goals["goals"]}
    assert (reached[f"paid {[*FUNNELS].index('twice')}"], reached["cart"]) == ((1, 1), (1, 1))


def test_goal_that_few_visitors_reached_is_not_told(tmp_path: Path) -> None:
    seen = [record(n, "/shop", visitor__id=f"v{n}") for n in range(4)]
    seen += [record(10 + n, "/shop", visitor__id=f"w{n}", http__request__referrer=OTHER) for n in range(3)]
    seen += [event(20 + n, "paid", visitor__id=visitor) for n, visitor in enumerate(("v0", "v1", "v2", "w0"))]
    seen += [record(30, "/cart", visitor__id="v0")]
    wanted = Goals((("cart", "/cart"), ("paid", "event:paid")), (("buy", ("/shop", "/cart")),))
    made = reported(tmp_path, *seen, goals=wanted, threshold=3)
    cart, paid = made["goals"]
    nothing = dict.fromkeys(("sessions", "visitors", "conversion"))
    empty: dict[str, Any] = {f"by_{name}": [] for name in ("step", "source", "campaign", "entry_page")}
    assert cart == {"goal": "cart", **nothing, **empty}
    assert paid["by_source"] == [
        {"referrer": "(direct)", "reached": 3, "sessions": 4, "conversion": 0.75},
        {"referrer": OTHER, "reached": None, "sessions": 3, "conversion": None},
    ]
    assert [step["sessions"] for step in made["funnels"][0]["steps"]] == [7, None]
    without = reported(tmp_path, *seen, threshold=3)
    assert (without["goals"], without["funnels"]) == ([], [])
    assert made["small_groups"]["merged"] - without["small_groups"]["merged"] == 3, "a goal, a step, and a row"
    assert ("paid, by site that led here" in page(made), "Goals" in page(without)) == (True, False)
