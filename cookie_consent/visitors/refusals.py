"""Turns a problem into a response: problem details (RFC 9457) for programs, a page for people."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import JSONResponse, Response

from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.problem import Problem
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.wording import Wording
from cookie_consent.visitors.responses import page
from cookie_consent.visitors.settings import SettingsEndpoints


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
