"""Rows of a report from rows of an engine, by what `figures.py` says of a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from cookie_consent.report.engines.engine import Engine, Given, Row
from cookie_consent.report.figures import DIGITS, Column, Figure
from cookie_consent.report.question import LARGEST_LIMIT

OTHER = "(other)"
_SEPARATOR = "\x1f"
"""Stands between the names of a group, which may have any other character (ASCII, unit separator)."""

Before = Callable[[str], int | float | None]
"""Returns the number of a group in an earlier period, from its label."""


def list_rows(engine: Engine, figure: Figure, given: Given, before: Before | None = None) -> tuple[list[Row], int]:
    """Return the rows of a list, and how many groups were too small for a row of their own.

    Args:
        engine: an engine with the tables of the range.
        figure: the list.
        given: the parameters of the SQL texts.
        before: the result of `list_sizes` for the period compared with. Then each row has that number too, as "before".
    """
    groups, small = _groups(engine, figure, given)
    rows = list[tuple[Any, Row]]()
    for group in groups:
        measured = measures(figure, group, int(given["threshold"]))
        names = _names(figure, group["label"])
        size = next(iter(measured.values())) or 0
        if before is not None:
            measured["before"] = None if group["joined"] else before(group["label"])
        # Equal numbers are sorted by name, so that all engines give one order.
        rows.append(((group["joined"], -size, *names.values()), names | measured))
    rows.sort(key=lambda row: row[0])
    return [row for _, row in rows], small


def list_sizes(engine: Engine, figure: Figure, given: Given) -> Before:
    """Return the numbers that rows are sorted by, to compare later ones with.

    Args:
        engine: an engine with the tables of the earlier period.
        figure: the list.
        given: the parameters of the SQL texts.
    """
    # All rows that may be shown at all: what is high up in a list now may have been far down.
    groups, _ = _groups(engine, figure, {**given, "most": LARGEST_LIMIT})
    named = [group for group in groups if not group["joined"]]
    threshold = int(given["threshold"])
    sizes = {group["label"]: next(iter(measures(figure, group, threshold).values())) for group in named}
    # A row that is not there may have had some, but too few to be shown.
    rest = None if len(named) < len(groups) or threshold > 1 else 0
    return lambda label: sizes.get(label, rest)


def _groups(engine: Engine, figure: Figure, given: Given) -> tuple[list[Row], int]:
    """Return the groups of a list, and how many were too small.

    An "(other)" of too few visitors is joined by the smallest named group. Without one, the list is empty.
    """
    groups = engine.rows("list", given, figure=figure)
    small = number(groups[0]["small_groups"]) if groups else 0
    joined = [group for group in groups if group["joined"]]
    if joined and number(joined[0]["people"]) < int(given["threshold"]):
        named = len(groups) - len(joined)
        groups = engine.rows("list", {**given, "most": named - 1}, figure=figure) if named else []
    return groups, small


def measures(figure: Figure, row: Row, threshold: int = 1) -> dict[str, int | float | None]:
    """Return the measured columns of a row.

    Args:
        figure: the figure.
        row: a row of an engine.
        threshold: the fewest visitors that a number stands for.
    """
    made = {column.key: _measure(column, row, threshold) for column in figure.measures}
    for column in figure.measures:
        if column.derive:
            made[column.key] = column.derive(made)
    return made


def _measure(column: Column, row: Row, threshold: int) -> int | float | None:
    value = row.get(f"row_{column.key}")
    is_left_out = row.get("joined") and not column.can_be_summed
    is_of_few = column.people and 0 < number(row[f"people_{column.key}"]) < threshold
    if value is None or is_left_out or is_of_few:
        return None
    digits = DIGITS.get(column.kind)
    return number(value) if digits is None else rounded(value, digits)


def _names(figure: Figure, label: str) -> dict[str, str]:
    """Return the columns that name a row, from the label of its group."""
    keys = [column.key for column in figure.names]
    if label == OTHER:
        return {**dict.fromkeys(keys, ""), figure.other or keys[0]: OTHER}
    parts = label.split("&" if figure.is_encoded else _SEPARATOR, len(keys) - 1)
    if figure.is_encoded:
        parts = [unquote_plus(part) for part in parts]
    return dict(zip(keys, parts, strict=True))


def number(value: object) -> int:
    """Return an engine's number as an int. Engines use different types for it."""
    return int(value)  # type: ignore[call-overload, no-any-return]


def rounded(value: object, digits: int = 1) -> float | None:
    """Return an engine's number as a rounded float; None for NULL."""
    return None if value is None else round(float(value), digits)  # type: ignore[arg-type]
