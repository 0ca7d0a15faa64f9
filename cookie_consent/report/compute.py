"""Compute all figures of a report, as plain data."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.report.engines.engine import Engine, Given, Row, open_engine
from cookie_consent.report.files import require_files
from cookie_consent.report.goals import Goals, funnels, goals
from cookie_consent.report.lists import ANSWERS, LISTS, Sizes, consent, consent_of_all, number, ratio, rounded
from cookie_consent.report.local_time import DAY, WEEK, day_number, day_of, monday_of, numbered, step_number
from cookie_consent.report.local_time import FIGURES as FILES
from cookie_consent.report.question import Question
from cookie_consent.report.where import without_few

FIGURES = (
    "by_day",
    "by_step",
    "by_hour",
    *(figure.name for figure in LISTS),
    "goals",
    "funnels",
    "retention",
    "consent_by_day",
)
"""The figures of a report that are lists of rows."""
STEPS = len(FIGURES) + 2
"""The number of steps that `report` tells its `seen` callback about."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """An earlier period that a report is compared with.

    Args:
        totals: its totals, and its figures by step.
        sizes: name of a list -> the number of each row, by its label.
    """

    totals: dict[str, Any]
    sizes: Mapping[str, Sizes]


def report(
    access_log: str | os.PathLike[str],
    *,
    since: date,
    until: date,
    host: str | None = None,
    compare: str | bool | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """Return the figures of an access log.

    This blocks until all figures are computed, so call it in a thread from asynchronous code.

    Args:
        access_log: the path of a JSON Lines file (its closed and Parquet files are read too), or a URL:
            "postgresql://…", "clickhouse://…".
        since: the first day.
        until: the last day, included.
        host: report only requests to this host.
        compare: also return figures of an earlier period of equal length: "previous" (or True) for the weeks before,
            "year" for the same weeks of the year before. See `Question.earlier`.
        rest: `limit`, `threshold`, `time_zone`, `step`, `goals` and `where` as in `Question`; `now`, in seconds since
            1970; `seen`, called with the number of finished steps, of `STEPS`; `may_be_new`, True
            to read missing files as empty if their folder exists; `memory`, the bytes that reading files may take, by
            default a quarter of the machine's and at least 512 MB.

    Raises:
        ValueError: an argument is wrong; the message says what is allowed.
        UnreadableError: the access log cannot be read; the message says why.
    """
    now, seen = rest.pop("now", None), rest.pop("seen", lambda done: None)
    now = time.time() if now is None else now
    may_be_new, memory = rest.pop("may_be_new", False), rest.pop("memory", None)
    question = Question(since, until, host or None, **rest)
    earlier = question.earlier("previous" if compare is True else compare, now) if compare else None
    with open_engine(access_log, memory) as engine:
        require_files(access_log, may_be_new=may_be_new)
        before = None if earlier is None else _earlier(engine, earlier)
        seen(1)
        figures = without_few(_whole(engine, question, before, seen), question.where, question.threshold)
        figures["unreadable_files"] = [{"file": str(each.path), "problem": each.problem} for each in engine.damaged]
    figures["range"]["generated_at"] = rfc3339(now)
    figures["compare"] = before and before.totals
    return figures


def _whole(
    engine: Engine, question: Question, earlier: _Earlier | None, seen: Callable[[int], object]
) -> dict[str, Any]:
    given = question.given
    result = _totals(engine, question)
    engine.make("pairs", given)
    seen(2)
    by_day = engine.rows("by_day", given)
    figures: dict[str, Any] = {
        "by_day": _by_day(by_day, question),
        "by_step": _by_step(by_day if question.steps == DAY else engine.rows(FILES[question.steps], given), question),
        "by_hour": _by_hour(engine.rows("by_hour", given), question),
    }
    merged = 0
    for step, figure in enumerate(LISTS, 3):
        figures[figure.name], small = figure.ask(engine, given, earlier.sizes[figure.name] if earlier else None)
        merged += small
        seen(step)
    figures["retention"] = retention(engine.rows("retention", given), question.until, question.threshold)
    figures["goals"], few = goals(engine, given, question.goals, result["sessions"])
    figures["funnels"], fewer = funnels(engine, given, question.goals)
    total = result.pop("consent")
    figures |= {"consent": total, "consent_by_day": _consent_by_day(engine.rows("consent_by_day", given), question)}
    seen(STEPS)
    merged += few + fewer
    small_groups = {"threshold": question.threshold, "merged": merged, "withheld": False}
    return {**result, **figures, "small_groups": small_groups}


def _earlier(engine: Engine, question: Question) -> _Earlier:
    question = replace(question, goals=Goals())
    totals, given = _totals(engine, question), question.given
    engine.make("pairs", given)
    totals["range"] = {name: totals["range"][name] for name in ("from", "to")}
    totals["range"]["to_time"] = question.end_time
    totals["recorded_from"] = _recorded_from(engine.rows("by_day", given), question)
    totals["by_step"] = _by_step(engine.rows(FILES[question.steps], given), question)
    sizes = {figure.name: figure.sizes(engine, given) for figure in LISTS}
    return _Earlier(without_few(totals, question.where, question.threshold), sizes)


def _totals(engine: Engine, question: Question) -> dict[str, Any]:
    """Create the tables of a range, and return the figures that are one number each."""
    given = question.given
    engine.prepare(given)
    for name in question.segment.tables:
        engine.make(name, given, question.segment)
    row = engine.rows("totals", given)[0]
    sessions, views = number(row["sessions"]), number(row["views"])
    return {
        "range": {
            "from": question.since.isoformat(),
            "to": question.until.isoformat(),
            "host": question.host,
            "time_zone": question.time_zone,
            "where": [list(pair) for pair in question.where],
            "step": question.steps,
        },
        "visitors": number(row["visitors"]),
        "new_visitors": number(row["visitors"]) - number(row["returning"]),
        "returning_visitors": number(row["returning"]),
        "sessions": sessions,
        "views": views,
        "bounce_rate": ratio(number(row["bounces"]), sessions),
        "views_per_session": ratio(views, sessions, 2),
        "session_seconds": {
            "median": rounded(row["median_seconds"] if sessions else None),
            "mean": ratio(float(row["all_seconds"]), sessions, 1),
        },
        "share": _share(engine, question, given),
        "consent": consent_of_all(engine.rows("consent", given)[0]),
    }


def _share(engine: Engine, question: Question, given: Given) -> dict[str, int | float | None]:
    counted = {row["name"]: number(row["pages"]) for row in engine.rows("share", given)}
    # Counts know no segments, so a share of them would compare some pages with all.
    if question.where or not counted:
        return {"views_recorded": None, "views": None, "share": None}
    recorded, views = counted.get("views_recorded", 0), counted.get("views", 0)
    return {"views_recorded": recorded, "views": views, "share": ratio(recorded, views)}


def _recorded_from(rows: Iterable[Row], question: Question) -> str | None:
    """Return the first day with a view; None without any. Records of days before may be purged."""
    days = [number(row["number"]) for row in rows if number(row["day_views"]) and not _are_few(row, "day", question)]
    return day_of(min(days)).isoformat() if days else None


def _by_day(rows: list[Row], question: Question) -> list[Row]:
    by_day = {day_of(number(row["number"])): row for row in rows}
    return [{"day": day.isoformat(), **_of_time(by_day.get(day, {}), question)} for day in question.days]


def _by_step(rows: list[Row], question: Question) -> list[Row]:
    by_number = {number(row["number"]): row for row in rows}
    return [
        {"from": begin, **_of_time(by_number.get(place, {}), question)}
        for place, begin in numbered(question.steps, question.days, question.local_time, question.time_zone)
    ]


def _of_time(row: Row, question: Question) -> Row:
    counts = {name: number(row.get(f"day_{name}", 0)) for name in ("visitors", "sessions", "views")}
    few = _are_few(row, "day", question)
    is_counted = row.get("day_counted") and not question.where
    return {
        **(dict.fromkeys(counts) if few else counts),
        **{name: number(row[f"day_{name}"]) if is_counted else None for name in ("all_views_recorded", "all_views")},
    }


def _by_hour(rows: list[Row], question: Question) -> list[Row]:
    by_hour = {number(row["number"]): row for row in rows}
    return [{"hour": hour, **_of_hour(by_hour.get(hour, {}), question)} for hour in range(24)]


def _of_hour(row: Row, question: Question) -> Row:
    counts = {name: number(row.get(f"hour_{name}", 0)) for name in ("views", "sessions")}
    return dict.fromkeys(counts) if _are_few(row, "hour", question) else counts


def _are_few(row: Row, time: str, question: Question) -> bool:
    """Tell whether a day or an hour of a segment has few visitors, of views or of sessions that began.

    It is as small a segment as one that a question about this time alone would choose.
    """
    people = [number(row.get(f"{time}_{name}", 0)) for name in ("visitors", "beginners")] if question.where else []
    return any(0 < each < question.threshold for each in people)


def _consent_by_day(rows: list[Row], question: Question) -> list[Row]:
    by_day = {day_of(number(row["number"])): consent(row) for row in rows}
    return [{"day": day.isoformat(), **by_day.get(day, dict.fromkeys(ANSWERS, 0))} for day in question.days]


def retention(rows: Iterable[Row], until: date, threshold: int) -> list[dict[str, Any]]:
    """Return a row for each week with new visitors: its Monday, their number, and how many came in each later week.

    Weeks of fewer new visitors than the threshold are left out. A number of fewer is None, and so is that of a week
    after the range. All rows have the same columns.

    Args:
        rows: from an engine: `cohort` (number of a week), `later` (weeks after that) and `people`.
        until: the last day of the range.
        threshold: the fewest visitors that a number other than 0 stands for.
    """
    people: dict[int, dict[int, int]] = defaultdict(dict)
    for row in rows:
        people[number(row["cohort"])][number(row["later"])] = number(row["people"])
    cohorts = [cohort for cohort in sorted(people) if people[cohort][0] >= threshold]
    last = step_number(WEEK, day_number(until))
    later = range(1, last - cohorts[0] + 1) if cohorts else range(0)

    def came_again(cohort: int, weeks: int) -> int | None:
        came = people[cohort].get(weeks, 0)
        return None if cohort + weeks > last or 0 < came < threshold else came

    return [
        {
            "week": monday_of(cohort).isoformat(),
            "visitors": people[cohort][0],
            **{f"week_{weeks}": came_again(cohort, weeks) for weeks in later},
        }
        for cohort in cohorts
    ]
