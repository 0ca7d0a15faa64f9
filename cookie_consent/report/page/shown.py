"""What the report page shows of each figure: its rows, and the charts over their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from markupsafe import Markup

from cookie_consent.report.figures import BY_NAME, CONSENT, FIGURES, Column, Figure, Kind, Row, answered, ratio, rows_of
from cookie_consent.report.local_time import DAY
from cookie_consent.report.page import charts
from cookie_consent.report.page.formatting import FORMATS, days, name_of, steps_of, visible

_MOST_WEEKS = 8
"""Weeks after the first one in the table of new visitors: as many as fit. The report itself has all."""
_WIDTHS = {1: "few", 2: "few", 3: "some", 4: "more"}
"""Number of columns of numbers -> the width that they take."""
_STEP_NOTES = {
    "week": "Weeks begin on Monday. The first and the last have only the days that are in this time.",
    "month": "The first and the last month have only the days that are in this time.",
}
_STYLES = ("outline", "solid", "line")
"""The styles of a course, from back to front."""
_KINDS_OF_CHARTS: tuple[Kind, ...] = ("count", "percent")

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
_ANSWERS = replace(
    CONSENT,
    name="answered",
    names=(replace(_NAME, title="Pages"),),
    measures=tuple(
        column
        for column in CONSENT.measures
        if column.key not in ("asked_first", "answered_first", "settings", "ignored")
    ),
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


Picture: TypeAlias = dict[str, Any]
"""A "chart", and its "legend": samples of its styles, with their names."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the page shows it.

    Args:
        figure: its title and its columns.
        rows: its rows.
        names: the name of each row.
        pictures: charts of its course, with the table behind them; empty for a list, which is the table.
        note: a remark for the reader; "" for none.
    """

    figure: Figure
    rows: Sequence[Row]
    names: Sequence[str]
    pictures: Sequence[Picture] = ()
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.pictures if self.figure.drawing == "course" else self.rows)

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of numbers, with that of the earlier period beside the one that it belongs to."""
        first, *others = self.figure.measures
        if not self.rows or "before" not in self.rows[0]:
            return self.figure.measures
        return [first, replace(first, key="before", title=f"{first.title} before"), *others]

    @property
    def head(self) -> str:
        """The heading of the names."""
        titles = zip(("", *self.figure.between), self.figure.names, strict=True)
        return "".join(separator + column.title for separator, column in titles)

    @property
    def width(self) -> str:
        """How much width its columns take: "many" take all of it."""
        return _WIDTHS.get(len(self.columns), "many")

    @property
    def parts(self) -> Sequence[Column]:
        """The parts of its bars; empty for bars of one part."""
        if self.figure.drawing != "parts":
            return ()
        return [column for column in self.figure.measures if column.style and column.kind == "count"]

    @property
    def legend(self) -> list[tuple[Markup, str]]:
        """Samples of the parts of its bars, with their names."""
        return [(charts.swatch(column.style), column.title) for column in self.parts]

    @property
    def bars(self) -> list[Markup]:
        """A bar for each row: its parts, or its first number beside the largest one."""
        if self.parts:
            return [self._strip(row) for row in self.rows]
        numbers = [row[self.figure.measures[0].key] or 0 for row in self.rows]
        largest = max(numbers, default=0) or 1  # so that nothing is divided by 0
        return [charts.ray(number / largest) for number in numbers]

    def _strip(self, row: Row) -> Markup:
        numbers = [(column.style, row[column.key] or 0) for column in self.parts]
        whole = max(sum(number for _, number in numbers), row.get("asked") or 0) or 1
        return charts.strip([(style, number / whole) for style, number in numbers])

    def cells(self, row: Row) -> list[tuple[str, str]]:
        """Return the cells of a row beside its name, each with its heading."""
        return [(column.title, FORMATS[column.kind](row[column.key])) for column in self.columns]


def show_figures(report: Mapping[str, Any]) -> list[Shown]:
    """Return all figures of a report as the page shows them."""
    return [*_show_totals(report), *(shown for figure in FIGURES for shown in _show_figure(report, figure))]


def show_visitors(report: Mapping[str, Any]) -> Shown:
    """Return visitors over time, with the earlier period behind them."""
    shown = _show_steps(report, "visitors")
    return replace(shown, figure=replace(shown.figure, measures=(*shown.figure.measures, _OVER_TIME["sessions"])))


def _show_figure(report: Mapping[str, Any], figure: Figure) -> Iterator[Shown]:
    rows = rows_of(report, figure)
    if figure.name == "by_day":
        return
    if figure.name == "by_step":
        yield _show_steps(report, "views")
        yield _show_steps(report, "sessions")
        if not report["range"]["where"]:  # counts know no segments
            yield _show_share(report)
    elif figure.name == "funnels":
        yield from (_show_list(funnel, steps) for funnel, steps in _split_funnels(report, figure))
    elif figure.of_goal:
        yield from (_show_rows(report, of_goal, rows) for of_goal, rows in _split_goals(report, figure))
    elif figure.name == "retention":
        yield _show_retention(figure, rows)
    else:
        yield _show_rows(report, figure, rows)


def _show_rows(report: Mapping[str, Any], figure: Figure, rows: Sequence[Row]) -> Shown:
    if figure.drawing != "course":
        return _show_list(figure, rows)
    return _show_course(report, figure, rows, report["range"]["step"] if figure.of_goal else DAY)


def _show_list(figure: Figure, rows: Sequence[Row]) -> Shown:
    """Return a list without the rows of too few visitors, whose numbers are not given."""
    known = [row for row in rows if row[figure.measures[0].key] is not None]
    return Shown(figure, known, [name_of(figure, row) for row in known])


def _show_course(report: Mapping[str, Any], figure: Figure, rows: Sequence[Row], step: str = DAY) -> Shown:
    """Return numbers by steps of time: a chart of each kind of number, and a table."""
    head, labels, names = steps_of(rows, step)
    figure = replace(figure, names=(replace(_NAME, title=head),), between=())
    drawn = [column for style in _STYLES for column in figure.measures if column.style == style]
    pictures = []
    for kind in _KINDS_OF_CHARTS:
        columns = [column for column in drawn if column.kind == kind]
        if any(row[column.key] for column in columns for row in rows):
            pictures.append(_draw_course(report, figure, columns, rows, labels, names))
    return Shown(figure, rows, names, pictures, _STEP_NOTES.get(step, ""))


def _draw_course(
    report: Mapping[str, Any],
    figure: Figure,
    columns: Sequence[Column],
    rows: Sequence[Row],
    labels: Sequence[str],
    names: Sequence[str],
) -> Picture:
    series = [charts.Series(each.title, each.style, [row[each.key] for row in rows]) for each in columns]
    kind = columns[0].kind
    chart = charts.timeline(f"chart-{figure.name}-{kind}", figure.title, labels, names, series, kind)
    legend = [(charts.swatch(each.style), each.title) for each in reversed(columns)]
    if len(figure.measures) == 1:  # named by the title
        legend = []
    if charts.find_gaps(series, kind):
        few = f"Fewer than {report['small_groups']['threshold']} visitors"
        legend.append((charts.swatch("gap"), few if report["range"]["where"] or figure.of_goal else "Not counted"))
    return {"chart": chart, "legend": legend}


def _show_steps(report: Mapping[str, Any], name: str) -> Shown:
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
    return _show_course(report, figure, rows, step)


def _show_share(report: Mapping[str, Any]) -> Shown:
    step = report["range"]["step"]
    shares = [{**row, "share": ratio(row["all_views_recorded"], row["all_views"])} for row in report["by_step"]]
    figure = replace(
        BY_NAME["by_step"],
        name="share",
        title=f"All pages by {step}, recorded or not",
        measures=(_OVER_TIME["all_views_recorded"], _OVER_TIME["all_views"], _SHARE),
    )
    return _show_course(report, figure, shares, step)


def _split_funnels(report: Mapping[str, Any], figure: Figure) -> Iterator[tuple[Figure, Sequence[Row]]]:
    for number, funnel in enumerate(report["funnels"]):
        title = f"Funnel {visible(funnel['funnel'])}, by sessions"
        yield replace(figure, name=f"funnels-{number}", title=title, names=figure.names[1:]), funnel["steps"]


def _split_goals(report: Mapping[str, Any], figure: Figure) -> Iterator[tuple[Figure, Sequence[Row]]]:
    for number, goal in enumerate(report["goals"]):
        title = (
            f"{visible(goal['goal'])}, {figure.title.removeprefix('Goals ').replace('step', report['range']['step'])}"
        )
        yield replace(figure, name=f"{figure.name}-{number}", title=title), goal[figure.key]


def _show_retention(figure: Figure, rows: Sequence[Row]) -> Shown:
    """Return new visitors by week, and the share of them that came again in each week after."""
    keys = [key for key in (rows[0] if rows else ()) if key.startswith("week_")][:_MOST_WEEKS]
    weeks = [Column(key, f"Week {key.removeprefix('week_')}", "percent") for key in keys]
    shares = [{**row, **{key: ratio(row[key], row["visitors"]) for key in keys}} for row in rows]
    return _show_list(replace(figure, measures=(*figure.measures, *weeks)), shares)


def _show_totals(report: Mapping[str, Any]) -> list[Shown]:
    """Return the figures that the totals make."""
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
