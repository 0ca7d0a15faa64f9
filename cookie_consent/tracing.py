"""Access records of visitors who consented to them. Nothing in here runs for anybody else."""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cookie_consent.agents import read_agent
from cookie_consent.bounded import make_room
from cookie_consent.mounting import is_under, mount_path
from cookie_consent.sinks import Sink

_LONGEST = 1024
"""Longer values are cut: a record stays one short line whatever a client sends."""
_MOST_PIECES = 4096
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")
_log = logging.getLogger("cookie_consent")

_FIELDS = frozenset((b"host", b"referer", b"user-agent", b"purpose", b"sec-purpose"))

Fields = Mapping[bytes, bytes]
Key = tuple[str | bytes, ...]


def traced_fields(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return those of a request's header fields that tracing looks at, by their names."""
    return {name: value for name, value in headers if name in _FIELDS}


def is_traceable(fields: Fields) -> bool:
    """Return whether a request is somebody's visit: robots' and prefetched pages (Fetch, Sec-Purpose) are not.

    Args:
        fields: the request's header fields by their names in small letters.
    """
    for name in (b"sec-purpose", b"purpose"):
        if b"prefetch" in fields.get(name, b"").lower():
            return False
    return not read_agent(fields.get(b"user-agent", b"")).is_bot


class Trace:
    """A request that is traced, as it came.

    Args:
        fields: its header fields by their names in small letters.
        visitor_id: the visitor's pseudonym.
        policy: the version of the policy that was consented to.
        came: when it came, in seconds since 1970.
    """

    __slots__ = ("came", "fields", "policy", "started", "visitor_id")

    def __init__(self, fields: Fields, visitor_id: str, policy: str, came: float) -> None:
        self.fields, self.visitor_id, self.policy, self.came = fields, visitor_id, policy, came
        self.started = time.perf_counter()


class Tracing:
    """Writes access records to a sink.

    A record is put together from pieces of JSON that are kept for the next one: the visitor's and the page's.

    Args:
        sink: where records flow.
        query_keys: the query parameters that are kept; names, or patterns with *.

    Attributes:
        lost: how many records the sink did not take.
    """

    def __init__(self, sink: Sink, query_keys: Iterable[str]) -> None:
        self.sink, self.lost = sink, 0
        self._query_keys = tuple(query_keys)
        self._visitors: dict[Key, bytes] = {}
        self._pages: dict[Key, bytes] = {}
        self._second, self._second_text = -1, b""

    def write(self, scope: Mapping[str, Any], trace: Trace, status: int) -> None:
        """Write the record of a request that was answered.

        Args:
            scope: the request's ASGI scope, as routing left it.
            trace: what was known when it came.
            status: the status code of the response.
        """
        seconds, fields = time.perf_counter() - trace.started, trace.fields
        referrer, host = fields.get(b"referer", b""), fields.get(b"host", b"")
        page = (scope["method"], scope["path"], _route(scope), scope.get("query_string", b""), referrer, host)
        client, agent = scope.get("client"), fields.get(b"user-agent", b"")
        who = (trace.visitor_id, trace.policy, (client and client[0]) or "", agent)
        line = b'{"time":"%b",%b,"http.response.status_code":%d,"duration_ms":%.3f,%b}\n' % (
            self._time(trace.came),
            self._pages.get(page) or _keep(self._pages, page, _page(*page, self._query_keys)),
            status,
            seconds * 1000,
            self._visitors.get(who) or _keep(self._visitors, who, _visitor(*who)),
        )
        try:
            self.sink.write(line)
        except Exception as error:  # noqa: BLE001 (whatever a sink raises, it costs the record and no page)
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Count a record that the sink did not take; say so the first time."""
        if not self.lost:
            _log.warning("The sink does not take access records; they are lost, counted: %r", error)
        self.lost += 1

    def _time(self, now: float) -> bytes:
        """Return a time as RFC 3339 has it, in UTC with milliseconds."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%03dZ" % (self._second_text, int((now - second) * 1000))


def _keep(pieces: dict[Key, bytes], key: Key, piece: bytes) -> bytes:
    """Keep a piece for the next record, unless its key is so long that somebody may be filling the memory."""
    make_room(pieces, _MOST_PIECES)
    if sum(map(len, key)) <= _LONGEST:
        pieces[key] = piece
    return piece


def _piece(values: Mapping[str, str]) -> bytes:
    """Return the inside of a JSON object without the values that are empty.

    Characters that some readers take for the end of a line are escaped, and so is half of a surrogate pair.
    """
    present = {name: value[:_LONGEST] for name, value in values.items() if value}
    text = json.dumps(present, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return _LINE_ENDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8", "backslashreplace")


def _page(  # noqa: PLR0913 (what a page's piece is made of)
    method: str, path: str, route: str, query: bytes, referrer: bytes, host: bytes, query_keys: tuple[str, ...]
) -> bytes:
    return _piece(
        {
            "http.request.method": method,
            "url.path": path,
            "http.route": route,
            "url.query": _kept_query(query.decode("latin-1"), query_keys),
            "http.request.referrer": _short_referrer(referrer.decode("latin-1"), host.decode("latin-1")),
        }
    )


def _visitor(visitor_id: str, policy: str, address: str, agent_text: bytes) -> bytes:
    agent = read_agent(agent_text)
    return _piece(
        {
            "visitor.id": visitor_id,
            "client.address": truncated(address) or "",
            "user_agent.name": agent.name,
            "user_agent.os": agent.os,
            "user_agent.device": agent.device,
            "consent.policy": policy,
        }
    )


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


def _route(scope: Mapping[str, Any]) -> str:
    """Return the template of the route that answered, where the framework says it (Starlette, FastAPI), else ""."""
    route = scope.get("route")
    if route is None:
        return ""
    root, template = mount_path(scope), getattr(route, "path_format", "")
    return f"{root}{template}" if is_under(scope["path"], root) else template


def _kept_query(query: str, keys: tuple[str, ...]) -> str:
    if not query:
        return ""
    try:
        parameters = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ""
    return urlencode([(key, value) for key, value in parameters if any(fnmatchcase(key, kept) for kept in keys)])


def _short_referrer(referrer: str, host: str) -> str:
    """Return a referrer without query and fragment; of another site only its origin."""
    try:
        parts = urlsplit(referrer)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    own_host = f"{name}{port}"
    return f"{parts.scheme}://{own_host}{parts.path if own_host == host.lower() else ''}"
