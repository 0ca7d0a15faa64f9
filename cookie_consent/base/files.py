"""File operations of POSIX, with the nearest equivalent on Windows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

NONBLOCKING = getattr(os, "O_NONBLOCK", 0)
"""A flag for opening without waiting: somebody may have put a pipe there, which would block."""
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""A flag for opening a file, but not through a symbolic link."""
_BINARY = getattr(os, "O_BINARY", 0)


def open_file(path: str | os.PathLike[str], flags: int, mode: int = 0o600) -> int:
    """Open a file in binary mode and return its descriptor, which subprocesses do not inherit.

    Args:
        path: the file.
        flags: the flags of `os.open`.
        mode: the mode of a new file, before the umask.
    """
    return os.open(path, flags | _BINARY, mode)


def check_writable(option: str, path: Path) -> None:
    """Check that this process can write a file. One that does not exist yet is not made.

    Args:
        option: the option that names the file.
        path: the file.

    Raises:
        ValueError: it cannot.
    """
    try:
        if path.is_file() or path.is_dir():
            path.open("ab").close()
        elif not path.exists():  # a pipe may have no reader yet
            folder = next(parent for parent in path.absolute().parents if parent.exists())
            TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{option}: {path} cannot be written: {error.strerror}. "
            "Name another place, or let the user of the server write there."
        ) from None


@contextmanager
def at_place(file: int, place: int) -> Iterator[None]:
    """Move the position of an open file, for the duration of a with block."""
    before = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, place, os.SEEK_SET)
    try:
        yield
    finally:
        os.lseek(file, before, os.SEEK_SET)


def read_at(file: int, size: int, place: int) -> bytes:
    """Read bytes at a place of an open file, without moving its position."""
    if hasattr(os, "pread"):
        return os.pread(file, size, place)
    with at_place(file, place):
        return os.read(file, size)


def write_at(file: int, data: bytes, place: int) -> int:
    """Write bytes at a place of an open file, without moving its position; return how many were written."""
    if hasattr(os, "pwrite"):
        return os.pwrite(file, data, place)
    with at_place(file, place):
        return os.write(file, data)


def set_mode_and_owner(file: int, mode: int, like: os.stat_result) -> None:
    """Set the mode of an open file, and its owner if this process may. On Windows this does nothing.

    Args:
        file: its descriptor.
        mode: the mode.
        like: the status of a file whose owner to copy.
    """
    if not hasattr(os, "fchown"):
        return
    os.fchmod(file, mode)
    with suppress(PermissionError):  # only root may change the owner
        os.fchown(file, like.st_uid, like.st_gid)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries to the disk. On Windows this does nothing, because folders cannot be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
