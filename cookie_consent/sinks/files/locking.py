"""Exclusive access to a closed file: for one process at a time, and only once nobody writes to the file any more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from io import BufferedRandom
from pathlib import Path

from cookie_consent.base.process import locking
from cookie_consent.sinks.files.atomic import temporary_path
from cookie_consent.sinks.files.closed_files import FileFormat, Source, key_of, path_of, sources
from cookie_consent.sinks.optional import is_interruption


@contextmanager
def exclusive(path: Path, source: Source, wait: float = 0.0) -> Iterator[BufferedRandom | None]:
    """Lock a closed file, so that no other process rewrites or compresses it, or still appends to it.

    Also removes what a killed process left behind: unfinished files, and later formats that do not count yet.

    Args:
        path: the live file of the log.
        source: the closed file.
        wait: how long to wait for the lock (seconds).

    Yields:
        The open file; None if it no longer exists in this format.

    Raises:
        TimeoutError: another process has the lock.
        OSError: the file cannot be opened, or the system is Windows, which cannot replace or remove an open file.
    """
    if not locking.is_posix():
        raise OSError("on Windows closed files cannot be changed; do it on Linux or macOS")
    try:
        file = source.path.open("r+b")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            locking.lock(file.fileno(), wait=wait)
        except BlockingIOError:
            raise TimeoutError("It is in use by another process.") from None
        # Another process may have replaced the file before this one had the lock.
        if is_open_at(file.fileno(), source.path):
            _remove_leftovers(path, source)
            yield file
        else:
            yield None


def is_open_at(descriptor: int, path: Path) -> bool:
    """Return whether a path names this open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def remove(path: Path, source: Source, before: FileFormat | None = None) -> None:
    """Remove all formats of a closed file. The caller has the lock.

    The format that counts is removed last, so that a kill leaves a whole file.

    Args:
        path: the live file of the log.
        source: the closed file in the format that counts.
        before: its new format, which stays, as do later ones; None to remove all.
    """
    for file_format in sorted(FileFormat, reverse=True):
        if source.file_format <= file_format and (before is None or file_format < before):
            path_of(path, *key_of(source), file_format).unlink(missing_ok=True)


def for_each_closed(
    path: Path, selects: Callable[[Source], object], work: Callable[[Source, BufferedRandom], object], wait: float = 0.0
) -> list[tuple[Source, Exception]]:
    """Lock and process each closed file once, in its current format; return the files that failed, with their errors.

    Args:
        path: the live file of the log.
        selects: selects the files.
        work: is called with each selected file, open and locked.
        wait: how long to wait for each lock (seconds).
    """
    done: set[tuple[date, int]] = set()
    troubles: list[tuple[Source, Exception]] = []
    while todo := [source for source in sources(path) if source.day and selects(source) and key_of(source) not in done]:
        for source in todo:
            try:
                with exclusive(path, source, wait) as file:
                    if file is None:
                        continue  # it has another format by now
                    work(source, file)
            except Exception as error:
                if is_interruption(error):
                    raise
                troubles.append((source, error))
            done.add(key_of(source))
    return troubles


def _remove_leftovers(path: Path, source: Source) -> None:
    temporary_path(source.path).unlink(missing_ok=True)
    for file_format in FileFormat:
        if file_format > source.file_format:
            place = path_of(path, *key_of(source), file_format)
            temporary_path(place).unlink(missing_ok=True)
            place.unlink(missing_ok=True)
