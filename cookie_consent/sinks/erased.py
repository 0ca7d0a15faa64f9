"""The list of who was erased or has withdrawn: no writer stores what they asked for before that.

With it, a restored backup can be erased again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.clock import rfc3339
from cookie_consent.base.files import set_mode_and_owner, write_at
from cookie_consent.base.messages import warn_once
from cookie_consent.sinks.lines import append

SUFFIX = ".erased"
_WAIT = 5.0
_MOST_BYTES = 4 * 1024 * 1024
"""How much of the list a writer knows: its end, with some 75,000 visitors."""
_WITHDRAWN = " withdrawn"
_SECONDS = len("2026-11-25T12:00:00")
_OF_RECORD = re.compile(rb'"time":\s*"([^"]*)".*"visitor\.id":\s*"([^"]*)"')


class ErasedVisitors:
    """A file with a line for each erasure: until when the visitor is erased, and a hash of the visitor id.

    A visitor who only withdrew has a line with another word. Their earlier records stay, also in a restored backup.

    An id is random, so nobody finds it by its hash. Whoever has it in a backup learns only that it was erased. Lines
    are removed once every record from before that day has expired, in a backup too.

    Args:
        path: the file, created with the first erasure, for its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int] | None = None
        self._until: dict[str, str] = {}

    def add(self, visitor_id: str, now: float, *, is_erased: bool = True) -> None:
        """List a visitor until now. If that fails, it is logged once, and the erasure goes on.

        Args:
            visitor_id: the visitor.
            now: seconds since 1970.
            is_erased: whether the visitor is erased, and did not only withdraw.
        """
        until, hash_ = rfc3339(now), hash_of(visitor_id)
        if not is_erased and self._known().get(hash_, "") >= until:
            return
        try:
            self._append(f"{until} {hash_}{'' if is_erased else _WITHDRAWN}\n".encode())
        except OSError as error:
            text = f"Erasures cannot be listed in {self.path}, for restored backups: {error}"
            warn_once("erasures", str(self.path), text)

    def without(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Return records without those that erased visitors asked for before."""
        until = self._known()
        return [line for line in records if not _is_erased(line, until)] if until else records

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
                # Of several erasures of a visitor, the last one.
                last = {line.partition(b" ")[2]: line for line in lines if line.decode("ascii", "replace") >= before}
                if len(last) < len(lines):
                    # A kill leaves all lines that are kept: some of them twice.
                    write_at(file.fileno(), b"".join(last.values()), 0)
                    os.ftruncate(file.fileno(), sum(map(len, last.values())))
        except OSError:  # there is none, or another process purges it
            return

    def _known(self) -> dict[str, str]:
        """Return until when visitors are erased, by the hash of their id, from the list as it is now."""
        with suppress(OSError), self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            state = status.st_size, status.st_mtime_ns
            if state != self._state:
                file.seek(max(0, status.st_size - _MOST_BYTES))
                lines = file.read().decode("ascii", "replace").splitlines()
                listed = (line.removesuffix(_WITHDRAWN).partition(" ") for line in lines)
                self._until = {hash_: until for until, _, hash_ in listed}
                self._state = state
        return self._until

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with locking.hold_lock(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, wait=_WAIT) as file:
            if is_new:  # a command that root runs must leave it to the server
                set_mode_and_owner(file, 0o600, self.path.parent.stat())
            append(file, [line])


def hash_of(visitor_id: str) -> str:
    """Return the hash of a visitor id."""
    return hashlib.sha256(visitor_id.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _is_erased(line: bytes, until: dict[str, str]) -> bool:
    """Return whether the visitor of a record was erased after the request came, or in the same second."""
    found = _OF_RECORD.search(line)
    if found is None:
        return False
    time, visitor_id = (text.decode("utf-8", "replace") for text in found.groups())
    return time[:_SECONDS] <= until.get(hash_of(visitor_id), "")[:_SECONDS]
