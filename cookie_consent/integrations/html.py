"""HTML for pages that Python makes, or templates of an engine other than those of Jinja2 and Django."""

from cookie_consent.http.features import consent_card, fallback_box

__all__ = ["consent_card", "fallback_box"]
