"""The numbers of a report that are no lists, in rows: of the range that was asked for, and of the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def totals(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row for the range of a report, and one more for the days before where these were compared."""
    return [_row(period) for period in (report, report["compare"]) if period]


def _row(period: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a period on one level."""
    return {
        "from": period["range"]["from"],
        "to": period["range"]["to"],
        **{name: period[name] for name in ("visitors", "sessions", "views", "bounce_rate", "views_per_session")},
        **{f"session_seconds_{name}": value for name, value in period["session_seconds"].items()},
        "all_views_recorded": period["share"]["views_recorded"],
        "all_views": period["share"]["views"],
        "share": period["share"]["share"],
        "exempt_records": period["exempt_records"],
        **period["consent"],
    }
