"""Locks on open files, between processes: held together with others, or alone.

A lock ends when it is let go of, or when its file is closed, also by the end of the process. On Windows every lock is
held alone: the system knows none on a file as a whole, and a shared one there would keep its own holder from writing.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

_POLL = 0.01
_TURN = 1.0
"""On Windows who asks for a shared lock waits so long for another one's turn to end (seconds)."""
_PLACE = 0x7FFF_FFFE
"""The byte that is locked on Windows: as far behind the end as its C library goes, for nobody else may read it."""
_AT_ONCE, _FREE = 2, 0
"""`msvcrt.LK_NBLCK` and `msvcrt.LK_UNLCK`."""


def is_posix() -> bool:
    """Return whether locks can be shared, and open files be renamed and removed."""
    return fcntl is not None


def lock(file: int, *, shared: bool = False, wait: float = 0.0) -> None:
    """Lock an open file.

    Args:
        file: its descriptor.
        shared: whether others may hold a shared lock meanwhile.
        wait: for how long others may hold it (seconds).

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: it cannot be locked.
    """
    end = time.monotonic() + (_TURN if shared and not is_posix() else wait)
    while True:
        try:
            return _lock_now(file, shared=shared)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(_POLL)


def unlock(file: int) -> None:
    """Let go of the lock on an open file."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_UN)
    else:
        _lock_on_windows(file, _FREE)


def _lock_now(file: int, *, shared: bool) -> None:
    if fcntl is not None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return
    try:
        _lock_on_windows(file, _AT_ONCE)
    except OSError as error:
        raise BlockingIOError(error.errno, "It is locked by another process.") from None


def _lock_on_windows(file: int, mode: int) -> None:
    try:
        msvcrt = import_module("msvcrt")
    except ModuleNotFoundError:
        return  # Python for WebAssembly may have neither, and no other process
    before = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, _PLACE, os.SEEK_SET)
    try:
        msvcrt.locking(file, mode, 1)
    finally:
        os.lseek(file, before, os.SEEK_SET)
