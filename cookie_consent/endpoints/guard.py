"""Refuses POST requests from pages of other sites, and logs what a proxy may have made of those of the site itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from cookie_consent.base.addresses import split_address, split_origin
from cookie_consent.base.messages import FirstSeen, shown
from cookie_consent.http.forms import Problem

_FETCH_SITES = frozenset({"same-origin", "same-site", "cross-site", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_ORIGINS = 10
"""The largest number of origins to log."""
MAX_UNSAID = 10
"""How many requests are logged that do not say where they come from."""
UNSAID = (
    "The POST has neither Sec-Fetch-Site nor Origin, one of which every browser sends, so it is refused with 403. In a "
    "test, use cookie_consent.testing: answer(client) or refuse(client)."
)
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
    """Logs each origin once whose POST was refused although it may be the site's own; at most ten origins.

    It also logs the first requests that do not say where they come from, as those of test clients. The responses to
    forms are pages for visitors, which do not explain it.
    """

    def __init__(self) -> None:
        self._seen, self._unsaid = FirstSeen(MAX_ORIGINS), 0

    def log_advice(
        self, scope: Mapping[str, Any], fetch_sites: Sequence[str], origins: Sequence[str], host: str
    ) -> None:
        """Log advice, if only the Origin field made the request cross-site, or nothing says where it comes from.

        Args:
            scope: the ASGI scope.
            fetch_sites: all values of Sec-Fetch-Site.
            origins: all values of Origin.
            host: the Host field.
        """
        if not fetch_sites and not origins and self._unsaid < MAX_UNSAID:
            self._unsaid += 1
            _log.warning(UNSAID)
        origin = origin_of(origins[0]) if origins else None
        if origin is None or not is_judged_by_origin(fetch_sites):
            return
        scheme, name = str(scope.get("scheme", "http")), shown(origins[0])
        advice = _advice(origin, scheme, host)
        if not advice or not self._seen.is_new(name):
            return
        _log.warning(
            'A POST was refused with 403: it came from a page of "%s", and the app believes it is at "%s://%s" '
            '(root_path "%s"). If the first is the site\'s own address, %s. docs/behind-a-proxy.md has the settings.',
            name,
            shown(scheme),
            shown(host),
            shown(str(scope.get("root_path", ""))),
            "; and ".join(advice),
        )


def _advice(origin: tuple[str, str, int | None], scheme: str, host: str) -> list[str]:
    """Return what to change so that the origin becomes the app's own; empty if it is."""
    # Use the scheme of the origin, so that default ports compare equal.
    here = origin_of(f"{origin[0]}://{host}")
    advice = [] if here == origin else [_HOST]
    return advice if origin[0] == scheme else [*advice, _SCHEME.format(scheme=origin[0])]


class Guard:
    """Protects endpoints that change something."""

    def __init__(self) -> None:
        self._advice = OriginAdvice()

    def check(self, request: Request, path: str) -> None:
        """Refuse a request that a page of another site sent.

        Args:
            request: the request.
            path: its path inside the app.

        Raises:
            Problem: 403, it comes from another site.
        """
        fields = request.headers
        scheme, host = request.scope.get("scheme", "http"), fields.get("host", "")
        # All values: if there are several, each has to be right.
        fetch_sites, origins = fields.getlist("sec-fetch-site"), fields.getlist("origin")
        if is_cross_site(fetch_sites, origins, scheme, host):
            self._advice.log_advice(request.scope, fetch_sites, origins, host)
            why = "" if fetch_sites or origins else f" {UNSAID}"
            raise Problem(403, f"Only the site's own pages may do this.{why}", "error_cross_site")


def is_cross_site(fetch_sites: Sequence[str], origins: Sequence[str], scheme: str, host: str) -> bool:
    """Return whether a request that changes something must be refused.

    If the browser sends Sec-Fetch-Site, that decides; unknown values are ignored (Fetch Metadata, section 2.3).
    Otherwise Origin must be the site's. A request with neither is refused.

    Args:
        fetch_sites: all values of Sec-Fetch-Site.
        origins: all values of Origin.
        scheme: the scheme of the request.
        host: its Host field.
    """
    if not is_judged_by_origin(fetch_sites):
        return any(site in _FETCH_SITES and site not in ("same-origin", "none") for site in fetch_sites)
    site = origin_of(f"{scheme}://{host}")
    return not origins or site is None or any(origin_of(origin) != site for origin in origins)


def is_judged_by_origin(fetch_sites: Sequence[str]) -> bool:
    """Return whether Origin decides, because a request has no known value of Sec-Fetch-Site."""
    return _FETCH_SITES.isdisjoint(fetch_sites)


def origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an Origin field, or None if it is no origin.

    The port is the scheme's default if the field has none.
    """
    address = split_address(text)
    origin = split_origin(address.scheme, address.authority)
    if origin is None or address.path or address.query or "#" in text or "@" in address.authority:
        return None
    return origin.scheme, origin.host, origin.port or _DEFAULT_PORTS.get(origin.scheme)
