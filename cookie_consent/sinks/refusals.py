"""Lines that a store can never keep, found among those that it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cookie_consent.sinks.store import InvalidLinesError


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
