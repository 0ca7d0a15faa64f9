"""The kinds of figures on the report page: each is a picture, and a table of the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from markupsafe import Markup

from cookie_consent.report.page import charts
from cookie_consent.report.page.charts import Row, Series, swatch
from cookie_consent.report.page.formatting import (
    count,
    duration,
    hour,
    milliseconds,
    month,
    short_day,
    short_hour,
    short_month,
    weekday,
)

MAX_DRAWN = 10
"""The number of rows in a picture; its table has all."""
_SHORTEST = 0.1
"""The shortest time that a scale tells apart (ms)."""

_STEPS = {
    "hour": ("Hour", short_hour, hour),
    "day": ("Day", short_day, weekday),
    "week": ("Week from", short_day, weekday),
    "month": ("Month", short_month, month),
}
"""Step -> its heading in a table, and functions that return its label and its full name."""
_NOTES = {
    "week": "Weeks begin on Monday. The first and the last have only the days that are in this time.",
    "month": "The first and the last month have only the days that are in this time.",
}

Line = Mapping[str, Any]
"""A row of the report."""
Cells = Sequence[tuple[str, Callable[[Line], str]]]
"""The columns of a table: a heading, and a function that returns a row's cell. The first column names the row."""
Kinds = Mapping[str, tuple[str, str]]
"""Key of a number in a row -> how it is drawn, and its name in the legend."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its table.

    Args:
        id: its id in the page.
        title: what it shows.
        chart: the picture; None if there is nothing to draw.
        head: the headings of the table.
        rows: the cells of the table; the first cell of a row names it.
        legend: samples of the drawing styles, each with its name.
        note: a remark for the reader; "" for none.
        is_wide: whether it takes the full width.
        is_open: whether the table is shown from the beginning.
        lines: the rows of the report that the table shows.
        lengths: for bars, the length of each row's bar, as a share of 1.
        links: an address for each row of the table, "" for none; or no addresses.
    """

    id: str
    title: str
    chart: Markup | None
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[Markup, str]] = ()
    note: str = ""
    is_wide: bool = False
    is_open: bool = False
    lines: Sequence[Line] = ()
    lengths: Sequence[float] = ()
    links: Sequence[str] = ()


def over_time(id_: str, title: str, rows: Sequence[Line], kinds: Kinds, more: Cells = (), step: str = "day") -> Figure:
    """Return numbers by steps of time, or by hour of the day.

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: one for each step, in order, with its begin ("from"), day ("day") or hour of the day ("hour").
        kinds: what to draw, from front to back; see `charts.Series`.
        more: further columns of the table.
        step: the step: "hour", "day", "week" or "month".
    """
    series = [Series(called, kind, [row[key] for row in rows]) for key, (kind, called) in kinds.items()]
    known = [one for one in series if any(value is not None for value in one.values)]
    head, places = _places(rows, step)
    labels, names = [label for label, _ in places], [name for _, name in places]
    chart = None
    if any(value for one in known for value in one.values):
        # In reverse, because what is drawn last is in front.
        chart = charts.timeline(f"chart-{id_}", title, _course(labels, known), labels, known[::-1], names)
    return Figure(
        id_,
        title,
        chart,
        [head, *(one.name for one in series), *(more_head for more_head, _ in more)],
        [
            [name, *(count(row[key]) for key in kinds), *(cell(row) for _, cell in more)]
            for name, row in zip(names, rows, strict=True)
        ],
        [(swatch(one.kind), one.name) for one in known] if len(known) > 1 else (),
        _NOTES.get(step, ""),
    )


def _places(rows: Sequence[Line], step: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the heading of the steps, and the short label and the full name of each."""
    if rows and "hour" in rows[0]:
        return "Hour", [(f"{row['hour']:02}:00",) * 2 for row in rows]
    head, label, name = _STEPS[step]
    begins = [row.get("from") or row["day"] for row in rows]
    return head, [(label(begin), name(begin)) for begin in begins]


def ranked(id_: str, title: str, rows: Sequence[Line], by: str, cells: Cells) -> Figure:
    """Return one bar for each row.

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: the rows, the largest first.
        by: the key of the number that the bars show.
        cells: the columns of the table.
    """
    numbers = [row[key] or 0 for row in rows for key in (by, "before") if key in row]
    # 1 for a list of zeros, so that nothing is divided by 0.
    largest = max(numbers, default=0) or 1
    drawn = [_bar(row, cells[0][1](row), by, largest) for row in rows]
    legend = [(swatch("solid"), "in this time"), (swatch("outline"), "before")] if _has_before(rows) else ()
    figure = _of_rows(Figure(id_, title, None, *_table(rows, cells), legend), drawn, charts.bars)
    return replace(figure, lines=rows, lengths=[row[by] / largest for row in rows])


def _bar(row: Line, label: str, by: str, largest: float) -> Row:
    before = row.get("before")
    said = count(row[by])
    return Row(label, said, [("solid", row[by] / largest)], before=None if before is None else before / largest)


def _has_before(rows: Sequence[Line]) -> bool:
    return bool(rows) and "before" in rows[0]


def stacked(id_: str, title: str, rows: Sequence[Line], kinds: Kinds, cells: Cells) -> Figure:
    """Return one bar for each row, all of the same length, divided into parts.

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: the rows, the largest first.
        kinds: the parts.
        cells: the columns of the table; the second one is the number that the whole bar stands for.
    """
    drawn = []
    for row in rows:
        whole = sum(row[key] for key in kinds) or 1
        parts = [(kind, row[key] / whole) for key, (kind, _) in kinds.items()]
        drawn.append(Row(cells[0][1](row), cells[1][1](row), parts))
    return _of_rows(Figure(id_, title, None, *_table(rows, cells), _legend(kinds)), drawn, charts.bars)


def marked(id_: str, title: str, rows: Sequence[Line], by: str, kinds: Kinds, cells: Cells) -> Figure:
    """Return one line for each row, with marks at its times (ms).

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: the rows, the most important first. A row that lacks a time gets no line.
        by: the key of the time that stands beside each line.
        kinds: the marks, the shortest time first.
        cells: the columns of the table.
    """
    timed = [row for row in rows if all(row[key] is not None for key in kinds)]
    scale = LogarithmicScale([row[key] for row in timed[:MAX_DRAWN] for key in kinds])
    drawn = [
        Row(
            cells[0][1](row),
            milliseconds(row[by]),
            [(kind, scale.place(row[key])) for key, (kind, _) in kinds.items()],
        )
        for row in timed
    ]
    scaled = "The scale is logarithmic: each line across is ten times the one before it."
    note = f"{scaled} The number is that of the {kinds[by][0]}."
    figure = Figure(id_, title, None, *_table(rows, cells), _legend(kinds), note)
    return replace(_of_rows(figure, drawn, partial(charts.spans, ticks=scale.ticks)), lines=rows)


class LogarithmicScale:
    """A scale of times from one power of ten to another.

    Args:
        values: the times to show (ms).
    """

    def __init__(self, values: Sequence[float]) -> None:
        logs = [math.log10(max(value, _SHORTEST)) for value in values] or [0]
        self._low = math.floor(min(logs))
        self._high = max(math.ceil(max(logs)), self._low + 1)

    def place(self, value: float) -> float:
        """Return the place of a time, as a share of 1. Times that are too short for the scale are at its beginning."""
        return (math.log10(max(value, _SHORTEST)) - self._low) / (self._high - self._low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The place and the text of each power of ten."""
        powers = range(self._low, self._high + 1)
        return [(self.place(10.0**power), duration(10.0**power)) for power in powers]


def _table(rows: Iterable[Line], cells: Cells) -> tuple[list[str], list[list[str]]]:
    rows = list(rows)
    if _has_before(rows):
        # Beside the number that it is the earlier one of.
        cells = [*cells[:2], (f"{cells[1][0]} before", lambda row: count(row["before"])), *cells[2:]]
    return [head for head, _ in cells], [[cell(row) for _, cell in cells] for row in rows]


def _legend(kinds: Kinds) -> list[tuple[Markup, str]]:
    return [(swatch(kind), called) for kind, called in kinds.values()]


def _of_rows(figure: Figure, drawn: Sequence[Row], draw: Callable[..., Markup]) -> Figure:
    """Add a picture of the first rows to a figure."""
    if not drawn:
        return figure
    first = drawn[:MAX_DRAWN]
    summary = "; ".join(f"{row.label}: {row.said}" for row in first[:3])
    more = f"The picture shows the first {len(first)}, the table all {len(drawn)}." if len(drawn) > len(first) else ""
    return replace(
        figure,
        chart=draw(f"chart-{figure.id}", figure.title, f"{summary}. The table below has all numbers.", first),
        note=" ".join(filter(None, [figure.note, more])),
    )


def _course(labels: Sequence[str], series: Sequence[Series]) -> str:
    """Describe a timeline in words: the peak of each series, and when it was."""
    peaks = []
    for one in series:
        values = [value or 0 for value in one.values]
        most = max(values)
        peaks.append(f"{one.name}: at most {count(most)}, on {labels[values.index(most)]}")
    return f"{'; '.join(peaks)}. The table below has all numbers."
