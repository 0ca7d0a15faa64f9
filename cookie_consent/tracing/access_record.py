"""What an access record says: of a page, of a visitor, of an event. As pieces of JSON, which are kept for the next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cookie_consent.base.addresses import host_name, truncated
from cookie_consent.base.paths import is_under, mount_path, split_address, split_origin
from cookie_consent.base.user_agents import read_agent

VERSION = 1
"""Of the record's schema, docs/access-record.md."""
LONGEST = 1024
"""Longer values are cut: a record stays one short line whatever a client sends."""
_LONGEST_QUERY = 8192
"""Longer queries are cut before they are read; servers take less of a request's first line by default."""
_ORIGIN = re.compile(r"https?://[a-z0-9._\[\]:-]{1,255}(?=[/?#]|\Z)", re.ASCII | re.IGNORECASE)
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")


def piece(values: Mapping[str, Any]) -> bytes:
    """Return the inside of a JSON object without the values that are empty.

    Characters that some readers take for the end of a line are escaped; half of a surrogate pair, which some readers
    take for no JSON, is replaced.
    """
    present = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in values.items() if value}
    text = json.dumps(present, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8", "replace")


def page_piece(  # noqa: PLR0913 (what a page's piece is made of)
    method: str,
    path: str,
    route: str,
    query: bytes,
    referrer: bytes,
    host: bytes,
    protocol: str,
    query_keys: tuple[str, ...],
) -> bytes:
    """Return what a record says of the page that was asked for."""
    return piece(
        {
            "http.request.method": method,
            "server.address": host_name(host),
            "url.path": path,
            "http.route": route,
            "url.query": kept_query(query.decode("latin-1"), query_keys),
            "http.request.referrer": _short_referrer(referrer.decode("latin-1"), host.decode("latin-1")),
            "network.protocol.version": protocol,
        }
    )


def visitor_piece(visitor_id: str, policy: str, purpose: str, address: str, agent_text: bytes) -> bytes:
    """Return what a record says of the visitor."""
    agent = read_agent(agent_text)
    return piece(
        {
            "visitor.id": visitor_id,
            "client.address": truncated(address) or "",
            "user_agent.name": agent.name,
            "user_agent.os": agent.os,
            "user_agent.device": agent.device,
            "consent.policy": policy,
            "consent.purpose": purpose,
        }
    )


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that answered, where the framework says it (Starlette, FastAPI), else ""."""
    route = scope.get("route")
    if route is None:
        return ""
    template: str = getattr(route, "path_format", "")
    if not scope.get("root_path"):
        return template
    root = mount_path(scope)
    return f"{root}{template}" if is_under(scope["path"], root) else template


def kept_query(query: str, keys: tuple[str, ...]) -> str:
    """Return a query with just those parameters whose names match a key."""
    if not query:
        return ""
    try:
        parameters = parse_qsl(query[:_LONGEST_QUERY], keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ""
    return urlencode([(key, value) for key, value in parameters if any(fnmatchcase(key, kept) for kept in keys)])


def origin_of(referrer: str) -> str:
    """Return the origin of an address of the web; "" where it is none."""
    found = _ORIGIN.match(referrer)
    return found[0].lower() if found else ""


def _short_referrer(referrer: str, host: str) -> str:
    """Return a referrer without query and fragment; of another site only its origin."""
    address = split_address(referrer[:LONGEST])
    origin = split_origin(address.scheme, address.authority)
    if origin is None or origin.scheme not in ("http", "https"):
        return ""
    name = f"[{origin.host}]" if ":" in origin.host else origin.host
    own_host = f"{name}:{origin.port}" if origin.port else name
    return f"{origin.scheme}://{own_host}{address.path if own_host == host.lower() else ''}"
