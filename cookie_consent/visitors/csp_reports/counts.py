"""Counts the reports of this process. They are plain numbers; nobody is traced."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cookie_consent.visitors.csp_reports.violation import OTHER

_MAX_KEYS = 500
INCIDENT, UNDECLARED, ENFORCED, TRIED = "incident", "undeclared", "enforce", "report"
"""What happened: a recipient was loaded or connected to although its purpose is not allowed; something else was that
no policy allows. And whether the browser stopped it."""

Key = tuple[str, str, str, str]
"""Directive, recipient or "", what happened, whether the browser stopped it."""


class ReportCounts:
    """Adds up reports. Threads may share it."""

    def __init__(self) -> None:
        self._totals: dict[Key, int] = {}
        self._changes = threading.Lock()

    def add(self, key: Key) -> None:
        """Count one report. Beyond five hundred keys, the rest is counted together."""
        with self._changes:
            if key not in self._totals and len(self._totals) >= _MAX_KEYS:
                key = (OTHER, "", UNDECLARED, key[3])
            self._totals[key] = self._totals.get(key, 0) + 1

    def totals(self) -> Mapping[Key, int]:
        """Return the counts so far."""
        with self._changes:
            return dict(self._totals)


counts = ReportCounts()
"""The reports of all middlewares of this process, for Prometheus."""
