"""The field Connection-Allowlist: to whom a page may connect at all, by whatever API.

The draft is https://wicg.github.io/connection-allowlists/. Chromium knows the field from version 152. It stops WebRTC,
preconnects and speculation, which no Content-Security-Policy stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from cookie_consent.base.caching import Headers
from cookie_consent.base.limits import evict_if_full
from cookie_consent.enforcement.csp.recipients import Sources

ENFORCED, REPORTED = b"connection-allowlist", b"connection-allowlist-report-only"
_MAX_KEPT = 512


class Connections:
    """Makes the field for each set of allowed recipients.

    Args:
        origins: the origins that pages may connect to and link to whatever was answered, beside their own.
        tries: whether browsers only report.
    """

    def __init__(self, origins: Sequence[str], *, tries: bool) -> None:
        self.name, self._origins = (REPORTED if tries else ENFORCED), origins
        # By the identity of the sources, which the values keep alive.
        self._kept: dict[int, tuple[Sources, tuple[bytes, bytes]]] = {}

    def field(self, sources: Sources) -> tuple[bytes, bytes]:
        """Return the field, given the origins of the recipients."""
        kept = self._kept.get(id(sources))
        if kept is None:
            evict_if_full(self._kept, _MAX_KEPT)
            kept = self._kept[id(sources)] = sources, (self.name, self._value(sources))
        return kept[1]

    def renewed(self, headers: Headers, sources: Sources) -> Headers:
        """Return header fields with the field for these sources in place of one that was made for others."""
        made = {field for _, field in self._kept.values()}
        return [self.field(sources) if field in made else field for field in headers]

    def _value(self, sources: Sources) -> bytes:
        allowed = dict.fromkeys(origin.decode() for origins in sources.values() for origin in origins.allowed)
        listed = " ".join(["response-origin", *(f'"{origin}"' for origin in dict.fromkeys([*self._origins, *allowed]))])
        # Without it, not even the site's own redirects work, such as the one after an answer. Where a redirect leads is
        # up to the Content-Security-Policy.
        return f"({listed});redirects=allow".encode()
