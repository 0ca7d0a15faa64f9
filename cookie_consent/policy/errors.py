"""The error for a policy that cannot be used, and the hints in its message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

MOST_SHOWN = 20
"""A message has at most so many errors. Then it says how many more there are."""

Row = tuple[object, str, str, str]
"""Whether something is wrong, the key, what is wrong, and what would be right."""
PlacedRow = tuple[str, object, str, str, str]
"""A table, and a row of it."""


class PolicyError(ValueError):
    """A policy cannot be used. The message says of each error where it is, what is wrong and what would be right.

    Attributes:
        problem: what is wrong.
        remedy: what would be right.
        key: the key in the table, or "".
        table: the table, as the policy file writes it: "[site]"; or "".
        file: the path of the policy file, or "".
        others: the other errors of the same policy. The attributes above are those of the first one.
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        *,
        key: str = "",
        table: str = "",
        file: str = "",
        others: Iterable[PolicyError] = (),
    ) -> None:
        self.problem, self.remedy, self.key, self.table, self.file = problem, remedy, key, table, file
        self.others = tuple(others)
        place = " ".join(filter(None, [file and f"{file}:", table, key and f'key "{key}":']))
        lines = [" ".join(filter(None, [place, problem.rstrip(".") + ".", remedy])), *map(str, self.others)]
        if more := lines[MOST_SHOWN:]:
            lines[MOST_SHOWN:] = [f"and {len(more)} more {'error' if len(more) == 1 else 'errors'}"]
        super().__init__("\n".join(lines))

    @property
    def errors(self) -> tuple[PolicyError, ...]:
        """All errors of the policy, each by itself."""
        return (self._with(), *self.others) if self.others else (self,)

    def at(self, *, table: str = "", key: str = "", file: str = "") -> PolicyError:
        """Return the same error with those of its places filled in that are still empty."""
        return self._with(
            table=table,
            key=key,
            file=file,
            others=[other.at(table=table, key=key, file=file) for other in self.others],
        )

    def _with(
        self, *, table: str = "", key: str = "", file: str = "", others: Iterable[PolicyError] = ()
    ) -> PolicyError:
        return PolicyError(
            self.problem,
            self.remedy,
            key=self.key or key,
            table=self.table or table,
            file=self.file or file,
            others=others,
        )


def raise_all(errors: Iterable[PolicyError]) -> None:
    """Raise one PolicyError for all of the errors, each once, unless there are none."""
    found = {str(one): one for error in errors for one in error.errors}
    if found:
        first, *others = found.values()
        raise PolicyError(first.problem, first.remedy, key=first.key, table=first.table, file=first.file, others=others)


def select_errors(rows: Iterable[Row], table: str = "") -> Iterator[PolicyError]:
    """Yield an error for each row whose condition holds."""
    return select_placed((table, *row) for row in rows)


def select_placed(rows: Iterable[PlacedRow]) -> Iterator[PolicyError]:
    """Yield an error for each row whose condition holds."""
    for table, is_wrong, key, problem, remedy in rows:
        if is_wrong:
            yield PolicyError(problem, remedy, table=table, key=key)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word most like `word`, or else all known words."""
    names = sorted(known)
    if near := nearest(word, names):
        return f'Did you mean "{near}"?'
    return f"Known: {', '.join(names)}." if names else "None is declared."


def nearest(word: str, known: Iterable[str], likeness: float = 0.5) -> str:
    """Return the known word most like `word`, or "" if none is like it."""
    return next(iter(get_close_matches(word, known, n=1, cutoff=likeness)), "")
