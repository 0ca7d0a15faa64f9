"""Addresses of clients and names of hosts, shortened."""

from __future__ import annotations

import ipaddress

OTHER_HOSTS = "(other)"
"""The name of all hosts that are not told apart."""
_LONGEST_HOST = 255
"""Octets that a host name has at most (RFC 1035, section 2.3.4)."""


def truncated(address: str) -> str | None:
    """Return an address with its last part zeroed: IPv4 to /24, IPv6 to /48; None where it cannot be read."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(read, ipaddress.IPv6Address):
        if read.ipv4_mapped is None:
            return str(ipaddress.IPv6Address(int(read) >> 80 << 80))
        read = read.ipv4_mapped
    return str(ipaddress.IPv4Address(int(read) >> 8 << 8))


def host_name(field: bytes) -> str:
    """Return the host of a Host field, without its port, in small letters; "" where it names none.

    One of more than 255 octets is `OTHER_HOSTS`.
    """
    host = field.decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.removesuffix(".") if len(name) <= _LONGEST_HOST else OTHER_HOSTS
