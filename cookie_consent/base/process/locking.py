"""Locks on open files, between processes: held together with others, or alone.

A lock ends when it is let go of, or when its file is closed, also by the end of the process. On Windows every lock is
held alone: the system knows none on a file as a whole, and a shared one there would keep its own holder from writing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from cookie_consent.base.files import open_file
from cookie_consent.base.process.waiting import wait_until

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

_POLL = 0.01
_TURN = 1.0
"""How long a request for a shared lock waits on Windows for another holder (seconds)."""
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
    wait = _TURN if shared and not is_posix() else wait
    if not wait_until(lambda: _is_locked(file, shared=shared), wait, _POLL):
        raise BlockingIOError(errno.EAGAIN, "It is locked by another process.")


def unlock(file: int) -> None:
    """Let go of the lock on an open file."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_UN)
    else:
        _lock_on_windows(file, _FREE)


def open_locked(path: Path, flags: int, mode: int = 0o600, *, wait: float = 0.0) -> int:
    """Open a file and lock it; return its descriptor. The lock ends when that is closed.

    Args:
        path: where the file is.
        flags: as `os.open` has them.
        mode: of a new file, less what the umask takes away.
        wait: for how long others may hold the lock (seconds).

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: the file cannot be opened or locked.
    """
    file = open_file(path, flags, mode)
    try:
        lock(file, wait=wait)
    except BaseException:
        os.close(file)
        raise
    return file


@contextmanager
def opened(path: Path, flags: int, mode: int = 0o600, *, wait: float = 0.0) -> Iterator[int]:
    """Open a file and hold its lock for as long as the block runs, as `open_locked` does."""
    file = open_locked(path, flags, mode, wait=wait)
    try:
        yield file
    finally:
        os.close(file)


def make_locked(path: Path) -> int:
    """Make a file that is locked before anybody finds it under its name; return its descriptor.

    Whoever finds it unlocked knows that its process has ended. On Windows it has its name at once: an open file cannot
    be renamed there.

    Raises:
        OSError: it cannot be made.
    """
    new = path.with_name(f".{path.name}.new") if is_posix() else path
    file = open_locked(new, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    with ExitStack() as unless_done:
        unless_done.callback(os.close, file)
        if new != path:
            new.rename(path)
        unless_done.pop_all()
    return file


def _is_locked(file: int, *, shared: bool) -> bool:
    """Lock a file if nobody else has; return whether it is locked now."""
    try:
        if fcntl is not None:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            _lock_on_windows(file, _AT_ONCE)
    except OSError as error:
        if is_posix() and not isinstance(error, BlockingIOError):
            raise
        return False
    return True


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
