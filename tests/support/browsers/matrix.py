"""Few combinations of values that still contain each value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

Value = tuple[str, str]
"""A parameter and its value."""


def rows_with_each_value(
    rows: Sequence[frozenset[Value]],
    *,
    given: Iterable[frozenset[Value]],
    used: Counter[Value],
    at_most: int | None = None,
) -> list[frozenset[Value]]:
    """Return few combinations in which each value comes at least once.

    Args:
        rows: all combinations.
        given: combinations that are chosen already.
        used: how often each value was chosen for other tests. Of equally good combinations, the one with the least used
            values wins. The function adds the values that it chooses.
        at_most: how many combinations to choose at most, even if values are missing then.
    """
    missing = frozenset[Value]().union(*rows).difference(*given)
    chosen = list[frozenset[Value]]()
    while missing and len(chosen) != at_most:
        best = max(rows, key=lambda row: (len(missing & row), -sum(used[value] for value in row)))
        missing -= best
        used.update(best)
        chosen.append(best)
    return chosen
