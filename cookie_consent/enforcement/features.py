"""What is sent in place of a feature that needs consent: an explanation with a button to allow it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response

from cookie_consent.base.random_ids import new_id
from cookie_consent.enforcement.request_consent import AnyRequest, RequestConsent, consent_of, own_path
from cookie_consent.policy.parts import Feature
from cookie_consent.visitors.pages.explanations import why_off
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import QuestionOptions
from cookie_consent.visitors.pages.wording import Wording


@cache
def _pages() -> Pages:
    return Pages(make_id=new_id)


def explanation(request: AnyRequest, missing: tuple[str, ...], feature: Feature | None) -> Response:
    """Return a response that says what is off, why, and how to allow it.

    It is a page if the request accepts HTML or comes from an element with hx-boost, else JSON.

    Args:
        request: the request.
        missing: ids of the purposes that are not allowed.
        feature: the feature that needs them, if it is known.
    """
    consent, headers = consent_of(request), Headers(scope=request.scope)
    consent.asks_itself = True
    # htmx loads boosted links and forms without asking for HTML in Accept, but shows the response as a page.
    if "text/html" in headers.get("accept", "") or "hx-boosted" in headers:
        page = _pages().unavailable(
            consent,
            base=consent.base,
            language=consent.language,
            next_path=own_path(request.scope),
            missing=missing,
            feature=feature,
        )
        return HTMLResponse(page, headers={"cache-control": "no-store", "content-language": consent.language})
    message = _message(consent, missing, feature)
    told = explaining_document(feature.id if feature else None, missing, message, settings=consent.base)
    return JSONResponse(told, headers={"cache-control": "no-store"})


def explaining_document(feature: str | None, missing: Iterable[str], message: str, *, settings: str) -> dict[str, Any]:
    """Return what programs are told in place of a feature."""
    return {"available": False, "feature": feature, "missing": list(missing), "message": message, "settings": settings}


_STRING = {"type": "string"}
DOCUMENT_SCHEMA = {
    "type": "object",
    "properties": {
        "available": {"const": False},
        "feature": {"type": ["string", "null"]},
        "missing": {"type": "array", "items": _STRING},
        "message": _STRING,
        "settings": _STRING,
    },
    "required": ["available", "feature", "missing", "message", "settings"],
}
"""What `explaining_document` returns, as a JSON Schema for OpenAPI."""


def fallback_box(scope: Mapping[str, Any], feature: str) -> str:
    """Return HTML to show in place of a feature: its fallback and a button that allows it.

    Args:
        scope: the ASGI scope of the request for the page.
        feature: the feature's id.

    Raises:
        LookupError: the policy has no such feature.
    """
    consent = consent_of(scope)
    consent.degrade(feature)
    return _pages().unavailable_box(
        consent,
        base=consent.base,
        language=consent.language,
        next_path=own_path(scope),
        feature=consent.policy.feature(feature),
        options=QuestionOptions(consent.nonce, consent.nonce),
    )


def _message(consent: RequestConsent, missing: tuple[str, ...], feature: Feature | None) -> str:
    """Return the explanation as plain text: the fallback, what is needed and why it is off."""
    words = Wording(consent.policy, consent.language)
    needs = words("unavailable_needs", purposes=words.titles(missing))
    reasons = dict.fromkeys(words(why_off(consent, purpose)) for purpose in missing)
    fallback = [feature.fallback[consent.language]] if feature else []
    return " ".join([*fallback, needs.unescape(), *(reason.unescape() for reason in reasons)])
