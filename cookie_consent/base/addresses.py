"""Reads addresses, hosts and paths: of clients, of other sites, and of a mounted app (ASGI's root_path)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from cookie_consent.base.bounds import LONGEST_KEPT

OTHER_HOSTS = "(other)"
"""The name for hosts that are not counted separately."""
_LONGEST_HOST = 255
"""The largest number of octets in a host name (RFC 1035, section 2.3.4)."""
SECURE_SCHEMES = ("https", "wss")


def truncate_address(address: str) -> str | None:
    """Return an address truncated to its network, IPv4 to /24 and IPv6 to /48; None if it cannot be read."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.version == 6:
        return str(ipaddress.IPv6Address(int(parsed) >> 80 << 80))
    return str(ipaddress.IPv4Address(int(parsed) >> 8 << 8))


def host_name(field: bytes) -> str:
    """Return the host in a Host field, in lowercase and without its port; "" if there is none.

    A host of more than 255 octets is returned as `OTHER_HOSTS`.
    """
    host = field.decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.removesuffix(".") if len(name) <= _LONGEST_HOST else OTHER_HOSTS


def is_secure(scope: Mapping[str, Any]) -> bool:
    """Return whether a request came over https or wss. ASGI servers may leave the scheme out."""
    return scope.get("scheme") in SECURE_SCHEMES


def read_host(scope: Mapping[str, Any]) -> str:
    """Return the host of a request, in lowercase and without its port; "" if it names none."""
    for name, value in scope["headers"]:
        if name == b"host":
            return host_name(value)
    return ""


_ADDRESS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)


def split_address(address: str) -> SplitResult:
    """Split an address of any length (RFC 3986, appendix B), and leave its fragment out.

    Unlike `urlsplit`, which caches whole addresses, this keeps nothing that a client sends.
    """
    scheme, authority, path, query = next(_ADDRESS.finditer(address)).groups("")
    return SplitResult(scheme, authority, path, query, fragment="")


def split_origin(address: SplitResult) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an address, in lowercase; None if it names no host or one that is too long."""
    if len(address.scheme) + len(address.netloc) > LONGEST_KEPT:
        return None
    try:
        parts = urlsplit(f"{address.scheme}://{address.netloc}")
        return (parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def mount_path(scope: Mapping[str, Any]) -> str:
    """Return the path that the app is mounted at, without a slash at the end, or ""."""
    return str(scope.get("root_path", "")).rstrip("/")


def is_under(path: str, root: str) -> bool:
    """Return whether a path is a mount path or below it."""
    return path == root or path.startswith(f"{root}/")


def local_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path inside the app."""
    path: str = scope["path"]
    root = mount_path(scope)
    return path[len(root) :] if is_under(path, root) else path


def scope_at(scope: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return the scope that a request would have at another address of the site, which is percent-encoded."""
    parts = split_address(address)
    return {
        **scope,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
    }


def outer_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path as clients see it, even if a proxy strips the mount path."""
    path: str = scope["path"]
    if not scope.get("root_path"):
        return path
    root = mount_path(scope)
    return path if is_under(path, root) else f"{root}{path}"


def address(root_path: str, path: str) -> str:
    """Return the path as clients see it of a path inside the app."""
    return f"{root_path.rstrip('/')}{path}"


_LONGEST_PATH = 2048


def safe_next(path: str) -> str:
    """Return a path if every browser stays on this site when it follows it, else ""."""
    is_local = path.startswith("/") and not path.startswith("//") and len(path) <= _LONGEST_PATH
    # Browsers read a backslash as a slash, and remove tabs and line ends.
    return path if is_local and path.isprintable() and "\\" not in path and " " not in path else ""
