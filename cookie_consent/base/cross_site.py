"""Protection against cross-site requests and open redirects."""

from __future__ import annotations

from collections.abc import Sequence

from cookie_consent.base.paths import split_address, split_origin

_FETCH_SITES = frozenset({"same-origin", "same-site", "cross-site", "none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_PATH = 2048


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


def safe_next(path: str) -> str | None:
    """Return a path if every browser stays on this site when it follows it, else None."""
    if not path.startswith("/") or path.startswith("//") or len(path) > _LONGEST_PATH:
        return None
    # Browsers read a backslash as a slash, and remove tabs and line ends.
    if "\\" in path or not path.isprintable() or " " in path:
        return None
    return path


def origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Return the scheme, host and port of an Origin field, or None if it is no origin.

    The port is the scheme's default if the field has none.
    """
    address = split_address(text)
    origin = split_origin(address.scheme, address.authority)
    if origin is None or address.path or address.query or "#" in text or "@" in address.authority:
        return None
    return origin.scheme, origin.host, origin.port or _DEFAULT_PORTS.get(origin.scheme)
