"""Replaces a file atomically, even if the process or the machine stops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from cookie_consent.base.files import open_file, set_mode_and_owner, sync_folder


@contextmanager
def replacing(target: Path, like: BufferedIOBase) -> Iterator[Path]:
    """Yield the path of a new, empty file, which replaces the target after the block.

    Args:
        target: the file to create or replace. Its folder is created.
        like: an open file whose owner and mode the new file gets. So the server can still change files after a command
            that root ran.
    """
    original = os.fstat(like.fileno())
    _make_folder(target.parent, original)
    new = temporary_path(target)
    new.unlink(missing_ok=True)  # a killed process may have left it
    os.close(open_file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        yield new
        descriptor = open_file(new, os.O_RDWR)
        try:
            set_mode_and_owner(descriptor, original.st_mode & 0o777, original)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(new, target)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(target.parent)  # only then does the rename survive a power cut


def temporary_path(target: Path) -> Path:
    """Return the temporary path of a file. No reader takes it for one of the log's files."""
    return target.with_name(f".{target.name}.part")


def _make_folder(folder: Path, original: os.stat_result) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent, original)
    folder.mkdir(exist_ok=True)
    # Whoever may read the file may also list and enter its folder.
    readable = original.st_mode & 0o444
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        set_mode_and_owner(descriptor, 0o700 | readable | readable >> 2, original)
    finally:
        os.close(descriptor)
    sync_folder(folder.parent)
