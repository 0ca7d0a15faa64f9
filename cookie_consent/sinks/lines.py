"""Lines of JSON, as access records come and are kept."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from cookie_consent.base.dates import rfc3339

_NEVER_OLD = "9999"
_TIME = re.compile(rb'"time":\s*"([^"]*)"')


def record_of(visitor_id: str, line: bytes) -> dict[str, Any] | None:
    """Return the record on a line if it is one of this visitor's; whatever else the line holds, None."""
    if visitor_id.encode() not in line:
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("visitor.id") == visitor_id else None


def is_of(visitor_id: str, line: bytes) -> bool:
    """Return whether a line is of this visitor: their record, or what a kill or a full disk has left of it."""
    if visitor_id.encode() not in line:
        return False
    if record_of(visitor_id, line) is not None:
        return True
    return _is_torn(line) and re.search(rb'"visitor\.id":\s*"%b"' % re.escape(visitor_id.encode()), line) is not None


def time_of(line: bytes) -> str:
    """Return when a record or count was written, also one that is torn; what does not say it, is never old."""
    try:
        written = json.loads(line)["time"]
    except ValueError:
        found = _TIME.search(line)
        return found[1].decode("ascii", "replace") if found else _NEVER_OLD
    except (LookupError, TypeError):
        return _NEVER_OLD
    return written if isinstance(written, str) else _NEVER_OLD


def oldest_kept(now: float, keep: timedelta) -> str:
    """Return a text that comes before the time of all that is to be kept, and after that of all that is not.

    Args:
        now: seconds since 1970.
        keep: for how long records are kept.
    """
    return rfc3339((datetime.fromtimestamp(now, UTC) - keep).timestamp()).removesuffix("Z")


def _is_torn(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return True
    return False
