"""The interface between a buffered sink and its store, with their errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol


class Store(Protocol):
    """Where a buffered sink writes its lines.

    Only one thread at a time calls `write`. The other methods may be called at the same time. Every method has a time
    limit, and raises if it cannot finish.
    """

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Store all lines, or raise. Storing a line again changes nothing (by `log.record.uid`)."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor; return how many."""

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`; return how many records."""

    def close(self) -> None:
        """Close connections. The store may be written to again."""


class CannotEraseError(Exception):
    """Some records of a visitor may remain. The message says where, and what would remove them."""


class PartlyErasedError(CannotEraseError):
    """Some records of a visitor are erased, others may remain in files that cannot be read. The message names them."""


class IncompleteError(Exception):
    """Some records cannot be read. All others were yielded before. The message says which, and why."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that cannot be read, or not all of its lines.

    Args:
        path: the path.
        problem: what is wrong, in one line.
        lines: how many lines are no records, and are left out alone; 0 if the whole file is.
    """

    path: Path
    problem: str
    lines: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def incomplete(damaged: Sequence[Damaged]) -> IncompleteError:
    """Return the error for records that are missing, after all others were yielded."""
    whole = [str(each) for each in damaged if not each.lines]
    lines = [str(each) for each in damaged if each.lines]
    said: list[str] = []
    if whole:
        said.append(f"{len(whole)} of the files cannot be read, and their records are missing: {'; '.join(whole)}")
    if lines:
        said.append(f"Lines that are no records are left out: {'; '.join(lines)}")
    return IncompleteError(". ".join(said))


def with_other_lines(path: Path, lines: int) -> Damaged:
    """Return a file with lines that are no records."""
    return Damaged(path, f"{lines} {'line is no record' if lines == 1 else 'lines are no records'}", lines)


def read_readable(records: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the records that can be read, and which cannot; "" for none.

    Args:
        records: from a sink's `read`.
    """
    found: list[dict[str, Any]] = []
    try:
        for record in records:
            found.append(record)
    except IncompleteError as error:
        return found, str(error)
    return found, ""


class InvalidLinesError(Exception):
    """A store stored all lines except some that it can never accept.

    Args:
        lines: the number of those lines.
        why: the store's reason.
    """

    def __init__(self, lines: int, why: str) -> None:
        super().__init__(why)
        self.lines = lines
