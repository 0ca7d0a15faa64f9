"""The kinds of figures on the report page: each is a picture, and a table of the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cookie_consent.report.page import charts
from cookie_consent.report.page.charts import Row, Series, swatch
from cookie_consent.report.page.formatting import count, milliseconds, short_day, weekday

MAX_DRAWN = 10
"""The number of rows in a picture; its table has all."""

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
    links: Sequence[str] = ()


def over_time(id_: str, title: str, rows: Sequence[Line], kinds: Kinds, more: Cells = ()) -> Figure:
    """Return numbers by day or by hour, over the full width.

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: one for each "day" or "hour", in order.
        kinds: what to draw, from front to back; see `charts.Series`.
        more: further columns of the table.
    """
    series = [Series(called, kind, [row[key] for row in rows]) for key, (kind, called) in kinds.items()]
    known = [one for one in series if any(value is not None for value in one.values)]
    by_hour = bool(rows) and "hour" in rows[0]
    labels = [f"{row['hour']:02}:00" if by_hour else short_day(row["day"]) for row in rows]
    names = labels if by_hour else [weekday(row["day"]) for row in rows]
    chart = None
    if any(value for one in known for value in one.values):
        # In reverse, because what is drawn last is in front.
        chart = charts.timeline(f"chart-{id_}", title, _course(labels, known), labels, known[::-1])
    return Figure(
        id_,
        title,
        chart,
        ["Hour" if by_hour else "Day", *(one.name for one in series), *(head for head, _ in more)],
        [
            [name, *(count(row[key]) for key in kinds), *(cell(row) for _, cell in more)]
            for name, row in zip(names, rows, strict=True)
        ],
        [(swatch(one.kind), one.name) for one in known] if len(known) > 1 else (),
        is_wide=True,
    )


def ranked(id_: str, title: str, rows: Sequence[Line], by: str, cells: Cells) -> Figure:
    """Return one bar for each row.

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: the rows, the largest first.
        by: the key of the number that the bars show.
        cells: the columns of the table.
    """
    # 1 for a list of zeros, so that nothing is divided by 0.
    largest = max((row[by] for row in rows), default=0) or 1
    drawn = [Row(cells[0][1](row), count(row[by]), [("solid", row[by] / largest)]) for row in rows]
    return _of_rows(Figure(id_, title, None, *_table(rows, cells)), drawn, charts.bars)


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


def marked(id_: str, title: str, rows: Sequence[Line], kinds: Kinds, cells: Cells) -> Figure:
    """Return one line for each row, with marks at its times (ms).

    Args:
        id_: its id in the page.
        title: what it shows.
        rows: the rows, the most important first. A row that lacks a time gets no line.
        kinds: the marks, the shortest time first.
        cells: the columns of the table.
    """
    timed = [row for row in rows if all(row[key] is not None for key in kinds)]
    longest = max((row[key] for row in timed[:MAX_DRAWN] for key in kinds), default=0) or 1
    drawn = [
        Row(
            cells[0][1](row),
            milliseconds(row[next(iter(kinds))]),
            [(kind, row[key] / longest) for key, (kind, _) in kinds.items()],
        )
        for row in timed
    ]
    note = f"The lines run from nothing to {milliseconds(longest)}; the number is that of the dot."
    return _of_rows(Figure(id_, title, None, *_table(rows, cells), _legend(kinds), note), drawn, charts.spans)


def _table(rows: Iterable[Line], cells: Cells) -> tuple[list[str], list[list[str]]]:
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
    return Figure(
        figure.id,
        figure.title,
        draw(f"chart-{figure.id}", figure.title, f"{summary}. The table below has all numbers.", first),
        figure.head,
        figure.rows,
        figure.legend,
        " ".join(filter(None, [figure.note, more])),
        figure.is_wide,
    )


def _course(labels: Sequence[str], series: Sequence[Series]) -> str:
    """Describe a timeline in words: the peak of each series, and when it was."""
    peaks = []
    for one in series:
        values = [value or 0 for value in one.values]
        most = max(values)
        peaks.append(f"{one.name}: at most {count(most)}, on {labels[values.index(most)]}")
    return f"{'; '.join(peaks)}. The table below has all numbers."
