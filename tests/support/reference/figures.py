"""The page on the figures of a report, from their rows."""

from __future__ import annotations

from cookie_consent.report.figures import FIGURES, SECTIONS, Figure
from tests.support.reference.markdown import page_of, table

_TITLE = """\
# Figures of a report

Each is a list in `--json`, a file in `--csv`, and a table in the terminal and on the page. [What the figures
mean](../figures.md) explains them. With `--compare`, each row of a list also has the number of the earlier time,
`before`."""
_KINDS = {
    "percent": " (a share of 1)",
    "seconds": " (in seconds)",
    "ms": " (in milliseconds)",
}
"""Kind of a column -> what to say of it."""


def page() -> str:
    sections = [(title, [figure for figure in FIGURES if figure.section == name]) for name, title in SECTIONS.items()]
    tables = [f"## {title}\n\n{table(('figure', 'columns'), map(_row, figures))}" for title, figures in sections]
    return page_of(_TITLE, *tables)


def _row(figure: Figure) -> tuple[str, str]:
    place = f" (in `goals`: `{figure.key}`)" if figure.of_goal else ""
    columns = [f"`{column.key}`{_KINDS.get(column.kind, '')}" for column in figure.columns]
    return f"`{figure.name}`{place}<br>{figure.title}", ", ".join(columns)
