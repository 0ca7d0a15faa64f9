"""Purges access records whose retention is over, once a day, in the serving process."""

from __future__ import annotations

import logging
from datetime import timedelta

from cookie_consent.base.clock import Daily
from cookie_consent.base.messages import log_failure
from cookie_consent.sinks import Sink

_log = logging.getLogger("cookie_consent")


class AccessRetention(Daily):
    """Purges access records whose retention is over. Several processes and hosts may do so at once.

    Args:
        sink: stores the records.
        keep: how long records are kept.
    """

    def __init__(self, sink: Sink, keep: timedelta) -> None:
        super().__init__(self.run)
        self._sink, self._keep = sink, keep

    def run(self, now: float) -> None:
        """Purge now and log the result.

        Args:
            now: seconds since 1970.
        """
        try:
            removed = self._sink.purge(now, self._keep)
        except Exception as error:  # noqa: BLE001 (a failing sink is tried again tomorrow)
            log_failure("The access records that are due could not be removed", error)
            return
        _log.info("Removed the access records that were due: %d.", removed)
