"""What a buffered sink brings its lines to, and what that may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Protocol


class Store(Protocol):
    """Where a buffered sink keeps its lines. `write` is called by one thread at a time; the others may come besides.

    Whatever it does has a time limit of its own, and raises where it cannot be done.
    """

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Keep all of these lines, or raise. Writing the same lines again changes nothing (by `log.record.uid`)."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor and return how many there were."""

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep` and return how many records that are."""

    def close(self) -> None:
        """End connections. It may be written to again."""


def url_error(example: str) -> ValueError:
    """Return the error about a URL that cannot be read. It does not say the URL, which may have a password in it."""
    return ValueError(
        f'access_log: the URL cannot be read. Write "{example}"; in a name or password, "@" is written "%40", '
        '":" "%3A", "/" "%2F" and "%" "%25".'
    )


class CannotEraseError(Exception):
    """Records of a visitor stay somewhere; says where, and what would remove them."""


class InvalidLinesError(Exception):
    """A store has kept all lines but these, which it can never keep.

    Args:
        lines: how many they are.
        why: what the store says of them.
    """

    def __init__(self, lines: int, why: str) -> None:
        super().__init__(why)
        self.lines = lines


class RefusedError(Exception):
    """A store refuses some of the lines that it was given, for what they are; it kept none of them."""


def refused(lines: Sequence[bytes], keep: Callable[[Sequence[bytes]], None]) -> list[str]:
    """Keep all lines but those that are refused; return why, once for each of these.

    What is refused is halved until single lines are left: one bad line among a thousand costs twenty tries.

    Args:
        lines: to keep.
        keep: keeps all of some lines, or raises. Kept twice they are kept once.

    Raises:
        Exception: what `keep` raises that is no RefusedError.
    """
    if not lines:
        return []
    try:
        keep(lines)
    except RefusedError as error:
        half = len(lines) // 2
        return [*refused(lines[:half], keep), *refused(lines[half:], keep)] if half else [str(error)]
    return []


def report(refusals: Sequence[str]) -> None:
    """Say what was refused, if anything was.

    Raises:
        InvalidLinesError: some lines were refused. It gives the first one's reason.
    """
    if refusals:
        raise InvalidLinesError(len(refusals), refusals[0])
