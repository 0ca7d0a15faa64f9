"""The figures of goals, funnels and what events bring, for the report page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cookie_consent.report.goals import flat
from cookie_consent.report.page.figures import Figure, Line, ranked
from cookie_consent.report.page.formatting import count, number, percent, visible

_SESSIONS = ("Sessions", lambda row: count(row["sessions"]))
_VISITORS = ("Visitors", lambda row: count(row["visitors"]))
_EVENTS = ("Events", lambda row: count(row["events"]))
_CONVERSION = ("Conversion", lambda row: percent(row["conversion"]))
_REACHED = ("Reached it", lambda row: count(row["reached"]))

_MEASURES = {"Sum": "sum", "Mean": "mean", "p50": "p50", "p95": "p95"}


def goal_figures(report: Mapping[str, Any]) -> list[Figure]:
    """Return the goals, where sessions that reached each came from, and the funnels; nothing without any.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    goal = ("Goal", lambda row: visible(row["goal"]))
    site = ("Site", lambda row: visible(row["referrer"]))
    rows = _counted(flat(report, "goals"))
    return [
        *([ranked("goals", "Goals", rows, "sessions", [goal, _SESSIONS, _VISITORS, _CONVERSION])] if rows else []),
        *(
            ranked(
                f"goal-{number}", f"{visible(row['goal'])}, by site that led here", by_source, "reached",
                [site, _REACHED, _SESSIONS, _CONVERSION],
            )
            for number, row in enumerate(report["goals"])
            if (by_source := _counted(row["by_source"], "reached"))
        ),
        *(_funnel(number, row) for number, row in enumerate(report["funnels"])),
    ]  # fmt: skip


def _funnel(number: int, row: Line) -> Figure:
    step = ("Step", lambda row: visible(row["step"]))
    lost = ("Lost since the step before", lambda row: count(row["lost_sessions"]))
    return ranked(
        f"funnel-{number}", f"Funnel {visible(row['funnel'])}, by sessions", _counted(row["steps"]), "sessions",
        [step, _SESSIONS, lost, ("Of the first step", lambda row: percent(row["conversion"])), _VISITORS],
    )  # fmt: skip


def _counted(rows: Sequence[Line], by: str = "sessions") -> list[Line]:
    """Return the rows without those of too few visitors, whose numbers are not given."""
    return [row for row in rows if row[by] is not None]


def property_figures(report: Mapping[str, Any]) -> list[Figure]:
    """Return what events bring; nothing if they bring nothing.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    name = ("Event: property", lambda row: visible(": ".join(filter(None, (row["event"], row["property"])))))
    value = ("Event: property = value", lambda row: visible(_with_value(row)))
    measures = [(head, _measure(key)) for head, key in _MEASURES.items()]
    numbers = [name, _EVENTS, _VISITORS, *measures]
    figures = [
        ranked("properties", "Numbers of events", report["properties"], "events", numbers),
        ranked("property-values", "Values of events", report["property_values"], "events", [value, _EVENTS, _VISITORS]),
    ]
    return [figure for figure in figures if figure.chart]


def _measure(key: str) -> Callable[[Line], str]:
    return lambda row: number(row[key])


def _with_value(row: Line) -> str:
    return f"{row['event']}: {row['property']} = {row['value']}" if row["property"] else str(row["event"])
