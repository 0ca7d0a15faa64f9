"""Compute all figures of a report, as plain data."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import unquote_plus

from cookie_consent.base.clock import rfc3339
from cookie_consent.report.engines.engine import Engine, Given, Row, open_engine, require_files
from cookie_consent.report.figures import BY_NAME, CONSENT, DIGITS, LISTS, OF_GOALS, OTHER, SHARE, Column, Figure, ratio
from cookie_consent.report.local_time import (
    DAY,
    HOUR_OF_DAY,
    WEEK,
    day_number,
    monday_of,
    numbered,
    step_number,
)
from cookie_consent.report.question import LARGEST_LIMIT, Question
from cookie_consent.report.settings import Goals
from cookie_consent.report.where import without_few

STEPS = len(LISTS) + 4
"""The number of steps that `report` tells its `seen` callback about."""
_OF_COUNTS = ("all_views_recorded", "all_views")
_SEPARATOR = "\x1f"
"""Stands between the names of a group, which may have any other character (ASCII, unit separator)."""

Before = Callable[[str], int | float | None]
"""Returns the number of a group in an earlier period, from its label."""


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
    now = rest.pop("now", None) or time.time()
    seen = rest.pop("seen", lambda done: None)
    may_be_new = rest.pop("may_be_new", False)
    memory = rest.pop("memory", None)
    question = Question(since, until, host or None, **rest)
    earlier = question.earlier("previous" if compare is True else compare, now) if compare else None
    with open_engine(access_log, memory) as engine:
        require_files(access_log, may_be_new=may_be_new)
        before, sizes = _earlier(engine, earlier) if earlier else (None, {})
        seen(1)
        figures = without_few(_figures(engine, question, sizes, seen), question.where, question.threshold)
        files = [{"file": str(each.path), "problem": each.problem} for each in engine.damaged if not each.lines]
        lines = [{"file": str(each.path), "lines": each.lines} for each in engine.damaged if each.lines]
    figures["range"]["generated_at"] = rfc3339(now)
    return {**figures, "compare": before, "unreadable_files": files, "unreadable_lines": lines}


def _figures(
    engine: Engine, question: Question, sizes: Mapping[str, Before], seen: Callable[[int], object]
) -> dict[str, Any]:
    given = question.given
    totals = _totals(engine, question)
    seen(2)
    by_day = _over_time(engine, question, BY_NAME["by_day"], DAY)
    over_time = {
        "by_day": by_day,
        "by_step": _by_step(engine, question, by_day),
        "by_hour": _over_time(engine, question, BY_NAME["by_hour"], HOUR_OF_DAY),
    }
    seen(3)
    merged = 0
    lists: dict[str, list[Row]] = {}
    for step, figure in enumerate(LISTS, 4):
        lists[figure.name], small = list_rows(engine, figure, given, sizes.get(figure.name))
        merged += small
        seen(step)
    goals, few_in_goals = _goals(engine, question, totals["sessions"])
    funnels, few_in_funnels = _funnels(engine, question)
    figures = {
        **totals,
        **over_time,
        **lists,
        "retention": retention(engine.rows("retention", given), question.until, question.threshold),
        "goals": goals,
        "funnels": funnels,
        "consent_by_day": _over_time(engine, question, BY_NAME["consent_by_day"], DAY),
        "small_groups": {
            "threshold": question.threshold,
            "merged": merged + few_in_goals + few_in_funnels,
            "withheld": False,
        },
    }
    seen(STEPS)
    return figures


def _earlier(engine: Engine, question: Question) -> tuple[dict[str, Any], Mapping[str, Before]]:
    """Return the totals of an earlier period, with its figures by step, and by the name of a list its numbers."""
    question = replace(question, goals=Goals())
    totals = _totals(engine, question)
    by_day = _over_time(engine, question, BY_NAME["by_day"], DAY)
    figures = {
        **totals,
        "range": {"from": totals["range"]["from"], "to": totals["range"]["to"], "to_time": question.end_time},
        # Records of days before may be purged.
        "recorded_from": next((row["day"] for row in by_day if row["views"]), None),
        "by_step": _by_step(engine, question, by_day),
    }
    sizes = {figure.name: list_sizes(engine, figure, question.given) for figure in LISTS}
    return without_few(figures, question.where, question.threshold), sizes


def _totals(engine: Engine, question: Question) -> dict[str, Any]:
    """Create the tables of a range, and return the figures that are one number each."""
    given = question.given
    engine.prepare(given)
    for name in question.segment.tables:
        engine.make(name, given, question.segment)
    (row,) = engine.rows("totals", given)
    sessions = number(row["sessions"])
    views = number(row["views"])
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
        "consent": _of_all(engine, CONSENT, given),
    }


def _of_all(engine: Engine, figure: Figure, given: Given) -> dict[str, int | float | None]:
    (row,) = engine.rows("measured", given, figure=figure)
    return measures(figure, row)


def _share(engine: Engine, question: Question, given: Given) -> dict[str, int | float | None]:
    counted = _of_all(engine, SHARE, given)
    # Counts know no segments, so a share of them would compare some pages with all.
    if question.where or not any(value is not None for value in counted.values()):
        return {**dict.fromkeys(counted), "share": None}
    known = {name: value or 0 for name, value in counted.items()}
    return {**known, "share": ratio(known["views_recorded"], known["views"])}


def _over_time(engine: Engine, question: Question, figure: Figure, step: str, given: Given | None = None) -> list[Row]:
    """Return a row for each step of the range; that of a step without anything counted has zeros.

    In a segment, a step of few visitors has no views and sessions: it is as small a segment as one that a question
    about it alone would choose. Counts of all pages know no segments.
    """
    if figure.table == "moments" and not question.where:  # then nobody asks how many people a number stands for
        figure = replace(figure, measures=tuple(replace(column, people="") for column in figure.measures))
    found = engine.rows("measured", given or question.given, figure=figure, step=step)
    if question.where:
        found = [row | dict.fromkeys(f"row_{name}" for name in _OF_COUNTS) for row in found]
    by_step = {number(row["label"]): row for row in found}
    nothing = {f"row_{column.key}": 0 for column in figure.measures if column.key not in _OF_COUNTS}
    nothing |= {f"people_{column.key}": 0 for column in figure.measures}
    places: Iterable[tuple[int, int | str]] = zip(range(24), range(24), strict=True)
    if step != HOUR_OF_DAY:
        places = numbered(step, question.days, question.local_time, question.time_zone)
    key = figure.names[0].key
    return [
        {key: begin, **measures(figure, by_step.get(place, nothing), question.threshold)} for place, begin in places
    ]


def _by_step(engine: Engine, question: Question, by_day: list[Row]) -> list[Row]:
    """Return visitors, sessions and views by the steps of the question; for steps of a day, those that are known."""
    if question.steps != DAY:
        return _over_time(engine, question, BY_NAME["by_step"], question.steps)
    return [{"from": row["day"], **{name: value for name, value in row.items() if name != "day"}} for row in by_day]


def _goals(engine: Engine, question: Question, sessions: int) -> tuple[list[Row], int]:
    """Return a row for each goal, and how many numbers and groups were too small to be shown."""
    figure = BY_NAME["goals"]
    rows = list[Row]()
    small = 0
    for name, step in question.goals.goals:
        given = {**question.given, "goal": question.goals.mark(step)}
        (reached,) = engine.rows("measured", given, figure=figure)
        row: Row = {"goal": name, **measures(figure, reached, question.threshold)}
        row["conversion"] = ratio(row["sessions"], sessions)
        small += row["sessions"] is None
        for each in OF_GOALS:
            # Who reached the goal may not be told by the lists either.
            row[each.key], few = _goal_rows(engine, question, each, given) if row["sessions"] else ([], 0)
            small += few
        rows.append(row)
    return rows, small


def _goal_rows(engine: Engine, question: Question, figure: Figure, given: Given) -> tuple[list[Row], int]:
    if figure.is_list:
        rows, small = list_rows(engine, figure, given)
        return rows, small + sum(row["reached"] is None for row in rows)
    return _over_time(engine, question, figure, question.steps, given), 0


def _funnels(engine: Engine, question: Question) -> tuple[list[Row], int]:
    """Return a row for each funnel, and how many steps had too few visitors to be shown."""
    rows = list[Row]()
    small = 0
    for name, labels in question.goals.funnels:
        marks = {f"step_{place}": question.goals.mark(label) for place, label in enumerate(labels, 1)}
        found = engine.rows("funnel", {**question.given, **marks, "steps": len(labels)})
        found.sort(key=lambda row: row["step"])
        steps = list[Row]()
        for label, row in zip(labels, found, strict=True):
            step: Row = {"step": label, **measures(BY_NAME["funnels"], row, question.threshold)}
            before = steps[-1] if steps else dict.fromkeys(step)
            for who in ("sessions", "visitors"):
                is_known = before[who] is not None and step[who] is not None
                step[f"lost_{who}"] = before[who] - step[who] if is_known else None
            steps.append(step)
            step["conversion"] = ratio(step["sessions"], steps[0]["sessions"])
            small += None in (step["sessions"], step["visitors"])
        rows.append({"funnel": name, "steps": steps})
    return rows, small


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
    made = list[dict[str, Any]]()
    for cohort in cohorts:
        week = {"week": monday_of(cohort).isoformat(), "visitors": people[cohort][0]}
        for later in range(1, last - cohorts[0] + 1):
            came = people[cohort].get(later, 0)
            is_unknown = cohort + later > last or 0 < came < threshold
            week[f"week_{later}"] = None if is_unknown else came
        made.append(week)
    return made


# Rows, from what figures.py says of a figure


def list_rows(engine: Engine, figure: Figure, given: Given, before: Before | None = None) -> tuple[list[Row], int]:
    """Return the rows of a list, and how many groups were too small for a row of their own.

    Args:
        engine: an engine with the tables of the range.
        figure: the list.
        given: the parameters of the SQL texts.
        before: the result of `list_sizes` for the period compared with. Then each row has that number too, as "before".
    """
    groups, small = _groups(engine, figure, given)
    rows = list[tuple[Any, Row]]()
    for group in groups:
        measured = measures(figure, group, int(given["threshold"]))
        names = _names(figure, group["label"])
        size = next(iter(measured.values())) or 0
        if before is not None:
            measured["before"] = None if group["joined"] else before(group["label"])
        # Equal numbers are sorted by name, so that all engines give one order.
        rows.append(((group["joined"], -size, *names.values()), names | measured))
    rows.sort(key=lambda row: row[0])
    return [row for _, row in rows], small


def list_sizes(engine: Engine, figure: Figure, given: Given) -> Before:
    """Return the numbers that rows are sorted by, to compare later ones with.

    Args:
        engine: an engine with the tables of the earlier period.
        figure: the list.
        given: the parameters of the SQL texts.
    """
    # All rows that may be shown at all: what is high up in a list now may have been far down.
    groups, _ = _groups(engine, figure, {**given, "most": LARGEST_LIMIT})
    named = [group for group in groups if not group["joined"]]
    threshold = int(given["threshold"])
    sizes = {group["label"]: next(iter(measures(figure, group, threshold).values())) for group in named}
    # A row that is not there may have had some, but too few to be shown.
    rest = None if len(named) < len(groups) or threshold > 1 else 0
    return lambda label: sizes.get(label, rest)


def _groups(engine: Engine, figure: Figure, given: Given) -> tuple[list[Row], int]:
    """Return the groups of a list, and how many were too small.

    An "(other)" of too few visitors is joined by the smallest named group. Without one, the list is empty.
    """
    groups = engine.rows("list", given, figure=figure)
    small = number(groups[0]["small_groups"]) if groups else 0
    joined = [group for group in groups if group["joined"]]
    if joined and number(joined[0]["people"]) < int(given["threshold"]):
        named = len(groups) - len(joined)
        groups = engine.rows("list", {**given, "most": named - 1}, figure=figure) if named else []
    return groups, small


def measures(figure: Figure, row: Row, threshold: int = 1) -> dict[str, int | float | None]:
    """Return the measured columns of a row.

    Args:
        figure: the figure.
        row: a row of an engine.
        threshold: the fewest visitors that a number stands for.
    """
    made = {column.key: _measure(column, row, threshold) for column in figure.measures}
    for column in figure.measures:
        if column.derive:
            made[column.key] = column.derive(made)
    return made


def _measure(column: Column, row: Row, threshold: int) -> int | float | None:
    value = row.get(f"row_{column.key}")
    is_left_out = row.get("joined") and not column.can_be_summed
    is_of_few = column.people and 0 < number(row[f"people_{column.key}"]) < threshold
    if value is None or is_left_out or is_of_few:
        return None
    digits = DIGITS.get(column.kind)
    return number(value) if digits is None else rounded(value, digits)


def _names(figure: Figure, label: str) -> dict[str, str]:
    """Return the columns that name a row, from the label of its group."""
    keys = [column.key for column in figure.names]
    if label == OTHER:
        return {**dict.fromkeys(keys, ""), figure.other or keys[0]: OTHER}
    parts = label.split("&" if figure.is_encoded else _SEPARATOR, len(keys) - 1)
    if figure.is_encoded:
        parts = [unquote_plus(part) for part in parts]
    return dict(zip(keys, parts, strict=True))


def number(value: object) -> int:
    """Return an engine's number as an int. Engines use different types for it."""
    return int(value)  # type: ignore[call-overload, no-any-return]


def rounded(value: object, digits: int = 1) -> float | None:
    """Return an engine's number as a rounded float; None for NULL."""
    return None if value is None else round(float(value), digits)  # type: ignore[arg-type]
