"""A list of erased visitors, as hashes, so that an erasure can be repeated after a backup was restored."""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.files import open_file, set_mode_and_owner, write_at
from cookie_consent.base.messages import warn_once

SUFFIX = ".erased"
_WAIT = 5.0
_MOST_REMEMBERED = 1_000


class ErasedVisitors:
    """A file with a line for each erasure: its day, and a hash of the visitor id.

    An id is random, so nobody finds it by its hash. Whoever has it in a backup learns only that it was erased. Lines
    are removed once every record from before that day has expired, in a backup too.

    Args:
        path: the file, created with the first erasure, for its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._added = set[str]()

    def add(self, visitor_id: str, now: float) -> None:
        """Add a visitor. If that fails, it is logged once, and the erasure goes on.

        Args:
            visitor_id: the visitor.
            now: seconds since 1970.
        """
        hash_ = hash_of(visitor_id)
        if hash_ in self._added:  # an erasure is repeated after some seconds, and after an hour
            return
        try:
            self._append(f"{_day(now)} {hash_}\n".encode())
        except OSError as error:
            text = f"Erasures cannot be listed in {self.path}, for restored backups: {error}"
            warn_once("erasures", str(self.path), text)
            return
        if len(self._added) >= _MOST_REMEMBERED:
            self._added.clear()
        self._added.add(hash_)

    def hashes(self) -> set[str]:
        """Return the hashes of all listed visitors.

        Raises:
            OSError: there is no list, or it cannot be read.
        """
        # A damaged line is nobody's, and no reason to erase nobody.
        return {line.partition(" ")[2] for line in self.path.read_text("ascii", "replace").splitlines()}

    def purge(self, before: str) -> None:
        """Remove erasures from days before this one: what was recorded earlier is over in any backup, too.

        Args:
            before: the day, like "2026-11-25".
        """
        try:
            with self.path.open("r+b") as file:
                locking.lock(file.fileno(), wait=_WAIT)
                lines = file.readlines()
                kept = {line: None for line in lines if line.decode("ascii", "replace") >= before}
                if len(kept) < len(lines):
                    # All lines are of one length, so that a kill leaves whole lines: some of them twice.
                    write_at(file.fileno(), b"".join(kept), 0)
                    os.ftruncate(file.fileno(), sum(map(len, kept)))
        except OSError:  # there is none, or another process purges it
            return

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        file = open_file(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            locking.lock(file, wait=_WAIT)
            if is_new:  # a command that root runs must leave it to the server
                set_mode_and_owner(file, 0o600, self.path.parent.stat())
            written = os.write(file, line)
            if written < len(line):  # the disk is full: a part of a line would spoil the next one
                os.ftruncate(file, os.fstat(file).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)


def hash_of(visitor_id: str) -> str:
    """Return the hash of a visitor id."""
    return hashlib.sha256(visitor_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _day(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).date().isoformat()
