"""Addresses, and the paths of a mounted app: inside the app and as clients see them (ASGI's root_path)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cookie_consent.base.limits import LONGEST_KEPT

_ADDRESS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)


class Address(NamedTuple):
    """The parts of an address (RFC 3986, appendix B) but the fragment; "" for a missing part."""

    scheme: str
    authority: str
    path: str
    query: str


class Origin(NamedTuple):
    """The scheme and host of an address, in lowercase, and its port if the address has one."""

    scheme: str
    host: str
    port: int | None


def split_address(address: str) -> Address:
    """Split an address of any length.

    Unlike `urlsplit`, which caches whole addresses, this keeps nothing that a client sends.
    """
    match = _ADDRESS.fullmatch(address)
    assert match is not None  # noqa: S101 (every part is optional)
    return Address(*match.groups(""))


def split_origin(scheme: str, authority: str) -> Origin | None:
    """Return the origin for a scheme and an authority, or None if they name no host or are too long to be one."""
    if len(scheme) + len(authority) > LONGEST_KEPT:
        return None
    try:
        parts = urlsplit(f"{scheme}://{authority}")
        return Origin(parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def mount_path(scope: Mapping[str, Any]) -> str:
    """Return the path that the app is mounted at, without a slash at the end, or ""."""
    root: str = scope.get("root_path", "")
    return root.rstrip("/")


def is_under(path: str, root: str) -> bool:
    """Return whether a path is a mount path or below it."""
    return path == root or path.startswith(f"{root}/")


def local_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path inside the app."""
    path: str = scope["path"]
    if scope.get("root_path"):
        root = mount_path(scope)
        if is_under(path, root):
            return path[len(root) :]
    return path


def path_inside(address: str, scope: Mapping[str, Any]) -> str:
    """Return the path inside the app for an address of the site.

    Args:
        address: an address or a path, percent-encoded.
        scope: the ASGI scope of a request, which says where the app is mounted.
    """
    return local_path(scope_at(scope, address))


def scope_at(scope: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return the scope that a request would have at another address of the site."""
    parts = split_address(address)
    path, query = parts.path.encode(), parts.query.encode()
    return {**scope, "path": unquote(parts.path), "raw_path": path, "query_string": query}


def outer_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path as clients see it, even if a proxy strips the mount path."""
    path, root = scope["path"], mount_path(scope)
    return path if is_under(path, root) else f"{root}{path}"


def address(root_path: str, path: str) -> str:
    """Return the path as clients see it of a path inside the app."""
    return f"{root_path.rstrip('/')}{path}"
