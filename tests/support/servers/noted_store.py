"""A store that notes what it is at, where a process that is killed leaves it."""

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
"""The least time between two beats (seconds)."""
_BATCH = 1000
"""A write of fewer lines has all that waited."""
_NUMBERS = struct.Struct("=7d")


@dataclass
class Notes:
    """What a process noted.

    Args:
        began: when it began its last write (seconds, of `time.monotonic`).
        done: when it began its last write that is done.
        lines: how many lines its last write has.
        turns: how many writes are done after which nothing waited.
        beats: how often the process has beaten: its own measure of time, which a busy machine stretches.
        began_beats: how many beats there were when the last write began.
        done_beats: the same, when the last write ended that is done.
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
        """Return what each process has noted."""
        return {path.name: cls(*_NUMBERS.unpack(path.read_bytes())) for path in folder.iterdir()}

    @property
    def is_writing(self) -> bool:
        """Whether it had begun a write that is not done."""
        return self.began != self.done

    @property
    def unwritten_for(self) -> float:
        """For how long nothing was written, by the process's own measure (seconds)."""
        return BEAT * ((self.began_beats if self.is_writing else self.beats) - self.done_beats)

    def between_turns(self, before: Self) -> float:
        """Return how long it was from one turn to the next on average, by the same measure.

        Args:
            before: what the process had noted before.
        """
        return BEAT * (self.beats - before.beats) / (self.turns - before.turns + 1)


class NotedStore:
    """Does what another store does, and notes its writes.

    Args:
        store: the other one.
        folder: where each process has its notes.
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
        """Return what the other one does."""
        return getattr(self._store, name)

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Note a write, do it, and note that it is done."""
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
