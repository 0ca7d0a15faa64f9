"""The documented path of `explain`, which shows a record as its visitor saw the question."""

from cookie_consent.visitors.pages.evidence import explain

__all__ = ["explain"]
