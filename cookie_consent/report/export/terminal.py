"""A report as text tables for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cookie_consent.report.figures import FIGURES, LISTS, Figure, rows_of, totals
from cookie_consent.report.page.formatting import (
    comparison_in_words,
    few_visitors,
    is_seen,
    left_out,
    may_be_fewer,
    percent,
)

_WIDEST = 60
"""Wider cells are cut (columns)."""
_SHOWN = tuple(figure for figure in FIGURES if figure.name != "by_day")
"""The figures of the text: days are among the steps."""


def as_text(report: Mapping[str, Any]) -> str:
    """Return a report as text. No text from a record can control the terminal.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    if report["small_groups"]["withheld"]:
        return f"{_range(report)}\n{few_visitors(report)}"
    parts = [_heading(report), _side_by_side(totals(report))]
    is_complete = True
    for figure in _SHOWN:
        rows = rows_of(report, figure)
        counted = [row for row in rows if _is_counted(figure, row)]
        is_complete = is_complete and len(counted) == len(rows)
        if counted:
            title = f"By {report['range']['step']}" if figure.name == "by_step" else figure.title
            parts.append(f"{title}\n{table(counted)}")
    if not is_complete:
        parts.append("Days and hours in which nothing was counted are left out.")
    if report["small_groups"]["threshold"] > 1:
        parts.append(_small_groups(report, are_all=not any(report[each.name] for each in LISTS)))
    return "\n\n".join(parts)


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


def _is_counted(figure: Figure, row: Mapping[str, Any]) -> bool:
    """Tell whether something was counted in a row: one without is left out, if it is a day or an hour."""
    return figure.drawing != "course" or any(row[column.key] for column in figure.measures)


def _range(report: Mapping[str, Any]) -> str:
    asked = report["range"]
    only = [f"host {_cell(asked['host'])}"] if asked["host"] else []
    only += [f"{key} {_cell(value)}" for key, value in asked["where"]]
    return ", ".join([f"{asked['from']} to {asked['to']} ({asked['time_zone']})", *only])


def _heading(report: Mapping[str, Any]) -> str:
    asked, share = report["range"], report["share"]
    lines = [_range(report)]
    if share["share"] is None:
        lines.append("For what share of all pages that people saw these records stand is not known.")
    else:
        lines.append(
            f"These records stand for {percent(share['share'])} of {share['views']:,} pages that people saw; "
            "nothing is estimated for the rest."
        )
    lines += filter(None, [comparison_in_words(report), left_out(report)])
    if asked["where"]:
        lines.append("Consent is counted for all visitors: its counts know no segment.")
    return "\n".join(lines)


def _side_by_side(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for each number, with that of the earlier period beside it."""
    heads = ["range", "before"]
    lines = [
        {"": name, **{head: row[name] for head, row in zip(heads, rows, strict=False)}}
        for name in rows[0]
        if name not in ("from", "to")
    ]
    return table(lines)


def _small_groups(report: Mapping[str, Any], *, are_all: bool) -> str:
    threshold, merged = report["small_groups"]["threshold"], report["small_groups"]["merged"]
    if are_all and merged:
        return (
            f"Each row of the other lists would stand for fewer than {threshold} visitors. They are left out.\n"
            "While only you try the site, see them with: --threshold 1"
        )
    return (
        f"Rows of fewer than {threshold} visitors are joined as (other), or left out: {merged:,}.\n"
        f"{may_be_fewer(report)}"
    )


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
