"""What is shown in place of what needs consent: an explanation as a page or a box, or a card in place of content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any
from zlib import crc32

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response

from cookie_consent.base.addresses import safe_next, split_address
from cookie_consent.http.request_consent import AnyRequest, consent_of, own_path
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import Feature
from cookie_consent.policy.policy import card_of

_FIRST_TAG = re.compile(r"\s*<[a-z][^>]*", re.IGNORECASE)
_SIZE = re.compile(r"""\s(width|height)\s*=\s*["']?(\d{1,4})(?![^"'\s])""", re.IGNORECASE)
_TEMPLATE_TAG = re.compile(r"<(/?)template\b", re.IGNORECASE)


def explanation(request: AnyRequest, missing: tuple[str, ...], feature: Feature | None) -> Response:
    """Return a response that says what is off, why, and how to allow it.

    It is a page if the request accepts HTML or comes from an element with hx-boost, else JSON.

    Args:
        request: the request.
        missing: ids of the purposes that are not allowed.
        feature: the feature that needs them, if it is known.
    """
    consent = consent_of(request)
    headers = Headers(scope=request.scope)
    consent.asks_itself = True
    # htmx loads boosted links and forms without asking for HTML in Accept, but shows the response as a page.
    if "text/html" in headers.get("accept", "") or "hx-boosted" in headers:
        page = consent.pages.unavailable(
            consent,
            base=consent.base,
            language=consent.language,
            next_path=own_path(request.scope),
            missing=missing,
            feature=feature,
        )
        return HTMLResponse(page, headers={"cache-control": "no-store", "content-language": consent.language})
    words = Wording(consent.policy, consent.language)
    message = [words("unavailable_needs", purposes=words.titles(missing)).unescape()]
    message += dict.fromkeys(words(consent.reasons[purpose]).unescape() for purpose in missing)
    if feature is not None:
        message.insert(0, feature.fallback[consent.language])
    document = {
        "available": False,
        "feature": None if feature is None else feature.id,
        "missing": missing,
        "message": " ".join(message),
        "settings": consent.base,
    }
    return JSONResponse(document, headers={"cache-control": "no-store"})


def fallback_box(scope: Mapping[str, Any], feature: str) -> str:
    """Return HTML to show in place of a feature: its fallback and a button that allows it.

    Args:
        scope: the ASGI scope of the request for the page.
        feature: the feature's id.

    Raises:
        LookupError: the policy has no such feature.
    """
    consent = consent_of(scope)
    consent.degraded |= {feature}
    return consent.pages.box(
        consent,
        base=consent.base,
        language=consent.language,
        next_path=own_path(scope),
        feature=consent.policy.feature(feature),
        nonce=consent.nonce,
    )


def consent_card(scope: Mapping[str, Any], card: str, content: str, *, preview: str = "", title: str = "") -> str:
    """Return HTML: the content if what it needs is allowed, else a card in its place.

    The card names the recipients, and has the button "Always allow" and, with a script, "Show once". The content waits
    beside it in a `<template>`, from which browsers load nothing.

    Args:
        scope: the ASGI scope of the request for the page, or the request.
        card: the id of a recipient, or else of a feature, or else of a purpose.
        content: the HTML, such as an `<iframe>`.
        preview: the address of a picture to show on the card; "" for none. It is the site's own.
        title: the name of the content; "" for the name of the recipient, the feature or the purpose.

    Raises:
        LookupError: the policy has nothing with this id.
        ValueError: the preview is at another site, or the content opens or closes a `<template>` alone.
    """
    consent = consent_of(scope)
    about = card_of(consent.policy, card)
    picture = check_preview(preview, scope)
    html = check_content(content)
    path = own_path(scope)
    consent.cards += (about.id,)
    # The same when the page comes again, and another in what is loaded later.
    place = f"pchoice-card-{about.id}-{crc32(path.encode()):08x}-{consent.cards.count(about.id)}"
    if all(map(consent.allows, about.purposes)):
        # Where the form of the card leads back to, so that the page stays where it was.
        return Markup('<span id="{}-off"></span>{}').format(place, html) if consent.returned else html
    if about.feature is not None:
        consent.degraded |= {about.feature.id}
    return consent.pages.card(
        consent,
        base=consent.base,
        language=consent.language,
        next_path=path,
        card=about,
        content=html,
        size=size_of(html),
        title=title,
        preview=picture,
        place=place,
        reloads=consent.reloads,
        nonce=consent.nonce,
    )


def check_preview(preview: str, scope: Mapping[str, Any]) -> str:
    """Return the path of a preview.

    Raises:
        ValueError: it is at another site, which would hear of the visitor before the answer.
    """
    path = str(preview)
    address = split_address(path)
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    if address.scheme in ("http", "https") and address.netloc.lower() == host.lower():
        path = f"{address.path}?{address.query}" if address.query else address.path
    if preview and not safe_next(path):
        raise ValueError(
            f"preview={str(preview)!r}: a card loads nothing from other sites. Put the picture on your own site, and "
            'write its path, like "/static/map.png".'
        )
    return path


def check_content(content: str) -> Markup:
    """Return content as HTML.

    Raises:
        ValueError: it would end the `<template>` that it is put into, and then load.
    """
    tags = _TEMPLATE_TAG.finditer(content)
    depths = list(accumulate((-1 if tag[1] else 1 for tag in tags), initial=0))
    if min(depths) < 0 or depths[-1]:
        raise ValueError("The content of a card opens or closes a <template> without the other tag.")
    return Markup(content)  # noqa: S704 (the app's own HTML)


def size_of(content: str) -> dict[str, str]:
    """Return the height of content by the attributes of its first tag, and its width if it has one, in pixels."""
    tag = _FIRST_TAG.match(content)
    size = {name.lower(): pixels for name, pixels in _SIZE.findall(tag[0])} if tag else {}
    return size if "height" in size else {}
