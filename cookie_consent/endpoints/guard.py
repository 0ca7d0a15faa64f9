"""Refuses POST requests from pages of other sites, and logs what a proxy may have made of those of the site itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from cookie_consent.base.addresses import split_address, split_origin
from cookie_consent.base.messages import shown, warn_once
from cookie_consent.http.forms import Problem

_FETCH_SITES = frozenset({"same-origin", "same-site", "cross-site", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
UNSAID = (
    "The POST has neither Sec-Fetch-Site nor Origin, one of which every browser sends, so it is refused with 403. In a "
    "test, use cookie_consent.testing: answer(client) or refuse(client)."
)
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


def warn_of_refusal(scope: Mapping[str, Any], fetch_sites: Sequence[str], origins: Sequence[str], host: str) -> None:
    """Warn once of each origin whose POST is refused although it may be the site's own.

    Warn also of requests that do not say where they come from, as those of test clients. The responses to forms are
    pages for visitors, which do not explain it.
    """
    if not fetch_sites and not origins:
        warn_once("refused POSTs", "", UNSAID)
    origin = origin_of(origins[0]) if origins else None
    if origin is None or not is_judged_by_origin(fetch_sites):
        return
    scheme = str(scope.get("scheme", "http"))
    advice = _advice(origin, scheme, host)
    if not advice:
        return
    name = shown(origins[0])
    root_path = shown(str(scope.get("root_path", "")))
    text = (
        f'A POST was refused with 403: it came from a page of "{name}", and the app believes it is at '
        f'"{shown(scheme)}://{shown(host)}" (root_path "{root_path}"). If the first is the site\'s own address, '
        f"{'; and '.join(advice)}. docs/behind-a-proxy.md has the settings."
    )
    warn_once("origins of refused POSTs", name, text)


def _advice(origin: tuple[str, str, int | None], scheme: str, host: str) -> list[str]:
    """Return what to change so that the origin becomes the app's own; empty if it is."""
    # Use the scheme of the origin, so that default ports compare equal.
    here = origin_of(f"{origin[0]}://{host}")
    advice = [] if here == origin else [_HOST]
    return advice if origin[0] == scheme else [*advice, _SCHEME.format(scheme=origin[0])]


def refuse_other_sites(request: Request) -> None:
    """Refuse a request that a page of another site sent.

    Raises:
        Problem: 403, it comes from another site.
    """
    scheme = request.scope.get("scheme", "http")
    host = request.headers.get("host", "")
    # All values: if there are several, each has to be right.
    fetch_sites = request.headers.getlist("sec-fetch-site")
    origins = request.headers.getlist("origin")
    if is_cross_site(fetch_sites, origins, scheme, host):
        warn_of_refusal(request.scope, fetch_sites, origins, host)
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
