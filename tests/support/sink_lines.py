"""Lines for sinks, and helpers for the tests that run with each database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[2]
_BEGAN = os.environ.setdefault("TESTS_BEGAN", datetime.now(UTC).isoformat())
"""The same in all processes, also if a day begins meanwhile."""
TODAY = datetime.fromisoformat(_BEGAN).replace(hour=12, minute=0, second=0, microsecond=345_000)
"""A time of today, because servers use their own clocks."""


def at(time: datetime) -> str:
    """Return a time in the format of records."""
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def partition_day(ago: int) -> str:
    """Return the day some days ago in the format of partition names."""
    return f"{TODAY - timedelta(days=ago):%Y%m%d}"


def record(
    number: int, visitor: str = "one", *, days: int = 0, but: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Return an access record with all fields.

    Args:
        number: makes the record unique.
        visitor: the visitor id.
        days: how many days ago.
        but: fields that replace the default ones.
    """
    return {
        "time": at(TODAY - timedelta(days=days) + timedelta(milliseconds=number % 1000)),
        "log.record.uid": f"abcdefghijklmnop-{number:x}",
        "record.version": 1,
        "record.kind": "event",
        "http.request.method": "GET",
        "server.address": "registry.example",
        "url.path": "/offices/東京/\u2028\"'\\",
        "http.route": "/offices/{id}",
        "url.query": "utm_source=a&utm_medium=b",
        "http.request.referrer": "https://other.example",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "duration_ms": 2.5,
        "visitor.id": visitor,
        "client.address": "192.0.2.0",
        "client.geo.country.iso_code": "JP",
        "user_agent.name": "Firefox",
        "user_agent.os": "Linux",
        "user_agent.device": "pc",
        "consent.policy": "a1b2c3",
        "consent.purpose": "audience",
        "event.name": "download",
        "event.properties": {"file": "a.pdf", "pages": 3, "again": True},
        **but,
    }


def line(number: int, visitor: str = "one", *, days: int = 0, but: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """Return the line of such a record."""
    return to_line(record(number, visitor, days=days, but=but))


def to_line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def count_line(number: int, value: int, *, days: int = 0) -> bytes:
    """Return a count as a line."""
    return to_line(
        {
            "time": at(TODAY - timedelta(days=days)),
            "log.record.uid": f"abcdefghijklmnop-c{number:x}",
            "record.version": 1,
            "count.day": f"{TODAY - timedelta(days=days):%Y-%m-%d}",
            "server.address": "registry.example",
            "consent.language": "en",
            "count.name": "degraded",
            "count.detail": "map",
            "count.value": value,
        }
    )
