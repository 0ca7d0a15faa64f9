"""A request to one of our endpoints, and what several endpoints need to reply."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from anyio import fail_after
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope

from cookie_consent.base.addresses import address, safe_next, scope_at
from cookie_consent.base.bounds import LONGEST_WAIT
from cookie_consent.base.messages import log_failure
from cookie_consent.decision.visit import cookies_of, without_held
from cookie_consent.http.forms import Problem, is_form
from cookie_consent.http.site import Site
from cookie_consent.texts.locales import accepted_language, match_language

_STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
Result = TypeVar("Result")


class OwnRequest(Request):
    """A request to one of our endpoints.

    Attributes:
        path: the path inside the app.
        now: when it arrived, in seconds since 1970.
        visit: what the visitor's cookies and signals say.
        place: where our own cookies live.
        base: the address of the endpoints, with the mount path of the app.
        cookie_field: the Cookie field.
        content_type: the Content-Type field; "" if missing.
        is_form: whether an HTML form sent the body.
        wants_json: whether the client accepts JSON rather than a page.
        next_path: the path on this site to return to, from the parameter `next`; "" for none.
        language: the language of the reply.
    """

    def __init__(self, site: Site, scope: Scope, receive: Receive, path: str) -> None:
        super().__init__(scope, receive)
        self.path = path
        self.now = site.clock()
        self.visit = site.visits.read(scope, path)
        self.place = site.own_cookies.place(scope)
        self.base = address(scope.get("root_path", ""), site.prefix)
        self.cookie_field = cookies_of(scope)
        self.content_type = self.headers.get("content-type", "")
        self.is_form = is_form(self.content_type)
        self.wants_json = "json" in self.headers.get("accept", "")
        self.next_path = safe_next(self.query_params.get("next", "")) or ""
        self.language = choose_language(site, self)

    @property
    def counts_on(self) -> tuple[str, ...]:
        """The hosts on which an answer counts that is given here; none if it counts on this host alone."""
        return self.visit.decision.policy.site.hosts if self.place.host else ()


def choose_language(site: Site, request: OwnRequest) -> str:
    """Return the language of the reply.

    These are tried in order: `?language=`; the app's own choice; `?page_language=`, the language of the page that the
    question is for; the browser's languages; the prevailing language. For a question, the app's choice is that for its
    page.
    """
    offered = site.policy.site.languages
    language = match_language(request.query_params.get("language", ""), offered)
    if language is None and site.app_language is not None:
        seen_by_app = without_held(request.scope, request.visit)
        if request.next_path and request.path.rstrip("/") == f"{site.prefix}/question":
            seen_by_app = scope_at(seen_by_app, request.next_path)
        language = site.app_language(seen_by_app)
    return (
        language
        or match_language(request.query_params.get("page_language", ""), offered)
        or accepted_language(request.headers.get("accept-language", ""), offered)
        or site.policy.site.prevailing_language
    )


def make_page(html: str, language: str, status: int = 200, *, has_script: bool = False) -> Response:
    """Return a page of ours. Its Content-Security-Policy forbids scripts but our own, frames and other origins."""
    policy = f"{_STRICT}; script-src 'self'" if has_script else _STRICT
    headers = {"content-security-policy": policy, "referrer-policy": "same-origin", "content-language": language}
    return HTMLResponse(html, status, headers=headers)


async def wait_for_store(store: Awaitable[Result], longest: float | None = LONGEST_WAIT) -> Result:
    """Wait for the result of a ledger or sink, at most so many seconds; None for no limit.

    Raises:
        Problem: 503, it fails or takes longer.
    """
    try:
        with fail_after(longest):
            return await store
    except Exception as error:  # noqa: BLE001 (without the store, any reply would be wrong)
        log_failure("What is kept could not be read or changed; the request was refused", error)
        raise Problem(503, "What is kept cannot be reached just now.", "error_unavailable") from None
