"""Lines of JSON, as access records come and are kept."""

from __future__ import annotations

import json
from typing import Any


def record_of(visitor_id: str, line: bytes) -> dict[str, Any] | None:
    """Return the record on a line if it is one of this visitor's; whatever else the line holds, None."""
    if visitor_id.encode() not in line:
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("visitor.id") == visitor_id else None
