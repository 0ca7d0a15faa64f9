"""Counts lines lost with killed processes: each process publishes how many it buffers."""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.files import NO_FOLLOW, NONBLOCKING

_MEMORY = Path("/dev/shm")  # noqa: S108 (random file names, readable by their owner only)
_NUMBERS = struct.Struct("=QQ")


class LossCounter:
    """Two numbers that outlive this process: how many lines it took, and how many of those it stored.

    They are in shared memory, where a write costs no more than in private memory and cannot fail later. Writing to a
    mapped file on a full disk would kill the process. Without shared memory nothing is counted.

    Args:
        place: where the lines go. Processes with the same place count each other's losses.
        folder: a folder in an in-memory file system.

    Attributes:
        numbers: how many lines were taken, and how many stored.
    """

    def __init__(self, place: str, folder: Path = _MEMORY) -> None:
        place = place if "://" in place else str(Path(place).absolute())
        # By user, because nobody can remove the files of another user.
        name = f"{getattr(os, 'geteuid', str)()} {place}".encode("utf-8", "surrogateescape")
        key = hashlib.sha256(name).hexdigest()[:16]
        self._folder, self._prefix = folder, f"cookie-consent-{key}-"
        self._path: Path | None = None
        self.numbers: memoryview[int] | list[int] = [0, 0]

    def begin(self, waiting: int) -> int:
        """Start to publish the numbers of this process; call it again after a fork.

        Args:
            waiting: how many lines are buffered already.

        Returns:
            How many lines were lost with processes that have ended.
        """
        self._path, self.numbers = None, [waiting, 0]
        if locking.is_posix():  # Windows cannot remove an open file
            path = self._folder / f"{self._prefix}{secrets.token_hex(8)}"
            with suppress(OSError), os.fdopen(locking.make_locked(path), "r+b", buffering=0) as file:
                file.write(_NUMBERS.pack(waiting, 0))
                self.numbers = memoryview(mmap.mmap(file.fileno(), _NUMBERS.size)).cast("Q")  # keeps the file locked
                self._path = path
        names = os.listdir(self._folder) if self._folder.is_dir() else []
        others = (self._folder / name for name in names if name.startswith(self._prefix))
        return sum(_lost_by_ended_process(path) for path in others if path != self._path)

    def end(self) -> None:
        """Remove the published numbers if all lines were stored."""
        if self._path is not None and self.numbers[0] == self.numbers[1]:
            self._path.unlink(missing_ok=True)


def _lost_by_ended_process(path: Path) -> int:
    """Return how many lines an ended process lost, and delete its numbers; 0 if the process is alive."""
    # Any user can create files in shared memory: a pipe would block, and a link would lead elsewhere.
    with suppress(OSError, struct.error), locking.hold_lock(path, os.O_RDONLY | NONBLOCKING | NO_FOLLOW) as file:
        path.unlink()  # fails if another process was faster
        # One byte more, so that a longer file is rejected.
        taken, stored = _NUMBERS.unpack(os.read(file, _NUMBERS.size + 1))
        return int(taken - stored)
    return 0
