"""Limits first answers by network. No cookie identifies their senders, and their records stay in the ledger."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

from cookie_consent.base.addresses import truncated
from cookie_consent.base.clock import HOUR
from cookie_consent.base.limits import RateLimit

FROM_A_NETWORK, FROM_ELSEWHERE = 600, 100_000
"""Limits an hour: for one public network, and for all clients without a public address together."""
_log = logging.getLogger("cookie_consent")


class FirstAnswers:
    """Counts answers without an earlier answer, in each process.

    A network is an IPv4 /24 or an IPv6 /48. An address that is missing or not public is usually that of a proxy. All
    visitors of the site may share it, so its limit is high.
    """

    def __init__(self) -> None:
        self._networks = RateLimit(FROM_A_NETWORK, HOUR)
        self._elsewhere = RateLimit(FROM_ELSEWHERE, HOUR)
        self._logged: set[str] = set()

    def wait(self, client: Any, now: float) -> float:
        """Count an answer. Return 0 if it is allowed, else the seconds to wait.

        Args:
            client: the `client` of the ASGI scope: host and port, or None.
            now: seconds since 1970.
        """
        network = _public_network(str(client[0])) if client else None
        if network is not None:
            wait, most, whence = self._networks.wait(network, now), FROM_A_NETWORK, "one public network"
        else:
            wait, most, whence = self._elsewhere.wait("", now), FROM_ELSEWHERE, "addresses that are not public"
        if wait and whence not in self._logged:
            self._logged.add(whence)
            _log.warning(
                "Over %d first answers came within an hour from %s; for %d seconds consent is answered with 429, and "
                "refusals are not recorded. If a proxy stands in front, let the server take the client's address from "
                "its X-Forwarded-For: uvicorn --proxy-headers --forwarded-allow-ips=PROXY, hypercorn's "
                "ProxyFixMiddleware. docs/behind-a-proxy.md has the settings.",
                most,
                whence,
                wait,
            )
        return wait


def _public_network(host: str) -> str | None:
    """Return the network of a public address; None for any other text."""
    network = truncated(host)
    return network if network is not None and ipaddress.ip_address(network).is_global else None
