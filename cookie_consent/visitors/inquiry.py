"""One request to an endpoint, and what the handlers need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.forms import is_form
from cookie_consent.base.paths import address
from cookie_consent.decision.visit import Visit, cookies_of, is_secure


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A request to one of our endpoints.

    Args:
        request: the request as Starlette reads it.
        visit: what the visitor's cookies and signals say.
        language: the language of the response.
        path: the path inside the app.
        base: the address of the endpoints, with the path that the app is mounted at.
        secure: whether the connection is encrypted.
        cookies: the Cookie field.
        content_type: the Content-Type field; "" where there is none.
        is_form: whether the body comes from an HTML form.
        now: when the request came (seconds since 1970).
    """

    request: Request
    visit: Visit
    language: str
    path: str
    base: str
    secure: bool
    cookies: bytes
    content_type: str
    is_form: bool
    now: float

    @classmethod
    def of(cls, request: Request, visit: Visit, *, language: str, path: str, prefix: str, now: float) -> Self:
        """Return the inquiry that a request is.

        Args:
            request: the request as Starlette reads it.
            visit: what the visitor's cookies and signals say.
            language: the language of the response.
            path: the path inside the app.
            prefix: the path of the endpoints inside the app.
            now: seconds since 1970.
        """
        scope, content_type = request.scope, request.headers.get("content-type", "")
        return cls(
            request=request,
            visit=visit,
            language=language,
            path=path,
            base=address(scope.get("root_path", ""), prefix),
            secure=is_secure(scope),
            cookies=cookies_of(scope),
            content_type=content_type,
            is_form=is_form(content_type),
            now=now,
        )

    @property
    def wants_json(self) -> bool:
        """Whether the client asks for data instead of a page."""
        return "json" in self.request.headers.get("accept", "")

    @property
    def next_path(self) -> str:
        """The path on this site to go on to, by the `next` parameter; "" for none."""
        return safe_next(self.request.query_params.get("next", "")) or ""
