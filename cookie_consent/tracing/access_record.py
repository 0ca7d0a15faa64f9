"""The content of an access record, as pieces of JSON for the page and for the visitor that can be cached."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cookie_consent.base.addresses import host_name, is_under, mount_path, split_address, split_origin, truncate_address
from cookie_consent.base.user_agents import read_agent

VERSION = 1
"""The version of the record's schema; see docs/access-record.md."""
LONGEST = 1024
"""Longer values are cut, so that a record stays one short line whatever a client sends."""
_LONGEST_QUERY = 8192
"""Longer queries are cut before they are parsed. Most servers accept no longer request line by default."""
CLICK_IDS = ("gclid", "gbraid", "wbraid", "msclkid")
"""The parameters that Google Ads and Microsoft Advertising add to the address of an advertisement."""
_ORIGIN = re.compile(r"https?://[a-z0-9._\[\]:-]{1,255}(?=[/?#]|\Z)", re.ASCII | re.IGNORECASE)
LONGEST_LAG = 15 * 60
"""A quarter of an hour (seconds), so that few views move to another hour, and fewer to another day."""
_LAG_PURPOSE = b"visitor lag"
_LAG_DIGITS = 8
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")


def piece(values: Mapping[str, Any]) -> bytes:
    """Return the inside of a JSON object, without empty values.

    Characters that some readers take for a line end are escaped. Lone surrogates, which some readers reject, are
    replaced.
    """
    present = {name: value[:LONGEST] if isinstance(value, str) else value for name, value in values.items() if value}
    text = json.dumps(present, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return _LINE_ENDS.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode("utf-8", "replace")


def page_piece(  # noqa: PLR0913 (one argument for each part of the request)
    method: str,
    path: str,
    route: str,
    query: bytes,
    referrer: bytes,
    host: bytes,
    protocol: str,
    query_keys: tuple[str, ...],
) -> bytes:
    """Return the piece about the requested page."""
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


def visitor_piece(
    visitor_id: str, policy: str, purpose: str, address: str, agent_text: bytes, country: str = ""
) -> bytes:
    """Return the piece about the visitor, with the address truncated."""
    agent = read_agent(agent_text)
    return piece(
        {
            "visitor.id": visitor_id,
            "client.address": truncate_address(address) or "",
            "client.geo.country.iso_code": country,
            "user_agent.name": agent.name,
            "user_agent.os": agent.os,
            "user_agent.device": agent.device,
            "consent.policy": policy,
            "consent.purpose": purpose,
        }
    )


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the path template of the matched route if the framework sets it (Starlette, FastAPI), else ""."""
    route = scope.get("route")
    if route is None:
        return ""
    template: str = getattr(route, "path_format", "")
    if not scope.get("root_path"):
        return template
    root = mount_path(scope)
    return f"{root}{template}" if is_under(scope["path"], root) else template


def kept_query(query: str, keys: tuple[str, ...]) -> str:
    """Return a query with only the parameters whose name matches a key; a key may contain *.

    Of the id of a click on an advertisement, it keeps the name alone: that somebody came by one names nobody.
    """
    if not query:
        return ""
    try:
        parameters = parse_qsl(query[:_LONGEST_QUERY], keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ""
    kept = []
    for name, value in parameters:
        if any(fnmatchcase(name, key) for key in keys):
            kept.append((name, value))
        elif name in CLICK_IDS:
            kept.append((name, ""))
    return urlencode(kept)


def origin_of(referrer: str) -> str:
    """Return the origin of an http or https address, or ""."""
    match = _ORIGIN.match(referrer)
    return match[0].lower() if match else ""


def _short_referrer(referrer: str, host: str) -> str:
    """Return a referrer without query and fragment, or only its origin if it is another site's."""
    address = split_address(referrer[:LONGEST])
    scheme, site, port = split_origin(address) or ("", "", None)
    if scheme not in ("http", "https"):
        return ""
    name = f"[{site}]" if ":" in site else site
    authority = f"{name}:{port}" if port else name
    return f"{scheme}://{authority}{address.path if authority == host.lower() else ''}"


class VisitorLag:
    """Returns how many seconds the times of a visitor's records are moved back: constant and secret.

    So they do not reveal whose consent record is whose.

    Because it is constant, the order of a visitor's records and the time between them stay correct.

    Args:
        secret_keys: the keys of our cookies, oldest first. The first is used, since it stays while a new one is added.
    """

    def __init__(self, secret_keys: str | Sequence[str]) -> None:
        first = secret_keys if isinstance(secret_keys, str) else secret_keys[0]
        self._key = blake2b(first.encode(), person=_LAG_PURPOSE).digest()

    def __call__(self, visitor_id: str) -> float:
        """Return the lag of a visitor in seconds."""
        digest = blake2b(visitor_id.encode(), digest_size=_LAG_DIGITS, key=self._key).digest()
        return LONGEST_LAG * int.from_bytes(digest, "big") / (1 << 8 * _LAG_DIGITS)
