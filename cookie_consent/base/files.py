"""What POSIX has for files, and as much of it as Windows has."""

from __future__ import annotations

import os
from contextlib import suppress

AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""Do not wait: anybody may have put a pipe there, which has no other end."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


def open_file(path: str | os.PathLike[str], flags: int, mode: int = 0o600) -> int:
    """Open a file and return its descriptor, which no other program inherits. Bytes stay as they are.

    Args:
        path: where it is.
        flags: as `os.open` has them.
        mode: of a new file, less what the umask takes away.
    """
    return os.open(path, flags | _BINARY, mode)


def read_at(file: int, size: int, place: int) -> bytes:
    """Return some bytes of an open file, and leave its position as it was."""
    if hasattr(os, "pread"):
        return os.pread(file, size, place)
    before = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, place, os.SEEK_SET)
    found = os.read(file, size)
    os.lseek(file, before, os.SEEK_SET)
    return found


def write_at(file: int, data: bytes, place: int) -> int:
    """Write over some bytes of an open file, and leave its position as it was; return how many were written."""
    if hasattr(os, "pwrite"):
        return os.pwrite(file, data, place)
    before = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, place, os.SEEK_SET)
    try:
        return os.write(file, data)
    finally:
        os.lseek(file, before, os.SEEK_SET)


def set_mode_and_owner(file: int, mode: int, like: os.stat_result | None = None) -> None:
    """Set the mode of an open file, and its owner where this process may; on Windows it is as its folder says.

    Args:
        file: its descriptor.
        mode: who may do what.
        like: the state of a file with the same owner; None leaves the owner.
    """
    if not hasattr(os, "fchown"):
        return
    os.fchmod(file, mode)
    if like is not None:
        with suppress(PermissionError):  # only root may give files away
            os.fchown(file, like.st_uid, like.st_gid)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Bring the names in a folder to the disk; Windows opens none, and does so by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
