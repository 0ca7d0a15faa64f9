"""Which addresses a source in a Content-Security-Policy covers (CSP Level 3, section 6.7.2)."""

from __future__ import annotations

from cookie_consent.base.paths import split_address, split_origin

_UPGRADES = {"http": {"http", "https", "ws", "wss"}, "https": {"https", "wss"}, "ws": {"ws", "wss"}, "wss": {"wss"}}
"""The scheme of a source -> the schemes that it covers (section 6.7.2.8)."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ANY = frozenset(_PORTS)


def covers(source: str, origin: str) -> bool:
    """Return whether a source covers an origin, whose host may begin with "*.". Keywords such as 'self' cover nothing.

    A web socket counts as a connection to the same host by http, as some browsers see it.

    Args:
        source: a source expression, such as "https:", "*.example.com" or "https://maps.example.com:8443/path".
        origin: scheme, host and port, such as "https://maps.example.com".
    """
    of, wanted = split_address(source.lower()), _parts(origin)
    if wanted is None or source.startswith("'"):
        return False
    scheme, host, port = wanted
    if source == "*":
        return scheme in _ANY
    if source.lower().removesuffix(":") in _UPGRADES:
        return scheme in _UPGRADES[source.lower().removesuffix(":")]
    # Without a scheme, the text before a port looks like one.
    bare = "://" not in source
    authority = source.lower().partition("/")[0] if bare else of.authority
    if not bare and scheme not in _UPGRADES.get(of.scheme, ()):
        return False
    name, _, number = authority.partition(":")
    return _covers_host(name, host) and _covers_port(number, port, scheme)


def _parts(origin: str) -> tuple[str, str, int] | None:
    address = split_address(origin.lower())
    parts = split_origin(address.scheme, address.authority)
    if parts is None or parts.scheme not in _ANY:
        return None
    return parts.scheme, parts.host, parts.port or _PORTS[parts.scheme]


def _covers_host(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _covers_port(number: str, port: int, scheme: str) -> bool:
    if number == "*":
        return True
    # A source for port 80 also covers 443, for pages that were upgraded (section 6.7.2.11).
    wanted = int(number) if number.isdecimal() else _PORTS[scheme]
    return port == wanted or (wanted == _PORTS["http"] and port == _PORTS["https"])
