"""The links of the live page to common ranges of days, and to a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cookie_consent.base.time_zones import time_zone
from cookie_consent.report.page.filters import Asked, address_of
from cookie_consent.report.question import PREVIOUS

_PERIODS = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days", 365: "12 months"}
"""Days up to today -> their name."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A link to another report.

    Args:
        name: its text.
        link: the address of the report.
        is_shown: whether it is the report that is shown.
    """

    name: str
    link: str
    is_shown: bool


def comparison(asked: Asked) -> Shortcut:
    """Return the same days, compared with the days before; or without a comparison, if there is one.

    Args:
        asked: the values of the form that asked for the report.
    """
    if asked["compare"]:
        return Shortcut("Without comparison", address_of({**asked, "compare": ""}), is_shown=False)
    return Shortcut("Compare with the days before", address_of({**asked, "compare": PREVIOUS}), is_shown=False)


def periods(report: Mapping[str, Any], asked: Asked) -> list[Shortcut]:
    """Return common ranges up to the day on which the report was made, with the filters that it has.

    Args:
        report: the report.
        asked: the values of the form that asked for it.
    """
    made = datetime.fromisoformat(report["range"]["generated_at"])
    today = made.astimezone(time_zone(report["range"]["time_zone"])).date()
    found = []
    for days, name in _PERIODS.items():
        range_ = {"from": (today - timedelta(days - 1)).isoformat(), "to": today.isoformat()}
        is_shown = all(report["range"][end] == day for end, day in range_.items())
        # The step is left out: it may be too small for another range.
        found.append(Shortcut(name, address_of({**asked, **range_, "step": ""}), is_shown))
    return found
