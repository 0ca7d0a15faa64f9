"""The live report with made-up figures, for a real server: uvicorn tests.support.sites.report_site:app."""

from __future__ import annotations

import os
from typing import Any

from cookie_consent.report.live.app import report_app
from cookie_consent.report.live.guards import require_loopback
from tests.support.report_sample import compared_report, sample_report


def made(access_log: str | os.PathLike[str], *, compare: bool, **question: Any) -> dict[str, Any]:
    """Return the same report for every range."""
    return compared_report() if compare else sample_report()


app = require_loopback(report_app("nowhere.jsonl", authorize=lambda request: True, make=made))
