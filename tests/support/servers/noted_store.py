"""A store that notes its writes in a file, which survives a killed process."""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Self

from cookie_consent.sinks.store import Store

BEAT = 0.05
"""The least time between two heartbeats (seconds)."""
_BATCH = 1000
"""A write of fewer lines contains all waiting lines."""
_NUMBERS = struct.Struct("=7d")


@dataclass
class Notes:
    """The notes of a process.

    Args:
        began: when its last write began (seconds, of `time.monotonic`).
        done: when its last finished write began.
        lines: the number of lines in its last write.
        turns: the number of finished writes after which no line waited.
        beats: the number of heartbeats: a measure of time that stretches on a busy machine.
        began_beats: the number of heartbeats when the last write began.
        done_beats: the number of heartbeats when the last finished write ended.
    """

    began: float = 0.0
    done: float = 0.0
    lines: float = 0.0
    turns: float = 0.0
    beats: float = 0.0
    began_beats: float = 0.0
    done_beats: float = 0.0

    @classmethod
    def of(cls, folder: Path) -> dict[str, Self]:
        """Return the notes of each process."""
        return {path.name: cls(*_NUMBERS.unpack(path.read_bytes())) for path in folder.iterdir()}

    @property
    def is_writing(self) -> bool:
        """Whether it had begun a write and not finished it."""
        return self.began != self.done

    @property
    def unwritten_for(self) -> float:
        """How long nothing was written, measured in heartbeats (seconds)."""
        return BEAT * ((self.began_beats if self.is_writing else self.beats) - self.done_beats)

    def between_turns(self, before: Self) -> float:
        """Return the average time from one turn to the next, measured in heartbeats (seconds).

        Args:
            before: earlier notes of the process.
        """
        return BEAT * (self.beats - before.beats) / (self.turns - before.turns + 1)


class NotedStore:
    """Wraps another store, and notes its writes.

    Args:
        store: the other store.
        folder: the folder for the notes of each process.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._notes = store, Notes()
        folder.mkdir(exist_ok=True)
        path = folder / str(os.getpid())
        path.write_bytes(bytes(_NUMBERS.size))
        with path.open("r+b") as file:
            self._kept = mmap.mmap(file.fileno(), _NUMBERS.size)
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the other store."""
        return getattr(self._store, name)

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Note a write, do it, and note its end."""
        self._note(began=time.monotonic(), lines=len(records) + len(counts), began_beats=self._notes.beats)
        self._store.write(records, counts)
        turns = self._notes.turns + (self._notes.lines < _BATCH)
        self._note(done=self._notes.began, done_beats=self._notes.beats, turns=turns)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT)
            self._note(beats=self._notes.beats + 1)

    def _note(self, **values: float) -> None:
        with self._lock:
            vars(self._notes).update(values)
            _NUMBERS.pack_into(self._kept, 0, *astuple(self._notes))
