"""Figures in rows, as they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

Cell = str | int | float | None


@dataclass
class Table:
    """Figures.

    Args:
        title: what they are about.
        rows: figures by their names, the same in each row; None where there is none.
        notes: what else is to be said.
    """

    title: str
    rows: list[dict[str, Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The table for people."""
        names = list(self.rows[0]) if self.rows else []
        lines = [names, *([_written(row[name]) for name in names] for row in self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
        texts = ("  ".join(_fitted(cell, width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([self.title, *(text.rstrip() for text in texts if names), *self.notes])


def ratio(own: Sequence[float], to: Sequence[float]) -> float:
    """Compares the rounds of two cases one by one, since a busy machine changes from one to the next; the median."""
    return round(median(one / other for one, other in zip(own, to, strict=True)), 3)


def percentile(values: Sequence[float], percent: int) -> float:
    """Finds the value that so many percent of them do not exceed."""
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]


def _written(cell: Cell) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)


def _fitted(cell: str, width: int) -> str:
    is_figure = not cell or cell[0].isdigit()
    return cell.rjust(width) if is_figure else cell.ljust(width)
