"""The files of an access log, and how to find each record in exactly one of them.

An access log is a live file that processes append to, and files that were closed (see `locked_files`):

    logs/access.jsonl                                          the live file
    logs/access.2.jsonl                                        another one, if somebody was stopped with the first
    logs/access-2026-11-25-0001.jsonl                          closed
    logs/access-2026-11-25-0001.jsonl.gz                       closed and compressed
    logs/access/day=2026-11-25/access-2026-11-25-0001.parquet  closed and compacted

A closed file changes from one format to the next in this order. The new format is written under a temporary name,
synced and renamed. Only then is the old format removed. While both exist, **the old format counts**. A reader that
looks for the formats in this order therefore finds each file in at least one format, whatever happens meanwhile.

The day of a file is that of its newest record: no record is from after that day (UTC), some may be from before it. Only
a live file is changed in place. Whoever has another file open can read it to its end.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from cookie_consent.base.threads import Backoff

_COUNTS = ".counts"
_TRIES = 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0

T = TypeVar("T")


class FileFormat(IntEnum):
    """The formats of a file, in the order in which it takes them."""

    LIVE = 0
    PLAIN = 1
    GZIP = 2
    PARQUET = 3


_ENDINGS = {FileFormat.PLAIN: "", FileFormat.GZIP: ".gz"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file with records.

    Args:
        path: the path.
        file_format: the format.
        day: the UTC day of its newest record; None for the live file.
        number: its number on that day.
    """

    path: Path
    file_format: FileFormat
    day: date | None = None
    number: int = 0

    def date(self) -> date:
        """Return the day of a closed file."""
        if self.day is None:
            raise ValueError(f"{self.path} is not closed.")
        return self.day


def counts_path(path: Path) -> Path:
    """Return the live file of counts beside an access log: "logs/access.jsonl" -> "logs/access.counts.jsonl"."""
    return path.with_name(f"{path.stem}{_COUNTS}{path.suffix}")


def is_of_counts(path: Path) -> bool:
    """Return whether a live file holds counts."""
    return path.stem.endswith(_COUNTS)


def parquet_folder(path: Path) -> Path:
    """Return the folder of a log's Parquet files: "logs/access.jsonl" -> "logs/access"."""
    return path.with_name(path.stem if path.suffix else f"{path.name}.parquet")


def live_path(path: Path, number: int) -> Path:
    """Return the path of a live file by its number, from 1."""
    return path if number == 1 else path.with_name(f"{path.stem}.{number}{path.suffix}")


def live_paths(path: Path) -> list[Path]:
    """Return the live files that exist, the first one first."""
    name = re.compile(rf"{re.escape(path.stem)}\.\d+{re.escape(path.suffix)}", re.ASCII)
    others = sorted(place for place in path.parent.glob("*") if name.fullmatch(place.name))
    return [place for place in (path, *others) if place.is_file()]


def next_path(path: Path, day: date, file_format: FileFormat) -> Path:
    """Return the path of the next file of a day that is closed. The caller holds the lock for naming."""
    number = 1 + max((source.number for source in sources(path) if source.day == day), default=0)
    return path_of(path, day, number, file_format)


def path_of(path: Path, day: date, number: int, file_format: FileFormat) -> Path:
    """Return the path of a closed file.

    Args:
        path: the live file.
        day: the day of the closed file.
        number: its number on that day.
        file_format: its format.
    """
    name = f"{path.stem}-{day}-{number:04}"
    if file_format is FileFormat.PARQUET:
        return parquet_folder(path) / f"{_partition(path)}={day}" / f"{name}.parquet"
    return path.with_name(f"{name}{path.suffix}{_ENDINGS[file_format]}")


def sources(path: str | os.PathLike[str]) -> list[Source]:
    """Return the files of an access log by day and number, live files last.

    Before a file is opened, it may be rotated or change its format: see `retry_if_moved`.

    Args:
        path: the live file. Its counts are a separate log, at `counts_path`.
    """
    live = Path(path)
    # Live files first, so that no file is hidden if one is closed meanwhile.
    live_files = [Source(place, FileFormat.LIVE) for place in live_paths(live)]
    closed: dict[tuple[date, int], Source] = {}
    # The order matters, see above.
    for file_format in (FileFormat.PLAIN, FileFormat.GZIP, FileFormat.PARQUET):
        for source in _files_in_format(live, file_format):
            closed.setdefault(key_of(source), source)
    return [closed[key] for key in sorted(closed)] + live_files


def retry_if_moved(
    path: str | os.PathLike[str], read: Callable[[list[Source]], T], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call `read` with the files of an access log; call it again if files moved meanwhile.

    It is also called again if it fails while an erasure replaces a file. DuckDB opens a Parquet file twice: once to
    learn where its values are, and once to read them.

    Args:
        path: the live file.
        read: reads all given files. Its errors are raised only if no file moved.
        sleep: waits for a number of seconds.
    """
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter=lambda: 1)
    for tried in range(_TRIES):
        if tried:
            sleep(backoff.next_pause())  # a compaction of many files takes a while
        files = sources(path)
        states = _states(files)
        try:
            result = read(files)
        except Exception:
            if sources(path) == files and _states(files) == states:
                raise
            continue
        known = {key_of(source) for source in files if source.day}
        if all(key_of(source) in known for source in sources(path) if source.day):
            return result
    raise OSError(f"The files of {path} move faster than they can be read.")


def key_of(source: Source) -> tuple[date, int]:
    """Return what identifies a closed file in all its formats: its day and number."""
    return source.date(), source.number


def one_file(path: str | Path) -> str:
    """Escape a path for DuckDB, which reads "*", "?" and "[" as patterns."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def _states(files: Sequence[Source]) -> dict[Path, tuple[int, int]]:
    """Return what changes when closed files are replaced by others of their names."""
    found: dict[Path, tuple[int, int]] = {}
    for source in files:
        if source.day:
            with suppress(FileNotFoundError):
                status = source.path.stat()
                found[source.path] = status.st_ino, status.st_mtime_ns
    return found


def _partition(path: Path) -> str:
    # Counts have a column "day", which readers would replace by a partition of that name.
    return "written" if is_of_counts(path) else "day"


def _files_in_format(path: Path, file_format: FileFormat) -> Iterator[Source]:
    if file_format is FileFormat.PARQUET:
        folder, ending = parquet_folder(path), ".parquet"
        # Since Python 3.13 `glob` raises for a path that no folder can have, such as one with a NUL.
        places = folder.glob(f"{_partition(path)}=*/*.parquet") if folder.is_dir() else iter(())
    else:
        places, ending = path.parent.glob("*"), f"{path.suffix}{_ENDINGS[file_format]}"
    name = re.compile(rf"{re.escape(path.stem)}-(\d{{4}}-\d\d-\d\d)-(\d{{4,}}){re.escape(ending)}", re.ASCII)
    for place in places:
        match = name.fullmatch(place.name)
        if match and (day := _day(match[1])) and place.is_file():
            yield Source(place, file_format, day, int(match[2]))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
