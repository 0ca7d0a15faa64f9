"""The first screen of the report page: one chart, and the first rows of four lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from cookie_consent.report.lists import OTHER
from cookie_consent.report.page.charts import ray
from cookie_consent.report.page.figures import Figure, over_time
from cookie_consent.report.page.formatting import count
from cookie_consent.report.page.sections import Section, beside_earlier

ROWS = 5
"""The number of rows of a list on the first screen."""
_SCHEME = "https://"
"""Left out of the names of sites: nearly all begin with it."""
_LISTS = (
    {"pages": "Pages"},
    {"referrers": "Sources"},
    {"campaigns": "Campaigns", "entries": "First pages"},
    {"countries": "Countries", "devices": "Devices"},
)
"""Id of a figure -> the title of its first rows. Of several figures, the first one that has rows is shown."""


@dataclass(frozen=True, slots=True)
class BriefRow:
    """A row of a brief list.

    Args:
        name: its name.
        said: its number, formatted.
        bar: a bar behind both.
        link: the address of the report of this row alone; "" for none.
    """

    name: str
    said: str
    bar: Markup
    link: str


@dataclass(frozen=True, slots=True)
class Brief:
    """The first rows of a list, which lead to the whole list.

    Args:
        title: its title.
        counted: what its numbers count.
        figure: the figure that has the whole list.
        rows: the first rows.
    """

    title: str
    counted: str
    figure: Figure
    rows: Sequence[BriefRow]


def main_chart(report: Mapping[str, Any]) -> Figure:
    """Return visitors over time, with the earlier period behind them."""
    step = report["range"]["step"]
    rows, before = beside_earlier(report)
    people = {"visitors": ("solid", "Visitors")}
    people |= {"visitors_before": ("outline", f"Visitors, {before}")} if before else {}
    more = [("Sessions", lambda row: count(row["sessions"]))]
    return over_time("people-by-day", f"Visitors by {step}", rows, people, more, step)


def brief_lists(sections: Sequence[Section]) -> list[Brief]:
    """Return the first rows of four lists.

    Args:
        sections: the sections that have the whole lists.
    """
    figures = {figure.id: figure for section in sections for figure in section.figures}
    return [_brief(figures, titles) for titles in _LISTS]


def _brief(figures: Mapping[str, Figure], titles: Mapping[str, str]) -> Brief:
    there = [id_ for id_ in titles if id_ in figures]
    id_ = next((id_ for id_ in there if figures[id_].rows), there[-1])
    figure = figures[id_]
    links = figure.links or [""] * len(figure.rows)
    rows = [
        BriefRow(row[0].removeprefix(_SCHEME), row[1], ray(length), link)
        for row, length, link in zip(figure.rows, figure.lengths, links, strict=True)
        if row[0] != OTHER
    ]
    return Brief(titles[id_], figure.head[1], figure, rows[:ROWS])
