"""Requests for pages that a visitor opens, and the same requests with other cookies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from cookie_consent.base.cookies.fields import cookie_name, pairs
from cookie_consent.base.page_views import page_view_host_in
from cookie_consent.decision.visit import Visit, cookies_of
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.installation import Installation


def is_page_opened(scope: Mapping[str, Any]) -> bool:
    """Return whether a visitor opens a page, which is not in a frame and not loaded in advance."""
    if scope["method"] != "GET":
        return False
    fields = dict(scope["headers"])
    return b"text/html" in fields.get(b"accept", b"") and page_view_host_in(fields) is not None


def inquiry_on(parts: Installation, scope: Scope, path: str, visit: Visit, language: str, now: float) -> Inquiry:
    """Return the request for a page as the ledger and tracing take one that has an answer.

    Args:
        parts: the parts of the middleware.
        scope: the ASGI scope.
        path: the path inside the app.
        visit: the visit.
        language: the language of the answer.
        now: seconds since 1970.
    """
    place = parts.own_cookies.place(scope)
    return Inquiry.of(Request(scope), visit, place=place, language=language, path=path, prefix=parts.prefix, now=now)


def with_cookies(scope: Scope, fields: Iterable[bytes]) -> Scope:
    """Return a request as the browser sends it after some Set-Cookie fields, of which none deletes.

    Args:
        scope: the ASGI scope.
        fields: the fields.
    """
    new = [field.partition(b";")[0] for field in fields]
    rest = cookies_of(without_cookies(scope, map(cookie_name, new)))
    headers = [field for field in scope["headers"] if field[0] != b"cookie"]
    return {**scope, "headers": [*headers, (b"cookie", b"; ".join([*new, rest] if rest else new))]}


def without_cookies(scope: Scope, names: Iterable[bytes]) -> Scope:
    """Return a request without the cookies of these names."""
    gone = {*names}
    left = [pair for name, pair in pairs(cookies_of(scope)) if name not in gone]
    headers = [field for field in scope["headers"] if field[0] != b"cookie"]
    return {**scope, "headers": [*headers, (b"cookie", b"; ".join(left))] if left else headers}
