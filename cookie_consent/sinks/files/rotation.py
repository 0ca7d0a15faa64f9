"""Rotates the live file of an access log at the end of its day, and when it is large enough."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from datetime import time as midnight
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.clock import is_future
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of, sources
from cookie_consent.sinks.files.locking import for_each_closed

ROTATE_SIZE = 128 * 1024 * 1024
_TIMEOUT = 0.5
"""How long to wait for another process that rotates the file (seconds). It takes a millisecond unless that is
stopped."""
_log = logging.getLogger("cookie_consent")


class Rotation:
    """Renames a live file after its day and a number: "access.jsonl" -> "access-2026-11-25-0001.jsonl".

    A lock file beside it admits one process at a time. Numbers are not reused within a day, so that names stay unique
    even if the clock is set back. On Windows rotation is never due, because an open file cannot be renamed there.

    Args:
        path: the live file.
        size: the maximum size of the live file (bytes).
        clock: returns Unix time in seconds.
    """

    def __init__(self, path: Path, size: int = ROTATE_SIZE, clock: Callable[[], float] = time.time) -> None:
        self._path, self._size, self._clock = path, size, clock
        self._failing = False

    def is_due(self, state: os.stat_result, more: int = 0) -> bool:
        """Return whether the file has to be rotated before more is written.

        Args:
            state: the live file's status.
            more: the size of what would be written (bytes).
        """
        if not stat.S_ISREG(state.st_mode) or state.st_size == 0 or not locking.is_posix():
            return False
        return state.st_size + more > self._size or _day(state.st_mtime) < _day(self._clock())

    def close_if_due(self, more: int = 0) -> bool:
        """Rotate the live file if it is due; return False if that fails.

        It fails if the folder is not writable, or if another process stopped while rotating. Writing to the live file
        then continues.
        """
        try:
            with self._naming_lock():
                return self._close(more)
        except FileNotFoundError:
            return True  # no file to rotate
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._failing:
                self._failing = True
                _log.warning("%s cannot be closed and grows on: %s", self._path, error)
            return False

    def correct_future_dates(self) -> None:
        """Change future dates of files to today. Otherwise they would be rotated or removed too late.

        Such files were written while a clock was ahead. A locked file is left for the next call.
        """
        now = self._clock()

        def is_late(source: Source) -> bool:
            return is_future(datetime.combine(source.date(), midnight(), UTC).timestamp(), now)

        def rename(source: Source, _: object) -> None:
            new = path_of(self._path, _day(now), self._next_number(_day(now)), source.file_format)
            new.parent.mkdir(parents=True, exist_ok=True)
            os.rename(source.path, new)
            _log.warning("%s was dated in the future, by a clock that was ahead; it is %s now.", source.path, new)

        with suppress(OSError):  # most often there is no live file
            if is_future(self._path.stat().st_mtime, now):
                os.utime(self._path, (now, now))
                _log.warning("%s was dated in the future, by a clock that was ahead; it is of today now.", self._path)
        if any(source.day and is_late(source) for source in sources(self._path)):
            with suppress(OSError), self._naming_lock():
                for_each_closed(self._path, is_late, rename)

    @contextmanager
    def _naming_lock(self) -> Iterator[None]:
        """Take the lock for naming files; raises OSError if it is not available."""
        path = self._path.with_name(f".{self._path.name}.lock")
        with locking.hold_lock(path, os.O_RDWR | os.O_CREAT, 0o640, wait=_TIMEOUT):
            yield

    def _close(self, more: int) -> bool:
        state = os.stat(self._path)
        if self.is_due(state, more):
            if self._path.is_symlink():  # the link would be renamed, not the file
                raise OSError("it is a symbolic link; name the file itself")
            day = _day(state.st_mtime)  # no record is later, since each is written after its request came
            os.rename(self._path, path_of(self._path, day, self._next_number(day), FileFormat.PLAIN))
            self._failing = False
        return True

    def _next_number(self, day: date) -> int:
        return 1 + max((source.number for source in sources(self._path) if source.day == day), default=0)


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
