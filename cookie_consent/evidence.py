"""The public import path of `explain`, which shows a consent record with the question that the visitor saw."""

from cookie_consent.pages.evidence import explain

__all__ = ["explain"]
