"""Compute figures about visits and consent from an access log. See docs/decisions/028.

Internal: what is public is in docs/reference/public-api.md.
"""

from __future__ import annotations

from cookie_consent.report.compute import report
from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.report.figures import FIGURES
from cookie_consent.report.question import Question

__all__ = ["FIGURES", "Question", "UnreadableError", "report"]
