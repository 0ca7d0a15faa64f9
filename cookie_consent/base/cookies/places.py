"""Domains and paths of cookies (RFC 6265bis, sections 5.1.3 and 5.1.4)."""

from __future__ import annotations

import re

MAX_DOMAINS = 5
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
"""A host name with a dot. It excludes IPv4 addresses, whose last label is a number."""


def is_domain(name: str) -> bool:
    """Return whether browsers may store cookies with this Domain: a name in lowercase with a dot, and no address."""
    return _NAME.fullmatch(name) is not None


def settable_domains(host: str) -> list[str]:
    """Return at most five values of Domain with which a host can set cookies, the most general first.

    Some may be public suffixes, of which no list is complete. Browsers ignore cookies for those.

    Args:
        host: the host, in lowercase and without a port.
    """
    if not is_domain(host):
        return []
    labels = host.split(".")
    return [".".join(labels[-number:]) for number in range(2, len(labels) + 1)][:MAX_DOMAINS]


def is_sent_to(path: str, cookie_path: str) -> bool:
    """Return whether browsers send a cookie with a path in requests for another path."""
    if not path.startswith(cookie_path):
        return False
    return path == cookie_path or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
