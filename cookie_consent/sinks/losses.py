"""Tells how many lines were lost with a process that was killed: each process writes down how many it holds."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path

from cookie_consent.base.files import AT_ONCE, NO_LINK
from cookie_consent.base.process import locking

_MEMORY = Path("/dev/shm")  # noqa: S108 (files of a name that nobody knows, for their owner alone)
_NUMBERS = struct.Struct("=QQ")


class Held:
    """Two numbers of this process, where they outlive it: how many lines it took, and how many of them it brought home.

    They are in shared memory. To write there costs as little as in a process's own, and it cannot fail later: a page
    of a file can where the disk is full, which would end the process. Where there is no such memory nothing is counted.

    Args:
        place: where the lines go. Processes with the same one look after each other.
        folder: a file system in memory.

    Attributes:
        numbers: how many lines were taken, and how many brought.
    """

    def __init__(self, place: str, folder: Path = _MEMORY) -> None:
        place = place if "://" in place else str(Path(place).absolute())
        name = f"{getattr(os, 'geteuid', str)()} {place}".encode("utf-8", "surrogateescape")
        key = hashlib.sha256(name).hexdigest()[:16]
        self._folder, self._prefix = folder, f"cookie-consent-{key}-"
        self._path: Path | None = None
        self.numbers: memoryview[int] | list[int] = [0, 0]

    def begin(self, waiting: int) -> int:
        """Write down the numbers of this process from now on, also after a fork.

        Args:
            waiting: how many lines it holds already.

        Returns:
            How many lines were lost with processes that have ended.
        """
        self._path, self.numbers = None, [waiting, 0]
        if locking.is_posix():  # on Windows nobody could remove the file while it is open
            with suppress(OSError):
                self._path, self.numbers = self._shared(waiting)
        return sum(_left_behind(path) for path in self._folder.glob(f"{self._prefix}*") if path != self._path)

    def end(self) -> None:
        """Leave nothing behind if all lines were brought home."""
        if self._path is not None and self.numbers[0] == self.numbers[1]:
            self._path.unlink(missing_ok=True)

    def _shared(self, waiting: int) -> tuple[Path, memoryview[int]]:
        path = self._folder / f"{self._prefix}{secrets.token_hex(8)}"
        file = locking.make_locked(path)
        try:
            os.write(file, _NUMBERS.pack(waiting, 0))
            numbers = memoryview(mmap.mmap(file, _NUMBERS.size)).cast("Q")  # it keeps the file open, and so the lock
        finally:
            os.close(file)
        return path, numbers


def _left_behind(path: Path) -> int:
    """Return how many lines a process had not brought home when it ended, and forget it; 0 while it lives."""
    # Anybody may put a pipe there, which would have no other end, or a link.
    with suppress(OSError, struct.error), locking.opened(path, os.O_RDONLY | AT_ONCE | NO_LINK) as file:
        path.unlink()  # which fails where another was faster
        taken, brought = _NUMBERS.unpack(os.read(file, _NUMBERS.size + 1))
        return int(taken - brought)
    return 0
