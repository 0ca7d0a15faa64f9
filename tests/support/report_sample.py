"""A report as `cookie_consent.report.report` returns it, of a small registry's site in November 2026."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cookie_consent.report.figures import LISTS

_TEXT = Path(__file__).with_suffix(".json").read_text("utf-8")


def sample_report(**changes: Any) -> dict[str, Any]:
    """Return the report; the keyword arguments replace its figures."""
    made: dict[str, Any] = {**{figure.name: [] for figure in LISTS}, **json.loads(_TEXT)["sample"], **changes}
    by_step = [{"from": row["day"], **{key: row[key] for key in row if key != "day"}} for row in made["by_day"]]
    return {"by_step": by_step, **made}


def compared_report(**changes: Any) -> dict[str, Any]:
    """Return the report with a comparison to the days before."""
    return {**sample_report(), **json.loads(_TEXT)["compared"], **changes}


def empty_report(**changes: Any) -> dict[str, Any]:
    """Return the report of two days on which nothing was recorded or counted."""
    full = sample_report()
    days = [full["by_day"][-2], full["by_day"][-1]]
    nothing: dict[str, Any] = {key: _without_numbers(value) for key, value in full.items()}
    return {
        **nothing,
        "range": {**full["range"], "from": days[0]["day"], "to": days[1]["day"]},
        "by_day": [_without_numbers(day) | dict.fromkeys(("all_views_recorded", "all_views")) for day in days],
        "by_hour": [{**_without_numbers(row), "hour": row["hour"]} for row in full["by_hour"]],
        "consent_by_day": [_without_numbers(day) for day in full["consent_by_day"][-2:]],
        "share": dict.fromkeys(full["share"]),
        "small_groups": {"threshold": 5, "merged": 0, "withheld": False},
        **changes,
    }


def _without_numbers(value: Any) -> Any:
    """Return 0 for a count, None for what is made of counts, and no rows for a list."""
    if isinstance(value, dict):
        return {key: _without_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return []
    if isinstance(value, float):
        return None
    return 0 if isinstance(value, int) else value
