"""A request to an endpoint, with what handlers need to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from starlette.requests import Request

from cookie_consent.base.addresses import address, safe_next
from cookie_consent.decision.place import Place
from cookie_consent.decision.visit import Visit, cookies_of
from cookie_consent.http.forms import is_form


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A request to an endpoint.

    Args:
        request: the Starlette request.
        visit: what the visitor's cookies and signals say.
        language: the language of the response.
        path: the path inside the app.
        base: the address of the endpoints, with the mount path of the app.
        place: where our own cookies live.
        cookies: the Cookie field.
        content_type: the Content-Type field; "" if missing.
        is_form: whether an HTML form sent the body.
        now: when the request arrived, in seconds since 1970.
    """

    request: Request
    visit: Visit
    language: str
    path: str
    base: str
    place: Place
    cookies: bytes
    content_type: str
    is_form: bool
    now: float

    @classmethod
    def of(  # noqa: PLR0913 (what differs from request to request)
        cls, request: Request, visit: Visit, *, place: Place, language: str, path: str, prefix: str, now: float
    ) -> Self:
        """Return the inquiry for a request.

        Args:
            request: the Starlette request.
            visit: what the visitor's cookies and signals say.
            place: where our own cookies live.
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
            place=place,
            cookies=cookies_of(scope),
            content_type=content_type,
            is_form=is_form(content_type),
            now=now,
        )

    @property
    def counts_on(self) -> tuple[str, ...]:
        """The hosts on which an answer counts that is given here; none if it counts on this host alone."""
        return self.visit.decision.policy.site.hosts if self.place.host else ()

    @property
    def wants_json(self) -> bool:
        """Whether the client accepts JSON rather than a page."""
        return "json" in self.request.headers.get("accept", "")

    @property
    def next_path(self) -> str:
        """The path on this site to return to, from the parameter `next`; "" for none."""
        return safe_next(self.request.query_params.get("next", "")) or ""
