"""Serves the paths under the prefix.

A request becomes an `Inquiry`. `routes` finds its handler. `guard` checks each POST. The handler returns the response.
If it raises a `Problem`, `Refusals` turns that into a response: problem details (RFC 9457) for programs, a page for
people.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.base.addresses import safe_next, scope_at
from cookie_consent.base.messages import check
from cookie_consent.base.request_fields import GPC_FIELD
from cookie_consent.decision.visit import deletions, without_held
from cookie_consent.endpoints.guard import refuse_other_sites
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.responses import page
from cookie_consent.endpoints.routes import GPC_PATH, Routes
from cookie_consent.endpoints.settings import SettingsEndpoints
from cookie_consent.http.forms import Problem
from cookie_consent.http.site import Site
from cookie_consent.pages.pages import Pages
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.locales import accepted_language, match_language

_DEPENDS = "Cookie, Sec-GPC, DNT, Accept, Accept-Language, Sec-Fetch-Site, Origin"


def checked_prefix(prefix: str) -> str:
    """Return the path of the endpoints, checked.

    Raises:
        ValueError: it is no valid path.
    """
    is_path = isinstance(prefix, str) and prefix[-1:] != "/" and safe_next(prefix) is not None
    is_valid = is_path and not {"?", "#"} & set(prefix)
    check(
        "prefix", prefix, is_valid=is_valid, remedy='Write a path like "/privacy-choices", without a slash at its end.'
    )
    return prefix


class Endpoints:
    """Serves the endpoints.

    Args:
        parts: the parts of the middleware.
    """

    def __init__(self, parts: Site) -> None:
        self._visits, self._gate, self._clock, self._prefix = parts.visits, parts.gate, parts.clock, parts.prefix
        self._site, self._app_language = parts.policy.site, parts.app_language
        self._place_of = parts.own_cookies.place
        self._routes = Routes(parts)
        self._refusals = Refusals(parts.policy, parts.pages, self._routes.settings, parts.prefix)

    def serves(self, path: str) -> bool:
        """Tell whether a path inside the app is an endpoint."""
        return path in (self._prefix, GPC_PATH) or path.startswith(f"{self._prefix}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Serve a request.

        Args:
            scope: the ASGI scope.
            receive: receives the body.
            send: sends the response.
            path: the path inside the app, for which `serves` is true.
        """
        inquiry = self._inquiry(scope, receive, path)
        try:
            response = await self._respond(inquiry)
        except Problem as problem:
            response = await self._refusals.of(inquiry, problem)
        except ClientDisconnect:
            return
        self._finish(response, inquiry)
        await response(scope, receive, send)

    def _inquiry(self, scope: Scope, receive: Receive, path: str) -> Inquiry:
        # Never from another site: a link there could switch off for good what the visitor has granted.
        if b"gpc=1" in scope.get("query_string", b"").split(b"&") and not _is_from_elsewhere(scope):
            # The script sees the signal even if a proxy removed the field (GPC, section "JavaScript Property").
            scope = {**scope, "headers": [*scope["headers"], (GPC_FIELD, b"1")]}
        request, visit = Request(scope, receive), self._visits.read(scope, path)
        language = self._language(request, without_held(scope, visit), path)
        place, now = self._place_of(scope), self._clock()
        return Inquiry.of(request, visit, place=place, language=language, path=path, prefix=self._prefix, now=now)

    async def _respond(self, inquiry: Inquiry) -> Response:
        handler = self._routes.handler(inquiry.request.method, inquiry.path)
        if inquiry.request.method == "POST":
            refuse_other_sites(inquiry.request)
        return await handler(inquiry)

    def _finish(self, response: Response, inquiry: Inquiry) -> None:
        """Add the header fields that all responses share."""
        visit, method = inquiry.visit, inquiry.request.method
        response.headers["x-content-type-options"] = "nosniff"
        response.headers.setdefault("cache-control", "no-store")
        response.headers.setdefault("vary", _DEPENDS)
        caching = response.headers["cache-control"]
        if method == "HEAD":
            # Content-Length stays that of a GET (RFC 9110, section 9.3.2).
            response.body = b""
        # The handler of an answer sets and deletes cookies itself, by what holds after the answer.
        if method == "POST":
            return
        if visit.signal_cookie is not None and caching == "no-store":
            response.raw_headers.append((b"set-cookie", visit.signal_cookie))
        # Shared caches would hand a Set-Cookie on a public response to everybody.
        if visit.refused_cookies and "public" not in caching:
            response.raw_headers.extend(deletions(self._gate, visit, inquiry.request.scope))
            if visit.decision.record is None:
                response.raw_headers.extend(self._routes.tracing.ended(inquiry))

    def _language(self, request: Request, seen_by_app: Scope, path: str) -> str:
        """Return the language of the response.

        These are tried in order: `?language=`; the app's own choice; `?page_language=`, the language of the page that
        the question is for; the browser's languages; the prevailing language. For a question, the app's choice is that
        for its page.
        """
        site, query, app_language = self._site, request.query_params, self._app_language
        page_path = safe_next(query.get("next", ""))
        if page_path and path.rstrip("/") == f"{self._prefix}/question":
            seen_by_app = scope_at(seen_by_app, page_path)
        return (
            match_language(query.get("language", ""), site.languages)
            or (app_language(seen_by_app) if app_language is not None else None)
            or match_language(query.get("page_language", ""), site.languages)
            or accepted_language(request.headers.get("accept-language", ""), site.languages)
            or site.prevailing_language
        )


def _is_from_elsewhere(scope: Scope) -> bool:
    """Tell whether a page of another origin sent a request, for example by a link (Fetch Metadata)."""
    return any(name == b"sec-fetch-site" and value in (b"cross-site", b"same-site") for name, value in scope["headers"])


class Refusals:
    """Makes the responses for problems.

    Args:
        policy: the site's policy.
        pages: renders the pages.
        settings: makes the settings page, which is shown again if the policy has changed.
        prefix: the path of the endpoints inside the app.
    """

    def __init__(self, policy: Policy, pages: Pages, settings: SettingsEndpoints, prefix: str) -> None:
        self._policy, self._pages, self._settings, self._prefix = policy, pages, settings, prefix

    async def of(self, inquiry: Inquiry, problem: Problem) -> Response:
        """Return the response for a problem."""
        inquiry = replace(inquiry, language=problem.language or inquiry.language)
        path, next_path = inquiry.path.rstrip("/"), safe_next(problem.next) or ""
        # No person reads the response to an event, whatever its content type.
        if path == f"{self._prefix}/events" or not _wants_page(inquiry):
            response: Response = JSONResponse(problem.document(), problem.status, media_type="application/problem+json")
        elif problem.text == "error_policy_changed":
            response = await self._settings.settings_page(
                inquiry, next_path=next_path, notice=problem.text, status=problem.status
            )
        else:
            title = "error_title" if path == self._prefix else "error_request"
            response = page(self._message(inquiry, title, problem.text, next_path), inquiry.language, problem.status)
        response.headers.update(problem.headers)
        response.raw_headers += problem.fields
        return response

    def _message(self, inquiry: Inquiry, title: str, text: str, next_path: str) -> str:
        words = Wording(self._policy, inquiry.language)
        return self._pages.message(
            inquiry.visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            title=words(title),
            text=words(text),
            next_path=next_path,
        )


def _wants_page(inquiry: Inquiry) -> bool:
    """Tell whether a person reads the response: one who sent a form and did not ask for JSON, or followed a link."""
    if inquiry.request.method == "POST":
        return inquiry.is_form and not inquiry.wants_json
    return "text/html" in inquiry.request.headers.get("accept", "")
