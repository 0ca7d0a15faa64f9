"""Figures about visits and consent, computed from what an access log keeps. See docs/decisions/028."""

from __future__ import annotations

from cookie_consent.report.compute import FIGURES, report
from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.report.question import Question

__all__ = ["FIGURES", "Question", "UnreadableError", "report"]
