"""Logs advice when visitors answer on a host that does not share its answers, although others do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from cookie_consent.base.limits import LONGEST_SHOWN

MAX_HOSTS = 10
"""The largest number of hosts to log."""
_log = logging.getLogger("cookie_consent")


class HostAdvice:
    """Logs each host once that is not listed; at most ten.

    Args:
        hosts: the hosts that share answers; with none, nothing is logged.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = ", ".join(hosts)
        self._logged: set[str] = set()
        self._changes = threading.Lock()

    def log_advice(self, host: str) -> None:
        """Log advice for a host that is not listed, as its Host field names it."""
        shown = ascii(host[:LONGEST_SHOWN])[1:-1].replace('"', "'")[:LONGEST_SHOWN]
        with self._changes:
            if not self._hosts or shown in self._logged or len(self._logged) >= MAX_HOSTS:
                return
            self._logged.add(shown)
        _log.warning(
            'An answer was given on "%s", and counts there alone: [site] hosts lists %s. If "%s" is the site itself, '
            "list it, or let the proxy pass the Host field that the browser sent. docs/subdomains.md says more.",
            shown,
            self._hosts,
            shown,
        )
