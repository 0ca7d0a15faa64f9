"""How many first answers are taken from one network: no cookie says whose they are, and their records stay."""

from __future__ import annotations

import ipaddress
import logging
from typing import Any

from cookie_consent.base.addresses import truncated
from cookie_consent.base.clock import HOUR
from cookie_consent.base.limits import RateLimit

FROM_A_NETWORK, FROM_ELSEWHERE = 600, 100_000
"""How many an hour are taken from one public network, and from all clients without a public address together."""
_log = logging.getLogger("cookie_consent")


class FirstAnswers:
    """Counts the answers that come without an earlier one, in each process.

    Networks are an IPv4 /24 and an IPv6 /48. An address that is not public, or not there, is mostly that of a proxy.
    All visitors of the site may share it, so its bound is wide.
    """

    def __init__(self) -> None:
        self._networks = RateLimit(FROM_A_NETWORK, HOUR)
        self._elsewhere = RateLimit(FROM_ELSEWHERE, HOUR)
        self._told: set[str] = set()

    def wait(self, client: Any, now: float) -> float:
        """Count an answer; return 0 if it is taken, else how many seconds to wait.

        Args:
            client: the client of the ASGI scope: its host and port, or None.
            now: seconds since 1970.
        """
        network = _public_network(str(client[0])) if client else None
        if network is not None:
            wait, most, whence = self._networks.wait(network, now), FROM_A_NETWORK, "one public network"
        else:
            wait, most, whence = self._elsewhere.wait("", now), FROM_ELSEWHERE, "addresses that are not public"
        if wait and whence not in self._told:
            self._told.add(whence)
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
    """Return the network of an address; None for one that is not public, or is none."""
    network = truncated(host)
    return network if network is not None and ipaddress.ip_address(network).is_global else None
