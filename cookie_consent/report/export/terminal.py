"""A report as text tables for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import Any

from cookie_consent.report.figures import FIGURES, LISTS, rows_of, totals
from cookie_consent.report.page.formatting import TEMPLATES, is_seen

_WIDEST = 60
"""Wider cells are cut (columns)."""
_SHOWN = tuple(figure for figure in FIGURES if figure.name != "by_day")
"""The figures of the text: days are among the steps."""


def as_text(report: Mapping[str, Any]) -> str:
    """Return a report as text. No text from a record can control the terminal.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    tables = []
    is_complete = True
    for figure in _SHOWN:
        rows = rows_of(report, figure)
        counted = rows
        if figure.drawing == "course":  # days and hours
            counted = [row for row in rows if any(row[column.key] for column in figure.measures)]
        is_complete = is_complete and len(counted) == len(rows)
        if counted:
            title = f"By {report['range']['step']}" if figure.name == "by_step" else figure.title
            tables.append((title, table(counted)))
    text = TEMPLATES.get_template("terminal.html").render(
        report=report,
        cell=_cell,
        totals=_side_by_side(totals(report)),
        tables=tables,
        is_complete=is_complete,
        has_lists=any(report[each.name] for each in LISTS),
    )
    # A terminal has no markup to escape.
    return unescape(text).rstrip()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table. Numbers are aligned right, texts left.

    Args:
        rows: at least one row; all have the same columns.
    """
    names = list(rows[0])
    lines = [names, *([_cell(row[name]) for name in names] for row in rows)]
    texts = {place for place, name in enumerate(names) if any(isinstance(row[name], str) for row in rows)}
    widths = [max(_width(line[place]) for line in lines) for place in range(len(names))]
    return "\n".join("  ".join(_padded(line, widths, texts)).rstrip() for line in lines)


def _side_by_side(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for each number, with that of the earlier period beside it."""
    heads = ["range", "before"]
    lines = [
        {"": name, **{head: row[name] for head, row in zip(heads, rows, strict=False)}}
        for name in rows[0]
        if name not in ("from", "to")
    ]
    return table(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, (int, float)):
        return f"{value:,}"
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(sign if is_seen(sign) else "\N{REPLACEMENT CHARACTER}" for sign in text)
    while _width(text) > _WIDEST:
        # One character at a time, because a wide one takes two columns.
        text = text.removesuffix("…")[:-1] + "…"
    return text


def _width(text: str) -> int:
    """Return the width of a text in columns (Unicode, UAX #11).

    East Asian characters take two columns, combining marks none.
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )


def _padded(line: Sequence[str], widths: Sequence[int], texts: set[int]) -> Iterator[str]:
    for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
        space = " " * (width - _width(cell))
        yield cell + space if place in texts else space + cell
