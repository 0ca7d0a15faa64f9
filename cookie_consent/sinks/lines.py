"""Reads single lines of JSON, intact or torn."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from cookie_consent.base.clock import rfc3339

_NEVER_OLD = "9999"
_TIME = re.compile(rb'"time":\s*"([^"]*)"')


def is_of(visitor_id: str, line: bytes) -> bool:
    """Return whether a line belongs to a visitor: a whole record, or a torn one that still names the visitor."""
    if visitor_id.encode() not in line:
        return False
    try:
        record = json.loads(line)
    except ValueError:
        return re.search(rb'"visitor\.id":\s*"%b"' % re.escape(visitor_id.encode()), line) is not None
    return isinstance(record, dict) and record.get("visitor.id") == visitor_id


def is_torn(line: bytes) -> bool:
    """Return whether a line is the part of a record that a killed process left."""
    return line.startswith(b'{"') and not line.rstrip().endswith(b"}")


def time_of(line: bytes) -> str:
    """Return the time of a record or count, also of a torn one. A line without a time counts as never old."""
    try:
        time = json.loads(line)["time"]
    except ValueError:
        match = _TIME.search(line)
        return match[1].decode("ascii", "replace") if match else _NEVER_OLD
    except (LookupError, TypeError):
        return _NEVER_OLD
    return time if isinstance(time, str) else _NEVER_OLD


def oldest_kept(now: float, keep: timedelta) -> str:
    """Return the oldest time to keep, in a form that sorts correctly against the times of records.

    Args:
        now: Unix time in seconds.
        keep: how long records are kept.
    """
    # "Z" would sort after the "." of fractions of a second.
    return rfc3339((datetime.fromtimestamp(now, UTC) - keep).timestamp()).removesuffix("Z")
