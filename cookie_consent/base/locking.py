"""Locks on open files between processes, and temporary folders that are locked while in use.

A lock ends when its file is closed, also by the end of the process.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from types import ModuleType

from cookie_consent.base.files import at_place, open_file
from cookie_consent.base.threads import wait_until

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

_POLL = 0.01
_TURN = 1.0
"""How long a new lock waits for another holder on Windows (seconds)."""
_PLACE = 0x7FFF_FFFE
"""The byte to lock on Windows. Nobody else can read it, so it is as far behind the end as the C library allows."""
_EXCLUSIVE = 2
"""`msvcrt.LK_NBLCK`."""


def is_posix() -> bool:
    """Return whether open files can be renamed and removed."""
    return fcntl is not None


def lock(file: int, *, wait: float = 0.0) -> None:
    """Lock an open file exclusively.

    Args:
        file: its descriptor.
        wait: how long to wait for other holders (seconds).

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file cannot be locked.
    """
    if not wait_until(lambda: _is_locked_now(file), wait, _POLL):
        raise BlockingIOError(errno.EAGAIN, "It is locked by another process.")


def open_locked(path: Path, flags: int, mode: int = 0o600, *, wait: float = 0.0) -> int:
    """Open a file, lock it exclusively and return its descriptor. Closing the descriptor releases the lock.

    Args:
        path: the file.
        flags: the flags of `os.open`.
        mode: the mode of a new file, before the umask.
        wait: how long to wait for other holders (seconds).

    Raises:
        BlockingIOError: another process holds the lock.
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
def hold_lock(path: Path, flags: int, mode: int = 0o600, *, wait: float = 0.0) -> Iterator[int]:
    """Open and lock a file as `open_locked` does, for the duration of a with block."""
    file = open_locked(path, flags, mode, wait=wait)
    try:
        yield file
    finally:
        os.close(file)


def make_locked(path: Path) -> int:
    """Create a file that is locked before it appears under its name, and return its descriptor.

    So a process that finds it unlocked knows that its creator has ended. On Windows an open file cannot be renamed, so
    it appears before it is locked, and waits for a process that tries its lock just then.

    Raises:
        OSError: the file cannot be created.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    if not is_posix():
        return open_locked(path, flags, wait=_TURN)
    new = path.with_name(f".{path.name}.new")
    file = open_locked(new, flags)
    try:
        new.rename(path)
    except BaseException:
        os.close(file)
        raise
    return file


def _is_locked_now(file: int) -> bool:
    """Try to lock a file without waiting; return whether that worked."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            with at_place(file, _PLACE):
                import_module("msvcrt").locking(file, _EXCLUSIVE, 1)
    except (BlockingIOError, PermissionError):  # on POSIX, on Windows
        return False
    return True


_PREFIX = "cookie-consent-"
_LOCK = "in-use.lock"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that only this user can read, for the duration of a with block.

    Raises:
        OSError: it cannot be created.
    """
    _remove_left_ones()
    with TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        lock = make_locked(folder / _LOCK)
        try:
            yield folder
        finally:
            os.close(lock)  # Windows removes no open file


def _remove_left_ones() -> None:
    """Remove the folders of processes of this user that were killed: their locks are free."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # What another user put there may be a link to anything. On Windows `lstat` says 0.
            if folder.lstat().st_uid == getattr(os, "geteuid", int)():
                with hold_lock(folder / _LOCK, os.O_RDWR):
                    rmtree(folder, ignore_errors=True)
                rmtree(folder, ignore_errors=True)  # on Windows the lock is still there
