"""Logs advice when visitors answer on a host that does not share its answers, although others do."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cookie_consent.base.first_seen import FirstSeen, shown

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
        self._seen = FirstSeen(MAX_HOSTS)

    def log_advice(self, host: str) -> None:
        """Log advice for a host that is not listed, as its Host field names it."""
        name = shown(host)
        if not self._hosts or not self._seen.is_new(name):
            return
        _log.warning(
            'An answer was given on "%s", and counts there alone: [site] hosts lists %s. If "%s" is the site itself, '
            "list it, or let the proxy pass the Host field that the browser sent. docs/subdomains.md says more.",
            name,
            self._hosts,
            name,
        )
