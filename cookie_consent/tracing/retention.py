"""Removes access records that are due, once a day, in the process that serves."""

from __future__ import annotations

import logging
from datetime import timedelta

from cookie_consent.base.daily import Daily
from cookie_consent.sinks import Sink

_log = logging.getLogger("cookie_consent")


class AccessRetention(Daily):
    """Removes the access records that are due. Several processes and hosts may do it at once.

    Args:
        sink: keeps the records.
        keep: for how long.
    """

    def __init__(self, sink: Sink, keep: timedelta) -> None:
        super().__init__(self.run)
        self._sink, self._keep = sink, keep

    def run(self, now: float) -> None:
        """Remove what is due; leaves a line in the log."""
        try:
            removed = self._sink.purge(now, self._keep)
        except Exception:  # noqa: BLE001 (whatever a sink raises, it is tried again tomorrow)
            _log.exception("The access records that are due could not be removed.")
            return
        _log.info("Removed the access records that were due: %d.", removed)
