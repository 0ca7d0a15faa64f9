"""Tables of figures."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

Row = dict[str, str | int | float | None]


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print rows, which have the same keys, under a title."""
    columns = []
    for name in rows[0]:
        cells = [_text(row[name]) for row in rows]
        width = max(map(len, [name, *cells]))
        are_figures = all(not cell or cell[0] in "-0123456789" for cell in cells)
        columns.append([cell.rjust(width) if are_figures else cell.ljust(width) for cell in (name, *cells)])
    lines = ("  ".join(line).rstrip() for line in zip(*columns, strict=True))
    print(f"\n{title}", *lines, sep="\n", flush=True)


def ratio(own: Sequence[float], to: Sequence[float]) -> float:
    """Return the median of the ratios of each round: a busy machine changes from one round to the next."""
    return round(median(one / other for one, other in zip(own, to, strict=True)), 3)


def _text(cell: str | int | float | None) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)
