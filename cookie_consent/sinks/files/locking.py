"""The right to change a closed file: one process has it at a time, and none that still writes to the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from io import BufferedRandom
from pathlib import Path

from cookie_consent.base.process import locking
from cookie_consent.sinks.files.atomic import unfinished
from cookie_consent.sinks.files.closed_files import Form, Source, key_of, path_of, sources
from cookie_consent.sinks.optional import is_interruption


@contextmanager
def held(path: Path, source: Source, wait: float = 0.0) -> Iterator[BufferedRandom | None]:
    """Hold a closed file, so that nobody else changes its form or rewrites it, and nobody still writes to it.

    What somebody else left behind who was killed while he held it, is removed: unfinished files, and forms that do
    not yet count.

    Args:
        path: the live file of the log.
        source: the closed file.
        wait: for how long somebody else may hold it (seconds).

    Yields:
        The open file; None where this form of it is gone.

    Raises:
        TimeoutError: somebody else holds it.
        OSError: it cannot be opened, or it is on Windows, where nobody can replace or remove an open file.
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
        if is_at(file.fileno(), source.path):
            _remove_leftovers(path, source)
            yield file
        else:
            yield None


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether a path means an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def remove(path: Path, source: Source, before: Form | None = None) -> None:
    """Remove a closed file, in all its forms. Call it with the file held.

    The form that counts goes last: whoever is killed in here leaves a whole file.

    Args:
        path: the live file of the log.
        source: the closed file, in the form that counts.
        before: the form that it now has: this one stays, and so do those after it.
    """
    for form in sorted(Form, reverse=True):
        if source.form <= form and (before is None or form < before):
            path_of(path, *key_of(source), form).unlink(missing_ok=True)


def for_each_closed(
    path: Path, which: Callable[[Source], object], work: Callable[[Source, BufferedRandom], object], wait: float = 0.0
) -> list[tuple[Source, Exception]]:
    """Hold each closed file once, in whichever form it then has; return those that gave trouble, and which.

    Args:
        path: the live file of the log.
        which: whether a file is one of those that are meant.
        work: is given each of these, open and held.
        wait: for how long somebody else may hold one (seconds).
    """
    done: set[tuple[date, int]] = set()
    troubles: list[tuple[Source, Exception]] = []
    while todo := [found for found in sources(path) if found.day and which(found) and key_of(found) not in done]:
        for source in todo:
            try:
                with held(path, source, wait) as file:
                    if file is None:
                        continue  # it went to its next form
                    work(source, file)
            except Exception as error:
                if is_interruption(error):
                    raise
                troubles.append((source, error))
            done.add(key_of(source))
    return troubles


def _remove_leftovers(path: Path, source: Source) -> None:
    unfinished(source.path).unlink(missing_ok=True)
    for form in Form:
        if form > source.form:
            place = path_of(path, *key_of(source), form)
            unfinished(place).unlink(missing_ok=True)
            place.unlink(missing_ok=True)
