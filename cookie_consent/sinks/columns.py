"""What the keys of access records and counts are called as columns, in databases and in reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

RECORDS = "access_records"
COUNTS = "access_counts"
"""The tables."""
_VERSION = 1
"""That of the records which these columns hold."""

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
        "user_agent.name": "browser",
        "user_agent.os": "os",
        "user_agent.device": "device",
        "consent.policy": "policy",
        "consent.purpose": "purpose",
        "event.name": "event",
        "event.properties": "properties",
    }
)
"""The column for each key of an access record. `record.version` has none: it says what the keys mean."""
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
"""The column for each key of a count."""


def record_from(values: Iterable[Any]) -> dict[str, Any]:
    """Return the access record that a row of a table is.

    Args:
        values: of `COLUMNS`, in their order; the time as text, the properties as an object.
    """
    row = zip(COLUMNS, values, strict=True)
    return {"record.version": _VERSION, **{key: value for key, value in row if value is not None}}
