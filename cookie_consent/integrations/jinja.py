"""Consent in Jinja2 templates."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request

from cookie_consent.enforcement.features import consent_of, fallback_box
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.visitors.pages.assets import assets, script_address
from cookie_consent.visitors.pages.pages import nonce_attribute


def consent_context(request: Request) -> dict[str, Any]:
    """Give templates what they need; for `Jinja2Templates(..., context_processors=[consent_context])`.

    In a template: `consent` is the decision; `consent_fallback("map")` the box that stands in place of a feature;
    `privacy_settings_url` where the visitor changes the answer; `privacy_assets` the tags for a page that has
    boxes or `<template data-purpose>` but no banner; `privacy_tracking` the tag of the script that sends events,
    nothing for those who do not allow tracing;
    `privacy_settings_link` a link to the settings, which opens them in place where the script is;
    `privacy_opt_out_link` one to the page that refuses a sale or sharing, nothing where the policy has none.
    """
    consent = consent_of(request.scope)
    address = f"{consent.base}?language={consent.language}"
    return {
        "consent": consent,
        "consent_fallback": partial(_box, request),
        "privacy_settings_url": address,
        "privacy_settings_link": Markup('<a href="{}&amp;next={}" data-privacy-settings>{}</a>').format(
            address, quote(own_path(request.scope)), consent.policy.texts[consent.language]["privacy_settings"]
        ),
        "privacy_opt_out_link": _opt_out(consent, own_path(request.scope)) if consent.policy.sells else Markup(),
        "privacy_assets": Markup(
            '<link rel="stylesheet" href="{base}/assets/{style}"{nonce}>'
            '<script type="module" src="{base}/assets/{script}"{nonce}></script>'
        ).format(
            base=consent.base,
            style=assets()["choices.css"].name,
            script=assets()["choices.js"].name,
            nonce=nonce_attribute(consent.nonce),
        ),
        "privacy_tracking": _tracking(consent) if consent.traces else Markup(),
    }


def _opt_out(consent: RequestConsent, next_path: str) -> Markup:
    return Markup('<a href="{}/do-not-sell?language={}&amp;next={}">{}</a>').format(
        consent.base, consent.language, quote(next_path), consent.policy.texts[consent.language]["do_not_sell"]
    )


def _tracking(consent: RequestConsent) -> Markup:
    return Markup('<script type="module" src="{}/assets/{}"{}></script>').format(
        consent.base, script_address(consent.policy.traced), nonce_attribute(consent.nonce)
    )


def _box(request: Request, feature: str) -> Markup:
    return Markup(fallback_box(request.scope, feature))  # noqa: S704 (rendered with autoescape)
