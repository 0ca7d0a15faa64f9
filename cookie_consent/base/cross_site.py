"""Whether a request comes from the site's own pages, and whether an address leads back to them."""

from __future__ import annotations

from collections.abc import Sequence

from cookie_consent.base.paths import split_address, split_origin

_FETCH_SITES = frozenset({"same-origin", "same-site", "cross-site", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_PATH = 2048


def is_cross_site(fetch_sites: Sequence[str], origins: Sequence[str], scheme: str, host: str) -> bool:
    """Return whether a request that changes something must be refused.

    `Sec-Fetch-Site` decides where a browser sends it (Fetch Metadata, section 2.3: values that do not exist are as
    good as none); else the Origin has to be the site's own; a request with neither is refused.

    Args:
        fetch_sites: all values of Sec-Fetch-Site.
        origins: all values of Origin.
        scheme: the scheme of the request.
        host: its Host field.
    """
    if not is_judged_by_origin(fetch_sites):
        return any(site in _FETCH_SITES and site not in ("same-origin", "none") for site in fetch_sites)
    own = origin_of(f"{scheme}://{host}")
    return not origins or own is None or any(origin_of(origin) != own for origin in origins)


def is_judged_by_origin(fetch_sites: Sequence[str]) -> bool:
    """Return whether no value of Sec-Fetch-Site says where a request comes from, so that its Origin has to."""
    return _FETCH_SITES.isdisjoint(fetch_sites)


def safe_next(path: str) -> str | None:
    """Return a path if it leads to this site whichever way a browser reads it, else None."""
    if not path.startswith("/") or path.startswith("//") or len(path) > _LONGEST_PATH:
        return None
    if "\\" in path or not path.isprintable() or " " in path:
        return None
    return path


def origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, the host and the port that an Origin field says; None where it says none."""
    address = split_address(text)
    origin = split_origin(address.scheme, address.authority)
    if origin is None or address.path or address.query or "#" in text or "@" in address.authority:
        return None
    return origin.scheme, origin.host, origin.port or _DEFAULT_PORTS.get(origin.scheme)
