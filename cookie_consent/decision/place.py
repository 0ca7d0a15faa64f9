"""Where a request's own cookies live: on one host, or on all hosts of a domain that share an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cookie_consent.base.addresses import host_name
from cookie_consent.base.bounds import keep

SECURE_SCHEMES = ("https", "wss")
_MAX_KNOWN = 1000


class Place(NamedTuple):
    """Where our own cookies live.

    Args:
        secure: whether the connection is https.
        host: the host of the request if it shares answers with others; "" if cookies are host-only.
        domain: the Domain of the cookies; None if they are host-only.
    """

    secure: bool
    host: str = ""
    domain: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the cookies are shared with other hosts."""
        return self.domain is not None


HTTPS, HTTP = Place(secure=True), Place(secure=False)


class Places:
    """Finds the places of requests.

    Args:
        hosts: the hosts that share answers; none if each host has its own.
        domain: the domain in which they do.
    """

    def __init__(self, hosts: Sequence[str], domain: str) -> None:
        self._hosts, self._domain = frozenset(hosts), domain
        self._known: dict[tuple[bool, bytes], Place] = {}

    def of(self, scope: Mapping[str, Any]) -> Place:
        """Return the place of a request. A host that is not listed has cookies of its own."""
        secure = scope.get("scheme") in SECURE_SCHEMES
        if self._hosts:
            for name, value in scope["headers"]:
                if name == b"host":
                    key = (secure, bytes(value))
                    return self._known.get(key) or self._find(key)
        return HTTPS if secure else HTTP

    def _find(self, key: tuple[bool, bytes]) -> Place:
        secure, field = key
        host = host_name(field)
        place = Place(secure, host, self._domain) if host in self._hosts else Place(secure)
        return keep(self._known, key, place, most=_MAX_KNOWN, length=len(field))
