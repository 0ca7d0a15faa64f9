"""Says in the log what to do where a proxy in front makes the site's own pages look like those of another site."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from cookie_consent.base.cross_site import is_judged_by_origin, origin_of
from cookie_consent.base.limits import LONGEST_SHOWN

MOST_ORIGINS = 10
"""How many origins are told of."""
_log = logging.getLogger("cookie_consent")
_SCHEME = (
    "the server does not know that the proxy speaks {scheme}. Let the proxy send X-Forwarded-Proto (nginx: "
    "proxy_set_header X-Forwarded-Proto $scheme;) and the server trust it: uvicorn --proxy-headers "
    "--forwarded-allow-ips=PROXY, gunicorn --forwarded-allow-ips=PROXY, hypercorn's ProxyFixMiddleware, granian's "
    "wrap_asgi_with_proxy_headers"
)
_HOST = (
    "the proxy rewrites the Host field. Let it pass what the browser sent (nginx: proxy_set_header Host $http_host;), "
    "or let the server read X-Forwarded-Host (hypercorn's ProxyFixMiddleware)"
)


class OriginAdvice:
    """Tells once of each origin whose POST was refused although it may be the site's own; of ten at most."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._changes = threading.Lock()

    def tell(self, scope: Mapping[str, Any], fetch_sites: Sequence[str], origins: Sequence[str], host: str) -> None:
        """Tell what to do, if the Origin alone made it another site's.

        Args:
            scope: of the request.
            fetch_sites: all values of Sec-Fetch-Site.
            origins: all values of Origin.
            host: its Host field.
        """
        came = origin_of(origins[0]) if origins else None
        if came is None or not is_judged_by_origin(fetch_sites):
            return
        scheme, shown = str(scope.get("scheme", "http")), _shown(origins[0])
        advice = _advice(came, scheme, host)
        with self._changes:
            if not advice or shown in self._told or len(self._told) >= MOST_ORIGINS:
                return
            self._told.add(shown)
        _log.warning(
            'A POST was refused with 403: it came from a page of "%s", and the app believes it is at "%s://%s" '
            '(root_path "%s"). If the first is the site\'s own address, %s. docs/behind-a-proxy.md has the settings.',
            shown,
            _shown(scheme),
            _shown(host),
            _shown(str(scope.get("root_path", ""))),
            "; and ".join(advice),
        )


def _advice(came: tuple[str, str, int | None], scheme: str, host: str) -> list[str]:
    """Return what to do so that a request from an origin is one of the app's own; nothing where it is."""
    # With the scheme of the page, so that ports which only follow from the schemes do not differ.
    here = origin_of(f"{came[0]}://{host}")
    advice = [] if here == came else [_HOST]
    return advice if came[0] == scheme else [*advice, _SCHEME.format(scheme=came[0])]


def _shown(text: str) -> str:
    """Return the beginning of what a client sent as a log may have it: printable, in ASCII, without quotes."""
    return ascii(text[:LONGEST_SHOWN])[1:-1].replace('"', "'")[:LONGEST_SHOWN]
