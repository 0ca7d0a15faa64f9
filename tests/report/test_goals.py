"""Tests of goals, funnels and properties of events in a report, each with a small log."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.report.export.csv_files import as_csv
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.page.page import page
from cookie_consent.report.settings import Goals
from tests.report.test_report_sessions import MIDNIGHT, NOON, event, record, reported
from tests.support.report_records import ALL_LISTS, Record

BUY = Goals(goals=(("paid", "event:paid"),), funnels=(("buy", ("/shop*", "/cart", "goal:paid")),))
pytestmark = pytest.mark.slow


def steps(tmp_path: Path, *records: Record, **asked: Any) -> list[tuple[int, int]]:
    """Return sessions and visitors of each step of the funnel."""
    (funnel,) = reported(tmp_path, *records, goals=BUY, **asked)["funnels"]
    assert [step["step"] for step in funnel["steps"]] == ["/shop*", "/cart", "goal:paid"]
    return [(step["sessions"], step["visitors"]) for step in funnel["steps"]]


def test_session_reaches_goal_once(tmp_path: Path) -> None:
    paid = [event(1, "paid"), event(2, "paid"), record(120), event(121, "paid"), record(600)]
    (goal,) = reported(tmp_path, record(0), *paid, goals=BUY)["goals"]
    assert (goal["goal"], goal["sessions"], goal["visitors"], goal["conversion"]) == ("paid", 2, 1, 0.6667)
    assert goal["by_source"] == [{"referrer": "(direct)", "reached": 2, "sessions": 3, "conversion": 0.6667}]
    assert goal["by_campaign"] == []
    assert goal["by_entry_page"] == [{"path": "/", "reached": 2, "sessions": 3, "conversion": 0.6667}]


def test_goal_counts_by_campaign_and_site(tmp_path: Path) -> None:
    letter, other = "utm_source=letter&utm_medium=mail", "https://other.example"
    made = reported(
        tmp_path,
        record(0, url__query=letter, http__request__referrer=other),
        event(1, "paid"),
        record(120, url__query=letter),
        record(240),
        goals=BUY,
    )
    (goal,) = made["goals"]
    assert goal["by_campaign"] == [
        {"source": "letter", "medium": "mail", "campaign": "", "reached": 1, "sessions": 2, "conversion": 0.5}
    ]
    assert [(row["referrer"], row["reached"], row["sessions"]) for row in goal["by_source"]] == [
        (other, 1, 1),
        ("(direct)", 0, 2),
    ]


def test_page_of_a_goal_has_to_be_seen_without_error(tmp_path: Path) -> None:
    goals = Goals(goals=(("welcomed", "/welcome"), ("shop", "/shop*")))
    lost = record(1, "/welcome", record__kind="request", http__response__status_code=500)
    for path, reached in (("/welcome", [1, 0]), ("/welcome/", [0, 0]), ("/shop", [0, 1]), ("/shop/2", [0, 1])):
        made = reported(tmp_path, record(0), lost, record(2, path), goals=goals)
        assert [goal["sessions"] for goal in made["goals"]] == reached, path


def test_goal_after_midnight_belongs_to_the_session(tmp_path: Path) -> None:
    paid = event(5, "paid", at=MIDNIGHT)
    made = reported(tmp_path, record(-5, at=MIDNIGHT), paid, goals=BUY)
    assert made["goals"][0]["sessions"] == 1
    made = reported(tmp_path, record(-5, at=MIDNIGHT), paid, goals=BUY, since=MIDNIGHT.date(), until=MIDNIGHT.date())
    assert made["goals"][0]["sessions"] == 0


def test_steps_of_a_funnel_are_taken_in_their_order(tmp_path: Path) -> None:
    shop, cart, paid = record(1, "/shop/1"), record(2, "/cart"), event(3, "paid")
    assert steps(tmp_path, shop, cart, paid) == [(1, 1), (1, 1), (1, 1)]
    assert steps(tmp_path, record(0), shop, record(1.5), cart, record(2.5), paid) == [(1, 1), (1, 1), (1, 1)]
    assert steps(tmp_path, cart, record(4, "/shop/1")) == [(1, 1), (0, 0), (0, 0)]
    assert steps(tmp_path, shop, paid, record(4, "/cart")) == [(1, 1), (1, 1), (0, 0)]
    assert steps(tmp_path, cart, paid) == [(0, 0), (0, 0), (0, 0)]


def test_one_record_is_one_step(tmp_path: Path) -> None:
    goals = Goals(funnels=(("twice", ("/shop*", "/shop/1")),))
    (funnel,) = reported(tmp_path, record(1, "/shop/1"), goals=goals)["funnels"]
    assert [step["sessions"] for step in funnel["steps"]] == [1, 0]
    (funnel,) = reported(tmp_path, record(1, "/shop/1"), record(2, "/shop/1"), goals=goals)["funnels"]
    assert [step["sessions"] for step in funnel["steps"]] == [1, 1]


def test_visitor_takes_steps_over_several_sessions(tmp_path: Path) -> None:
    shop, cart, paid = record(-24 * 60, "/shop"), record(0, "/cart"), event(1, "paid")
    yesterday = NOON.date() - timedelta(days=1)
    assert steps(tmp_path, shop, cart, paid, since=yesterday) == [(1, 1), (0, 1), (0, 1)]
    assert steps(tmp_path, shop, cart, paid) == [(0, 0), (0, 0), (0, 0)]


def test_loss_is_counted_from_step_to_step(tmp_path: Path) -> None:
    ways = [("/shop",), ("/shop", "/cart"), ("/shop", "/cart"), ("/",)]
    seen = [
        record(minute, path, visitor__id=f"v{number}", uid=f"{number}-{minute}")
        for number, way in enumerate(ways)
        for minute, path in enumerate(way)
    ]
    (funnel,) = reported(tmp_path, *seen, goals=BUY)["funnels"]
    assert [(step["lost_sessions"], step["lost_visitors"], step["conversion"]) for step in funnel["steps"]] == [
        (None, None, 1.0),
        (1, 1, 0.6667),
        (2, 2, 0.0),
    ]


def test_numbers_of_too_few_visitors_are_not_given(tmp_path: Path) -> None:
    seen = [record(n, "/shop", visitor__id=f"v{n}") for n in range(3)]
    seen += [record(10 + n, "/cart", visitor__id=f"v{n}") for n in range(2)]
    made = reported(
        tmp_path,
        *seen,
        goals=Goals((("cart", "/cart"), ("shop", "/shop"), *BUY.goals), BUY.funnels),
        threshold=3,
        lists=ALL_LISTS,
    )
    assert made["goals"][0] == {
        "goal": "cart",
        "sessions": None,
        "visitors": None,
        "conversion": None,
        "by_step": [],
        "by_source": [],
        "by_campaign": [],
        "by_entry_page": [],
    }
    assert (made["goals"][1]["sessions"], made["goals"][1]["by_entry_page"][0]["reached"]) == (3, 3)
    assert [step["sessions"] for step in made["funnels"][0]["steps"]] == [3, None, 0]
    others = reported(tmp_path, *seen, threshold=3, lists=ALL_LISTS)["small_groups"]["merged"]
    assert made["small_groups"]["merged"] - others == 2  # the goal, and the step
    html, text = page(made), as_text(made)
    assert "Funnel buy, by sessions" in html
    assert "goal:paid" in html
    assert "\ncart         -         -           -\n" in text


def test_row_of_a_goal_that_few_visitors_reached_tells_only_how_many_came(tmp_path: Path) -> None:
    other: dict[str, Any] = {"http__request__referrer": "https://other.example"}
    seen = [record(n, visitor__id=f"v{n}") for n in range(4)]
    seen += [record(10 + n, visitor__id=f"w{n}", **other) for n in range(3)]
    seen += [event(20 + n, "paid", visitor__id=visitor) for n, visitor in enumerate(("v0", "v1", "v2", "w0"))]
    made = reported(tmp_path, *seen, goals=BUY, threshold=3, lists=ALL_LISTS)
    assert made["goals"][0]["visitors"] == 4
    assert made["goals"][0]["by_source"] == [
        {"referrer": "(direct)", "reached": 3, "sessions": 4, "conversion": 0.75},
        {"referrer": "https://other.example", "reached": None, "sessions": 3, "conversion": None},
    ]
    others = reported(tmp_path, *seen, threshold=3, lists=ALL_LISTS)["small_groups"]["merged"]
    assert made["small_groups"]["merged"] - others == 1
    assert "paid, by site that led here" in page(made)


def test_goals_and_funnels_are_tables_for_spreadsheets(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0, "/shop"), event(1, "paid"), goals=BUY)
    tables = {name: as_csv(made, name).splitlines() for name in ("goals", "goals_by_source", "funnels")}
    assert tables["goals"] == ["goal,sessions,visitors,conversion", "paid,1,1,1.0"]
    assert tables["goals_by_source"] == [
        "goal,referrer,reached,sessions,conversion",
        "paid,(direct),1,1,1.0",
    ]
    assert tables["funnels"] == [
        "funnel,step,sessions,visitors,lost_sessions,lost_visitors,conversion",
        "buy,/shop*,1,1,,,1.0",
        "buy,/cart,0,0,1,1,0.0",
        "buy,goal:paid,0,0,0,0,0.0",
    ]


def test_report_without_goals_has_empty_lists(tmp_path: Path) -> None:
    made = reported(tmp_path, record(0), lists=ALL_LISTS)
    assert (made["goals"], made["funnels"], made["properties"], made["property_values"]) == ([], [], [], [])
    assert "Goals" not in page(made)


def test_numbers_of_events_are_summed_up(tmp_path: Path) -> None:
    orders = [
        event(n, "order", event__properties={"price": price, "paid": True}) for n, price in enumerate((10, 2.5, 40))
    ]
    made = reported(
        tmp_path,
        *orders,
        event(9, "order", event__properties={"price": "free", "paid": False}),
        lists="properties property_values",
    )
    assert made["properties"] == [
        {"event": "order", "property": "price", "events": 3, "visitors": 1}
        | {"sum": 52.5, "mean": 17.5, "p50": 10.0, "p95": 37.0}
    ]
    assert [[*row.values()] for row in made["property_values"]] == [
        ["order", "paid", "true", 3, 1],
        ["order", "paid", "false", 1, 1],
        ["order", "price", "free", 1, 1],
    ]


def test_values_of_few_visitors_are_joined(tmp_path: Path) -> None:
    def order(n: int, **properties: Any) -> Record:
        return event(n, "order", visitor__id=f"v{n}", event__properties=properties)

    orders = [order(n, plan="basic", price=5) for n in range(3)] + [
        order(n, plan=f"own-{n}", size=n) for n in (3, 4, 5)
    ]
    made = reported(tmp_path, *orders, order(6, weight=1), threshold=3, lists="properties property_values")
    assert [[*row.values()] for row in made["property_values"]] == [
        ["order", "plan", "basic", 3, 3],
        ["(other)", "", "", 3, 3],
    ]
    price, size = made["properties"]
    assert (price["property"], price["sum"]) == ("price", 15.0)
    assert (size["event"], size["property"], size["sum"]) == ("(other)", "", None)


def test_numbers_whose_sum_may_be_none_are_left_out(tmp_path: Path) -> None:
    orders = [event(n, "order", event__properties={"price": price}) for n, price in enumerate((1.7e308, 5, 1.7e308))]
    (price,) = reported(tmp_path, *orders, lists="events properties")["properties"]
    assert (price["events"], price["sum"], price["p95"]) == (1, 5.0, 5.0)


def test_conversion_of_each_day_and_of_each_arm_of_a_test(tmp_path: Path) -> None:
    day = 24 * 60
    seen = [event(0, "exposed", event__properties={"arm": "A"}), record(1), event(2, "paid")]
    seen += [event(day, "exposed", event__properties={"arm": "B"}), record(day + 1)]
    asked: dict[str, Any] = {"goals": BUY, "until": NOON.date() + timedelta(days=1), "step": "day"}
    (goal,) = reported(tmp_path, *seen, **asked)["goals"]
    assert [(row["reached"], row["sessions"], row["conversion"]) for row in goal["by_step"]] == [(1, 1, 1), (0, 1, 0)]
    for arm, conversion in (("A", 1), ("B", 0)):
        (goal,) = reported(tmp_path, *seen, **asked, where=(("property", f"exposed:arm={arm}"),))["goals"]
        assert goal["conversion"] == conversion
