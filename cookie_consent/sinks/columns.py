"""Column names of access records and counts in databases and reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

RECORD_VERSION = 1
"""The version of the record format that these columns hold."""

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "time": "time",
        "log.record.uid": "uid",
        "record.kind": "kind",
        "http.request.method": "method",
        "server.address": "host",
        "url.path": "path",
        "http.route": "route",
        "url.query": "query",
        "http.request.referrer": "referrer",
        "network.protocol.version": "protocol",
        "http.response.status_code": "status",
        "duration_ms": "duration_ms",
        "visitor.id": "visitor",
        "client.address": "address",
        "client.geo.country.iso_code": "country",
        "user_agent.name": "browser",
        "user_agent.os": "os",
        "user_agent.device": "device",
        "consent.policy": "policy",
        "consent.purpose": "purpose",
        "event.name": "event",
        "event.properties": "properties",
    }
)
"""Key of an access record -> column. `record.version` has no column: it defines the meaning of the keys."""
COUNT_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "time": "time",
        "log.record.uid": "uid",
        "count.day": "day",
        "server.address": "host",
        "consent.language": "language",
        "count.name": "name",
        "count.detail": "detail",
        "count.value": "value",
    }
)
"""Key of a count -> column."""


def record_from(values: Iterable[Any]) -> dict[str, Any]:
    """Return a table row as an access record.

    Args:
        values: the values of `COLUMNS` in order; the time as text, the properties as an object.
    """
    row = zip(COLUMNS, values, strict=True)
    return {"record.version": RECORD_VERSION, **{key: value for key, value in row if value is not None}}
