"""Addresses, and paths of an app that is mounted: inside of it, and as the outside sees them (ASGI's root_path)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cookie_consent.base.limits import LONGEST_KEPT

_ADDRESS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)


class Address(NamedTuple):
    """The parts of an address (RFC 3986, appendix B), without the fragment; "" for one that it lacks."""

    scheme: str
    authority: str
    path: str
    query: str


class Origin(NamedTuple):
    """The scheme and the host of an address, in small letters, and its port."""

    scheme: str
    host: str
    port: int | None


def split_address(address: str) -> Address:
    """Take an address of any length apart, and keep nothing of it: `urlsplit` keeps the last 128 whole."""
    found = _ADDRESS.fullmatch(address)
    assert found is not None  # noqa: S101 (every part may be missing)
    return Address(*found.groups(""))


def split_origin(scheme: str, authority: str) -> Origin | None:
    """Read the scheme and the authority of an address; None where they name no host, or are longer than hosts are."""
    if len(scheme) + len(authority) > LONGEST_KEPT:
        return None
    try:
        parts = urlsplit(f"{scheme}://{authority}")
        return Origin(parts.scheme, parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None


def mount_path(scope: Mapping[str, Any]) -> str:
    """Return the path that the app is mounted at, without a slash at its end; "" where it is not."""
    root: str = scope.get("root_path", "")
    return root.rstrip("/")


def is_under(path: str, root: str) -> bool:
    """Return whether a path is one below a mount path, or that path itself."""
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
    """Return the path inside the app that an address of the site leads to; `scope` says where the app is mounted."""
    return local_path(at(scope, address))


def at(scope: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return a request's scope as it would be at another address of the site."""
    parts = split_address(address)
    path, query = parts.path.encode(), parts.query.encode()
    return {**scope, "path": unquote(parts.path), "raw_path": path, "query_string": query}


def outer_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path as the outside sees it, also behind a proxy that takes the mount path away."""
    path, root = scope["path"], mount_path(scope)
    return path if is_under(path, root) else f"{root}{path}"


def address(root_path: str, path: str) -> str:
    """Return the address of a path inside the app, with the path that the app is mounted at."""
    return f"{root_path.rstrip('/')}{path}"
