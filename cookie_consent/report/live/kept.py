"""Keeps the figures of a live report for as long as no file of the access log changes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.report import report
from cookie_consent.report.files import live_file
from cookie_consent.sinks.files.closed_files import Source, counts_path, sources

MOST_ANSWERS = 16
MOST_BYTES = 16_000_000
"""The limits of what is kept. The figures of a month take a third of a megabyte."""
SETTLED = 2.0
"""A file may change again within the resolution of its time of change, which is at most this long (seconds)."""

State = Mapping[str, tuple[int, int, int]]
"""Path of each file of a log -> size, time of change in nanoseconds, inode."""


class KeptReports:
    """Computes reports of an access log. A question that is asked again is answered from memory.

    The figures of a question depend on nothing but the records, so they are exact while each file has the size, the
    time of change and the inode that it had. Erasing and purging change these too. As soon as one differs, all answers
    are dropped. Those of databases are not kept: nothing tells whether these changed.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        clock: returns seconds since 1970.
        make: computes the figures, with the arguments of `cookie_consent.report.report`.
    """

    def __init__(
        self,
        access_log: str | os.PathLike[str],
        clock: Callable[[], float],
        make: Callable[..., Mapping[str, Any]] = report,
    ) -> None:
        self._path, self._clock, self._make = live_file(access_log), clock, make
        self._state: State | None = None
        self._answers: dict[Hashable, bytes] = {}

    def __call__(self, access_log: str | os.PathLike[str], **asked: Any) -> Mapping[str, Any]:
        """Return the figures of a question, as `report` does; for one thread at a time."""
        now, state = self._clock(), state_of(self._path)
        if state is None or state != self._state:
            self._answers.clear()
            self._state = state
        question = frozenset(asked.items())
        if answer := self._answers.pop(question, None):
            self._answers[question] = answer  # the newest: the oldest is dropped first
            kept = json.loads(answer)
            return {**kept, "range": {**kept["range"], "generated_at": rfc3339(now)}}
        figures = self._make(access_log, **asked, now=now, may_be_new=True)
        if state is not None and _is_settled(state, now) and state_of(self._path) == state:
            self._keep(question, json.dumps(figures).encode())
        return figures

    def _keep(self, question: Hashable, answer: bytes) -> None:
        self._answers[question] = answer
        while len(self._answers) > MOST_ANSWERS or sum(map(len, self._answers.values())) > MOST_BYTES:
            del self._answers[next(iter(self._answers))]


def state_of(path: Path | None, list_files: Callable[[Path], Iterable[Source]] = sources) -> State | None:
    """Return what changes with the files of a log and of its counts; None for a database, or if a file moves now."""
    if path is None:
        return None
    try:
        files = [source.path for log in (path, counts_path(path)) for source in list_files(log)]
        statuses = {str(file): file.stat() for file in files}
    except FileNotFoundError:
        return None
    return {file: (status.st_size, status.st_mtime_ns, status.st_ino) for file, status in statuses.items()}


def _is_settled(state: State, now: float) -> bool:
    return all(changed <= (now - SETTLED) * 1e9 for _, changed, _ in state.values())
