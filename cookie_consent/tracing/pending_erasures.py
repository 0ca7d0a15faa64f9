"""Notes of pending erasures, in files that outlive the process."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from cookie_consent.base.files import open_file, sync_folder
from cookie_consent.base.messages import warn_once

MAX_NOTES = 10_000
_SUFFIX, _SETTLED = ".id", b"settled\n"


class PendingErasures:
    """Notes in a folder that processes share: one file for each visitor, named after the id.

    A file is empty at first. When only the last erasure is left it contains "settled", and its modification time says
    since when.

    An id is personal data, so only their owner can read the folder and the files. A file is removed once its visitor's
    records are erased.

    Args:
        folder: the folder of the notes, made with the first note; None for no notes.
        most: how many notes the folder may contain.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, most: int = MAX_NOTES) -> None:
        self._folder, self._most = None if folder is None else Path(folder), most
        self._local: dict[str, bool] = {}  # visitor id -> whether only the last erasure is left

    def add(self, visitor_id: str) -> None:
        """Add a visitor whom this process erases."""
        self._local[visitor_id] = False

    def note(self, visitor_id: str) -> None:
        """Write the note of an added visitor. A failure is logged once; then only this process knows the visitor."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(os.listdir(self._folder)) >= self._most:
                raise OSError(f"it holds {self._most:,} notes, which is the most that it may")
            os.close(open_file(self._note(visitor_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            sync_folder(self._folder)
        except (OSError, ValueError) as error:
            text = f"Pending erasures cannot be noted in {self._folder}: {error}"
            warn_once("pending erasures", str(self._folder), text)
        if visitor_id not in self._local:
            self.remove(visitor_id)  # it was erased in the meantime

    def settle(self, visitor_id: str) -> None:
        """Mark a visitor as settled: only the last erasure is left. An existing note is updated."""
        if visitor_id in self._local:
            self._local[visitor_id] = True
        if self._folder is not None:
            # If this fails, the next process erases once more than needed.
            with suppress(OSError, ValueError), self._note(visitor_id).open("r+b") as note:
                note.write(_SETTLED)

    def is_settled(self, visitor_id: str) -> bool:
        """Return whether only the last erasure is left, because the visitor was not added again."""
        return self._local.get(visitor_id, True)

    def is_kept(self, visitor_id: str) -> bool:
        """Return whether a visitor has a note, which the next process will find."""
        if self._folder is not None:
            with suppress(OSError, ValueError):  # the folder may belong to another user
                return self._note(visitor_id).exists()
        return False

    def is_done(self, visitor_id: str) -> bool:
        """Return whether some process has finished a visitor whom another process had noted."""
        return visitor_id not in self._local and not self.is_kept(visitor_id)

    def remove(self, visitor_id: str) -> None:
        """Forget a visitor and remove the note."""
        self.forget(visitor_id)
        if self._folder is not None:
            with suppress(OSError, ValueError):  # a note that stays only causes another erasure
                self._note(visitor_id).unlink()

    def forget(self, visitor_id: str) -> None:
        """Forget a visitor. If there is a note, the next process continues."""
        self._local.pop(visitor_id, None)

    def left(self) -> dict[str, float | None]:
        """Return the visitors noted by other processes, running or not.

        Returns:
            Visitor id -> seconds since it was settled; None if it is not settled.
        """
        noted: dict[str, float | None] = {}
        if self._folder is not None:
            with suppress(OSError, ValueError):  # most often the folder does not exist
                noted = {unquote(name.removesuffix(_SUFFIX)): self._age(name) for name in os.listdir(self._folder)}
        return {visitor_id: age for visitor_id, age in noted.items() if visitor_id not in self._local}

    def _age(self, name: str) -> float | None:
        assert self._folder is not None  # noqa: S101 (the caller has just listed it)
        try:
            note = (self._folder / name).stat()
        except OSError:  # it was erased in the meantime
            return None
        return time.time() - note.st_mtime if note.st_size else None

    def _note(self, visitor_id: str) -> Path:
        assert self._folder is not None  # noqa: S101 (callers check)
        return self._folder / f"{quote(visitor_id, safe='')}{_SUFFIX}"
