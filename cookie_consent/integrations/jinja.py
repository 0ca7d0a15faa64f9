"""Consent in Jinja2 templates."""

from __future__ import annotations

from functools import partial
from typing import Any

from markupsafe import Markup
from starlette.requests import Request

from cookie_consent.assets import assets
from cookie_consent.features import consent_of, fallback_box


def consent_context(request: Request) -> dict[str, Any]:
    """Give templates what they need; for `Jinja2Templates(..., context_processors=[consent_context])`.

    In a template: `consent` is the decision; `consent_fallback("map")` the box that stands in place of a feature;
    `privacy_settings_url` where the visitor changes the answer; `privacy_assets` the tags for a page that has
    boxes or `<template data-purpose>` but no banner.
    """
    consent = consent_of(request.scope)
    return {
        "consent": consent,
        "consent_fallback": partial(_box, request),
        "privacy_settings_url": f"{consent.base}?language={consent.language}",
        "privacy_assets": Markup(
            '<link rel="stylesheet" href="{base}/assets/{style}">'
            '<script type="module" src="{base}/assets/{script}"></script>'
        ).format(base=consent.base, style=assets()["choices.css"].name, script=assets()["choices.js"].name),
    }


def _box(request: Request, feature: str) -> Markup:
    return Markup(fallback_box(request.scope, feature))  # noqa: S704 (rendered with autoescape)
