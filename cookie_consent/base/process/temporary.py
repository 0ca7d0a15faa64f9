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
    """Remove the folders of processes that were killed: their locks are free."""
    for lock in Path(gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), locking.opened(lock, os.O_RDWR):
            rmtree(lock.parent, ignore_errors=True)
