"""A report as text tables for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cookie_consent.report.goals import FLAT, flat
from cookie_consent.report.lists import LISTS, totals
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
_TITLES = {
    "by_step": "By step",
    "by_hour": "By hour of the day",
    "pages": "Pages",
    "entry_pages": "Where sessions began",
    "exit_pages": "Where sessions ended",
    "next_pages": "Next pages",
    "previous_pages": "Previous pages",
    "referrers": "Sites that sessions came from",
    "channels": "Channels that sessions came by",
    "campaigns": "Campaigns that sessions came from",
    "devices": "Devices",
    "browsers": "Browsers",
    "systems": "Operating systems",
    "countries": "Countries",
    "routes": "Routes",
    "retention": "New visitors by week (from Monday), and how many came again in the weeks after",
    "missing": "Missing pages (404), and where visitors came from",
    "failing_pages": "Pages that failed (5xx)",
    "slow_pages": "Slow pages",
    "events": "Events",
    "downloads": "Downloads",
    "outbound": "Links to other sites",
    "properties": "Numbers of events",
    "property_values": "Values of events",
    "goals": "Goals",
    "goals_by_source": "Goals by site that sessions came from",
    "goals_by_campaign": "Goals by campaign",
    "goals_by_entry_page": "Goals by first page",
    "funnels": "Funnels",
    "degraded": "Features that gave their fallback",
    "consent_by_day": "Consent by day",
    "consent_by_host": "Consent by host",
    "consent_by_language": "Consent by language",
    "consent_by_purpose": "Consent by purpose",
    "consent_by_policy": "Consent by version of the policy",
    "consent_by_device": "Consent by device",
    "consent_by_prefix": "Consent by first part of the path",
}
"""Figure -> title, in display order."""
_OF_TIMES = ("by_step", "by_hour", "consent_by_day")
"""The figures that have a row for each day or hour of the range."""


def as_text(report: Mapping[str, Any]) -> str:
    """Return a report as text. No text from a record can control the terminal.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    if report["small_groups"]["withheld"]:
        return f"{_range(report)}\n{few_visitors(report)}"
    parts = [_heading(report), _side_by_side(totals(report))]
    figures = {name: _rows(report, name) for name in _TITLES}
    titles = {**_TITLES, "by_step": f"By {report['range']['step']}"}
    parts += [f"{titles[name]}\n{table(rows)}" for name, rows in figures.items() if rows]
    if any(len(figures[name]) < len(report[name]) for name in _OF_TIMES):
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


def _rows(report: Mapping[str, Any], figure: str) -> list[Mapping[str, Any]]:
    """Return the rows of a figure, without the days and hours in which nothing was counted."""
    # The first column is the day or the hour.
    if figure in FLAT:
        return [*flat(report, figure)]
    return [row for row in report[figure] if figure not in _OF_TIMES or any([*row.values()][1:])]


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
