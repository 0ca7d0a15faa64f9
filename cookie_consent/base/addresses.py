"""Truncates client addresses, and reads host names."""

from __future__ import annotations

import ipaddress

OTHER_HOSTS = "(other)"
"""The name for hosts that are not counted separately."""
_LONGEST_HOST = 255
"""The largest number of octets in a host name (RFC 1035, section 2.3.4)."""


def truncated(address: str) -> str | None:
    """Return an address truncated to its network, IPv4 to /24 and IPv6 to /48; None if it cannot be read."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Address(int(parsed) >> 80 << 80))
        parsed = parsed.ipv4_mapped
    return str(ipaddress.IPv4Address(int(parsed) >> 8 << 8))


def host_name(field: bytes) -> str:
    """Return the host in a Host field, in lowercase and without its port; "" if there is none.

    A host of more than 255 octets is returned as `OTHER_HOSTS`.
    """
    host = field.decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.removesuffix(".") if len(name) <= _LONGEST_HOST else OTHER_HOSTS
