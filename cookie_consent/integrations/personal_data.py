"""Names of attributes that identify people, in spans and error reports.

The names are those of OpenTelemetry's semantic conventions, current and deprecated, and Sentry's additions.

Internal: what is public is in docs/reference/public-api.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = frozenset(
    (
        "http.client_ip",
        "http.user_agent",
        "http.query",
        "http.fragment",
        "http.request.body.data",
        "http.request.cookies",
        "url.query",
        "url.fragment",
    )
)
_PREFIXES = (
    "client.",
    "enduser.",
    "http.request.header.",
    # Set-Cookie: some instrumentations write it with a hyphen, some with an underscore.
    "http.response.header.set",
    "net.peer.",
    "net.sock.peer.",
    "network.peer.",
    "session.",
    "user.",
    "user_agent.",
)
_ADDRESSES = frozenset(("http.target", "http.url", "url", "url.full", "url.original", "url.path"))


def without_personal(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without personal data. Addresses of pages lose their query."""
    return {
        name: without_query(value) if name in _ADDRESSES else value
        for name, value in attributes.items()
        if name not in _NAMES and not name.startswith(_PREFIXES)
    }


def without_query(address: Any) -> Any:
    """Return the address of a page without query and fragment. Other types are returned unchanged."""
    return address.partition("?")[0].partition("#")[0] if isinstance(address, str) else address
