"""Lines of access records and counts, intact or torn, and files that lines are appended to and blanked in."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BufferedRandom, BytesIO
from pathlib import Path
from typing import IO

from cookie_consent.base.clock import rfc3339
from cookie_consent.base.files import read_at, write_at

Predicate = Callable[[bytes], object]
"""Whether a line matches."""

_BLOCK = 1024 * 1024
_NEVER_OLD = "9999"
_TIME = re.compile(rb'"time":\s*"([^"]*)"')


def is_of(visitor_id: str, line: bytes) -> bool:
    """Return whether a line belongs to a visitor: a whole record, or a torn one that still names the visitor."""
    if visitor_id.encode() not in line:
        return False
    try:
        record = json.loads(line)
    except ValueError:
        return re.search(rb'"visitor\.id":\s*"%b"' % re.escape(visitor_id.encode()), line) is not None
    return isinstance(record, dict) and record.get("visitor.id") == visitor_id


def is_torn(line: bytes) -> bool:
    """Return whether a line is the part of a record that a killed process left."""
    return line.startswith(b'{"') and not line.rstrip().endswith(b"}")


def time_of(line: bytes) -> str:
    """Return the time of a record or count, also of a torn one. A line without a time counts as never old."""
    match = _TIME.search(line)
    return match[1].decode("ascii", "replace") if match else _NEVER_OLD


def oldest_kept(now: float, keep: timedelta) -> str:
    """Return the oldest time to keep, in a form that sorts correctly against the times of records.

    Args:
        now: Unix time in seconds.
        keep: how long records are kept.
    """
    # "Z" would sort after the "." of fractions of a second.
    return rfc3339((datetime.fromtimestamp(now, UTC) - keep).timestamp()).removesuffix("Z")


def append(file: int, lines: Sequence[bytes]) -> None:
    """Append lines to an open file, all or none. If a killed process left a part of a line, they begin after it."""
    before = os.fstat(file).st_size
    rest = b"".join(lines)
    if rest and _ends_in_a_torn_line(file):
        rest = b"\n%b" % rest
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except BaseException:
        with suppress(OSError):  # a pipe or a device takes nothing back
            os.ftruncate(file, before)
        raise


def _ends_in_a_torn_line(file: int) -> bool:
    """Return whether an open file does not end with a line feed."""
    state = os.fstat(file)
    return stat.S_ISREG(state.st_mode) and state.st_size > 0 and read_at(file, 1, state.st_size - 1) != b"\n"


def is_open_at(descriptor: int, path: Path) -> bool:
    """Return whether a path names this open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def matching_lines(lines: IO[bytes], matches: Predicate, needle: bytes = b"") -> Iterator[tuple[int, bytes]]:
    """Yield matching lines, each with its place in the file.

    Args:
        lines: the file, open at its beginning.
        matches: whether a line matches.
        needle: bytes that every matching line contains; it speeds up the search.
    """
    place = 0
    for block in _blocks(lines):
        start = place
        place += len(block)
        if needle in block:
            for line in BytesIO(block):
                if matches(line):
                    yield start, line
                start += len(line)


def blank_lines(file: BufferedRandom, matches: Predicate, needle: bytes = b"", *, dry_run: bool = False) -> int:
    """Overwrite matching lines of a live file with spaces, in place; return how many. The caller has the lock.

    A kill leaves whole lines, and who reads meanwhile is not disturbed: readers skip lines of spaces.

    Args:
        file: open for reading and writing, at its beginning.
        matches: whether a line matches.
        needle: bytes that every matching line contains.
        dry_run: whether to only count.
    """
    blanked = 0
    for place, line in matching_lines(file, matches, needle):
        blanked += 1
        if not dry_run:
            write_at(file.fileno(), b" " * len(line.rstrip(b"\n")), place)
    os.fsync(file.fileno())
    return blanked


def _blocks(lines: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines. Only the last block may end without a line feed."""
    while block := lines.read(_BLOCK):
        yield block + lines.readline()
