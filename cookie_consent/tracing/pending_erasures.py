"""Notes of the visitors whose records are still to be erased, which outlive their process."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from cookie_consent.base.files import open_file, sync_folder

MOST_NOTES = 10_000
_SUFFIX, _SETTLED = ".id", b"settled\n"
_log = logging.getLogger("cookie_consent")


class Undone:
    """Notes in a folder that processes share: a file for each visitor, named by the id.

    It is empty until only the last erasure is left, and then says "settled"; it was written when that was so.

    An id is personal data: the folder and the files are for their owner alone, and a file goes when its visitor's
    records have.

    Args:
        folder: where notes are; it is made with the first one. None keeps none.
        most: how many notes the folder may hold.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, most: int = MOST_NOTES) -> None:
        self._folder, self._most = None if folder is None else Path(folder), most
        self._own: dict[str, bool] = {}  # visitor id -> whether only the last erasure is left
        self._is_said = False

    def add(self, visitor_id: str) -> None:
        """Know of a visitor, who is for this process to do."""
        self._own[visitor_id] = False

    def note(self, visitor_id: str) -> None:
        """Note a visitor who was added. Where that cannot be, one warning says so, and this process alone knows it."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(os.listdir(self._folder)) >= self._most:
                raise OSError(f"it holds {self._most:,} notes, which is the most that it may")
            os.close(open_file(self._note(visitor_id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            sync_folder(self._folder)
        except (OSError, ValueError) as error:
            if not self._is_said:
                self._is_said = True
                _log.warning("Whose records are still to be erased cannot be noted in %s: %s", self._folder, error)
        if visitor_id not in self._own:
            self.remove(visitor_id)  # done meanwhile

    def settle(self, visitor_id: str) -> None:
        """Know, and note where there is a note, that only the last erasure is left."""
        if visitor_id in self._own:
            self._own[visitor_id] = True
        if self._folder is not None:
            # Where that fails the next process erases once more than it has to.
            with suppress(OSError, ValueError), self._note(visitor_id).open("r+b") as note:
                note.write(_SETTLED)

    def is_settled(self, visitor_id: str) -> bool:
        """Return whether only the last erasure is left: nobody has added the visitor once more since."""
        return self._own.get(visitor_id, True)

    def is_kept(self, visitor_id: str) -> bool:
        """Return whether there is a note of a visitor, for the next process."""
        if self._folder is not None:
            with suppress(OSError, ValueError):  # the folder may be another user's
                return self._note(visitor_id).exists()
        return False

    def is_done(self, visitor_id: str) -> bool:
        """Return whether a visitor whom another process had noted is done, by that or any other one."""
        return visitor_id not in self._own and not self.is_kept(visitor_id)

    def remove(self, visitor_id: str) -> None:
        """Forget a visitor, and have no note."""
        self.forget(visitor_id)
        if self._folder is not None:
            with suppress(OSError, ValueError):  # nothing is lost where a note stays
                self._note(visitor_id).unlink()

    def forget(self, visitor_id: str) -> None:
        """Leave a visitor to the next process, where there is a note."""
        self._own.pop(visitor_id, None)

    def left(self) -> dict[str, float | None]:
        """Return the visitors whom other processes noted: those that ended, and those that live.

        With each goes for how many seconds only the last erasure has been left; None where more is.
        """
        noted: dict[str, float | None] = {}
        if self._folder is not None:
            with suppress(OSError, ValueError):  # there is no such folder, most often
                noted = {unquote(name.removesuffix(_SUFFIX)): self._age(name) for name in os.listdir(self._folder)}
        return {visitor_id: age for visitor_id, age in noted.items() if visitor_id not in self._own}

    def _age(self, name: str) -> float | None:
        assert self._folder is not None  # noqa: S101 (it was just listed)
        try:
            note = (self._folder / name).stat()
        except OSError:  # done meanwhile
            return None
        return time.time() - note.st_mtime if note.st_size else None

    def _note(self, visitor_id: str) -> Path:
        assert self._folder is not None  # noqa: S101 (else there are no notes)
        return self._folder / f"{quote(visitor_id, safe='')}{_SUFFIX}"
