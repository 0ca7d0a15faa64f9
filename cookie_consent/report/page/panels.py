"""The panels of the report page: each shows a figure, as a list or as charts over a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cookie_consent.report.figures import BY_NAME, CONSENT, FIGURES, Column, Figure, Kind, Row, answered, ratio, rows_of
from cookie_consent.report.local_time import DAY
from cookie_consent.report.page.formatting import days, name_of, steps_of, visible

_MOST_WEEKS = 8
"""Weeks after the first one in the table of new visitors: as many as fit. The report itself has all."""
_STYLES = ("outline", "solid", "line")
"""The styles of a course, from back to front."""
_LEAST: Mapping[Kind, float] = {"count": 1, "percent": 0.01}
"""Kind of a chart's numbers -> the smallest step of its axis. What is counted comes in whole numbers."""
_OVER_TIME = {column.key: column for column in BY_NAME["by_step"].measures}
_SHARE = Column("share", "Share recorded", "percent")
_NAME = Column("name", "", "text")
_KINDS = Figure(
    name="kinds",
    title="New and returning visitors",
    section="return",
    names=(replace(_NAME, title="Visitors"),),
    measures=(Column("visitors", "Number"),),
    filter="returning",
)
_NO_ANSWERS = ("asked_first", "answered_first", "settings", "ignored")
_ANSWERS = replace(
    CONSENT,
    name="answered",
    names=(replace(_NAME, title="Pages"),),
    measures=tuple(column for column in CONSENT.measures if column.key not in _NO_ANSWERS),
)
_VISITS = Figure(
    name="visits",
    title="Visits that began with the question",
    section="consent",
    names=(replace(_NAME, title="Visits"),),
    measures=(
        Column("asked_first", "Asked"),
        Column("answered_first", "Answered on the first page", style="solid"),
        Column("answered_later", "Answered later", style="hatched"),
        Column("ignored", "Ignored", style="outline"),
        Column("settings", "Settings opened"),
    ),
    drawing="parts",
)


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns and lines along an axis.

    Args:
        kind: what the numbers are: "count" or "percent".
        columns: the columns of the figure that are drawn, from back to front.
        values: the numbers of each; None where one is missing.
        marks: the values on the axis, 0 first.
        gaps: the places where nothing is known.
    """

    kind: Kind
    columns: Sequence[Column]
    values: Mapping[str, Sequence[float | None]]
    marks: Sequence[float]
    gaps: Sequence[int]

    @property
    def top(self) -> float:
        """The value at the top of the axis."""
        return self.marks[-1] or _LEAST[self.kind]


@dataclass(frozen=True, slots=True)
class Panel:
    """A figure as the page shows it.

    Args:
        figure: its title and its columns.
        rows: its rows.
        names: the name of each row.
        labels: a short name of each, for an axis.
        charts: its course, with the table behind it; empty for a list, which is the table.
        step: the step of its course; "" for a list.
    """

    figure: Figure
    rows: Sequence[Row]
    names: Sequence[str]
    labels: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    step: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.charts if self.figure.drawing == "course" else self.rows)


def list_panels(report: Mapping[str, Any]) -> list[Panel]:
    """Return the panels of all figures."""
    return [*_list_totals(report), *(panel for figure in FIGURES for panel in _list_panels(report, figure))]


def show_courses(report: Mapping[str, Any]) -> list[Panel]:
    """Return visitors over time, and sessions and views if there are any, each with the earlier period behind it."""
    visitors, *others = (_show_steps(report, name) for name in ("visitors", "sessions", "views"))
    return [visitors, *(panel for panel in others if not panel.is_empty)]


def parts_of(figure: Figure, row: Row) -> list[tuple[str, float]]:
    """Return the style and the number of each part of a row's bar; none for a bar of one part."""
    if figure.drawing != "parts":
        return []
    return [(each.style, row[each.key] or 0) for each in figure.measures if each.style and each.kind == "count"]


def find_gaps(columns: Iterable[Sequence[float | None]], kind: Kind) -> list[int]:
    """Return the places without any count: what is not known is not 0. A share of nothing is neither."""
    places = enumerate(zip(*columns, strict=True))
    return [place for place, values in places if kind == "count" and all(value is None for value in values)]


def choose_marks(largest: float, least: float) -> list[float]:
    """Return the round values to mark on an axis: 0 and at most five others, of which the last is the top."""
    if largest <= 0:
        return [0]
    power = 10 ** math.floor(math.log10(max(largest / 4, least)))
    step = next(size * power for size in (1, 2, 5, 10) if size * power * 4 >= largest)
    return [step * number for number in range(math.ceil(largest / step) + 1)]


def _list_panels(report: Mapping[str, Any], figure: Figure) -> Iterator[Panel]:
    rows = rows_of(report, figure)
    if figure.name == "by_step":
        if not report["range"]["where"]:  # counts know no segments
            yield _show_share(report)
    elif figure.name == "funnels":
        yield from _list_funnels(report, figure)
    elif figure.of_goal:
        yield from _list_goals(report, figure)
    elif figure.name == "retention":
        yield _show_retention(figure, rows)
    elif figure.name != "by_day":
        yield _show_rows(figure, rows, DAY)


def _list_funnels(report: Mapping[str, Any], figure: Figure) -> Iterator[Panel]:
    for number, funnel in enumerate(report["funnels"]):
        title = f"Funnel {visible(funnel['funnel'])}, by sessions"
        of_funnel = replace(figure, name=f"funnels-{number}", title=title, names=figure.names[1:])
        yield _show_list(of_funnel, funnel["steps"])


def _list_goals(report: Mapping[str, Any], figure: Figure) -> Iterator[Panel]:
    step = report["range"]["step"]
    by = figure.title.removeprefix("Goals ").replace("step", step)
    for number, goal in enumerate(report["goals"]):
        of_goal = replace(figure, name=f"{figure.name}-{number}", title=f"{visible(goal['goal'])}, {by}")
        yield _show_rows(of_goal, goal[figure.key], step)


def _show_rows(figure: Figure, rows: Sequence[Row], step: str) -> Panel:
    return _show_course(figure, rows, step) if figure.drawing == "course" else _show_list(figure, rows)


def _show_list(figure: Figure, rows: Sequence[Row]) -> Panel:
    """Return a list without the rows of too few visitors, and with the numbers of the earlier period."""
    first, *others = figure.measures
    known = [row for row in rows if row[first.key] is not None]
    if known and "before" in known[0]:
        before = replace(first, key="before", title=f"{first.title} before", style="")
        figure = replace(figure, measures=(first, before, *others))
    return Panel(figure, known, [name_of(figure, row) for row in known])


def _show_course(figure: Figure, rows: Sequence[Row], step: str) -> Panel:
    """Return numbers by steps of time: a chart of each kind of number, and a table."""
    head, labels, names = steps_of(rows, step)
    figure = replace(figure, names=(replace(_NAME, title=head),), between=())
    drawn = [column for style in _STYLES for column in figure.measures if column.style == style]
    charts = [draw_chart([column for column in drawn if column.kind == kind], rows, kind) for kind in _LEAST]
    return Panel(figure, rows, names, labels, [chart for chart in charts if len(chart.marks) > 1], step)


def draw_chart(columns: Sequence[Column], rows: Sequence[Row], kind: Kind) -> Chart:
    """Return a chart of some columns, from back to front."""
    values = {column.key: [row[column.key] for row in rows] for column in columns}
    largest = max((value or 0 for of_column in values.values() for value in of_column), default=0)
    return Chart(kind, columns, values, choose_marks(largest, _LEAST[kind]), find_gaps(values.values(), kind))


def _show_steps(report: Mapping[str, Any], name: str) -> Panel:
    """Return a number by step, with that of the earlier period behind it."""
    rows: Sequence[Row] = report["by_step"]
    earlier = f"{name}_before"
    columns = [replace(_OVER_TIME[name], style="solid")]
    step = report["range"]["step"]
    if before := report["compare"]:
        range_ = days(before["range"]["from"], before["range"]["to"])
        columns.append(replace(columns[0], key=earlier, title=f"{columns[0].title}, {range_}", style="outline"))
        # A month, or a day on which clocks are set, may have fewer steps than the other.
        numbers = [row[name] for row in before["by_step"][: len(rows)]]
        numbers += [None] * (len(rows) - len(numbers))
        rows = [{**row, earlier: number} for row, number in zip(rows, numbers, strict=True)]
    title = f"{columns[0].title} by {step}"
    figure = replace(BY_NAME["by_step"], name=f"{name}-by-step", title=title, measures=tuple(columns))
    return _show_course(figure, rows, step)


def _show_share(report: Mapping[str, Any]) -> Panel:
    step = report["range"]["step"]
    shares = [{**row, "share": ratio(row["all_views_recorded"], row["all_views"])} for row in report["by_step"]]
    figure = replace(
        BY_NAME["by_step"],
        name="share",
        title=f"All pages by {step}, recorded or not",
        measures=(_OVER_TIME["all_views_recorded"], _OVER_TIME["all_views"], _SHARE),
    )
    return _show_course(figure, shares, step)


def _show_retention(figure: Figure, rows: Sequence[Row]) -> Panel:
    """Return new visitors by week, and the share of them that came again in each week after."""
    keys = [key for key in (rows[0] if rows else ()) if key.startswith("week_")][:_MOST_WEEKS]
    weeks = [Column(key, f"Week {key.removeprefix('week_')}", "percent") for key in keys]
    shares = [{**row, **{key: ratio(row[key], row["visitors"]) for key in keys}} for row in rows]
    return _show_list(replace(figure, measures=(*figure.measures, *weeks)), shares)


def _list_totals(report: Mapping[str, Any]) -> list[Panel]:
    """Return the panels of the figures that the totals make."""
    consent = report["consent"]
    kinds = [{"name": name, "visitors": report[f"{name.lower()}_visitors"]} for name in ("New", "Returning")]
    answers = [{"name": "All pages with the question", **consent}]
    later = max(0, answered(consent) - consent["changed"] - consent["answered_first"])
    visits = [{"name": "Visits that began with it", **consent, "answered_later": later}]
    return [
        _show_list(_KINDS, [kind for kind in kinds if kind["visitors"]]),
        _show_list(_ANSWERS, answers if any(consent.values()) else []),
        _show_list(_VISITS, visits if consent["asked_first"] else []),
    ]
