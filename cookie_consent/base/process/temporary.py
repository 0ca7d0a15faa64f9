"""Temporary folders for what may have records of visitors. What a killed process leaves, the next one removes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir

from cookie_consent.base.process import locking

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
        lock = locking.make_locked(folder / _LOCK)
        try:
            yield folder
        finally:
            os.close(lock)  # Windows removes no open file


def _remove_left_ones() -> None:
    """Remove the folders of processes of this user that were killed: their locks are free."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            # What another user put there may be a link to anything.
            if folder.lstat().st_uid == _user():
                with locking.opened(folder / _LOCK, os.O_RDWR):
                    rmtree(folder, ignore_errors=True)
                rmtree(folder, ignore_errors=True)  # on Windows the lock is still there


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0  # as `lstat` says on Windows
