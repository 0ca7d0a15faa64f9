"""Combinations: all of them, or so few that each value still meets each value of every other dimension."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product

Row = tuple[str, ...]
"""A value for each dimension, in their order."""
Value = tuple[str, str]
"""The name of a parameter, and its value."""


def every_row(dimensions: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return all combinations."""
    return list(product(*dimensions.values()))


def paired_rows(dimensions: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return few combinations in which each value meets each value of every other dimension at least once.

    They are always the same: each is the first of those that bring the most new pairs.
    """
    rows = every_row(dimensions)
    missing = {pair for row in rows for pair in pairs(row)}
    chosen = []
    while missing:
        best = max(rows, key=lambda row: len(missing & pairs(row)))
        missing -= pairs(best)
        chosen.append(best)
    return sorted(chosen, key=rows.index)


def pairs(row: Row) -> set[tuple[tuple[int, str], ...]]:
    """Return which values meet in a combination, each with the number of its dimension."""
    return set(combinations(enumerate(row), 2))


def rows_with_each_value(
    rows: Sequence[frozenset[Value]], *, given: Iterable[frozenset[Value]], used: Counter[Value]
) -> list[frozenset[Value]]:
    """Return few combinations in which each value comes at least once.

    Args:
        rows: all combinations.
        given: some that are chosen already.
        used: how often each value was chosen before, in other tests. Of equally good combinations, the one comes whose
            values were chosen least. What is chosen here is added.
    """
    missing = frozenset[Value]().union(*rows).difference(*given)
    chosen = []
    while missing:
        best = max(rows, key=lambda row: (len(missing & row), -sum(used[value] for value in row)))
        missing -= best
        used.update(best)
        chosen.append(best)
    return chosen
