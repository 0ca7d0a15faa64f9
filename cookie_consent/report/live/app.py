"""An ASGI app that shows a live report. A site mounts it behind its own login."""

from __future__ import annotations

import inspect
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from cookie_consent.base.clock import time_zone
from cookie_consent.base.threads import call_after_fork
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.engines.engine import live_file, parse_memory
from cookie_consent.report.live.form import FIELDS, form_values, question_from_form
from cookie_consent.report.live.pages import GOOD, KEPT_FOR, Asked, Page, Pages, state_of
from cookie_consent.report.page.page import STYLE_SOURCE, live_page
from cookie_consent.report.settings import Settings, read_settings
from cookie_consent.report.where import MOST_FILTERS

Authorize: TypeAlias = Callable[[Request], bool | Awaitable[bool]]
Make: TypeAlias = Callable[..., Mapping[str, Any]]

_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NO_AUTHORIZE = "report_app: nobody may see the report. Say who may: report_app(…, authorize=lambda request: …)"
_log = logging.getLogger("cookie_consent")


def report_app(
    access_log: str | os.PathLike[str],
    *,
    authorize: Authorize | None = None,
    policy: str | os.PathLike[str] | Settings | None = None,
    memory: int | str | None = None,
    make: Make | None = None,
    clock: Callable[[], float] = time.time,
) -> ASGIApp:
    """Return an app that shows a report of an access log: `Mount("/report", app=report_app(…, authorize=…))`.

    Args:
        access_log: as for `cookie_consent.report.report`.
        authorize: takes a request and returns True if this person may see the report; may be asynchronous. Any other
            result refuses (403), and so does leaving it out. If a login of another kind protects the app, pass `lambda
            request: True`.
        policy: the site's policy file, which has the time zone, goals and funnels, or the settings themselves; by
            default, days and hours are in UTC.
        memory: the limit for reading files, in bytes or like "2GB"; by default a quarter of the machine's memory, and
            at least 512 MB.
        make: computes the report, in a thread, with the arguments of `cookie_consent.report.report`; by default that
            function. Then a page is also cached until a file of the access log changes.
        clock: returns seconds since 1970.

    Raises:
        ValueError: `memory` is no size, there is no such time zone, or the policy file cannot be read or has wrong
            goals.
    """
    if authorize is None:
        _log.warning(_NO_AUTHORIZE)
    state = partial(state_of, live_file(access_log), clock) if make is None else lambda: None
    make = make or partial(report, may_be_new=True)
    if memory is not None:
        make = partial(make, memory=parse_memory(memory) if isinstance(memory, str) else memory)
    settings = policy if isinstance(policy, Settings) else read_settings(policy)
    local = time_zone(settings.time_zone)
    pages = call_after_fork(Pages(lambda asked: _render(access_log, asked, settings, make, clock()), state, clock))

    async def show(request: Request) -> Response:
        if not await _may_see(request, authorize):
            return _page(request, 403, live_page(None, None, "You may not see this report."))
        asked = form_values(request.query_params)
        # One filter too many is enough to refuse them.
        where = request.query_params.getlist("where")[: MOST_FILTERS + 1]
        today = datetime.fromtimestamp(clock(), local).date()
        page = await pages.get((("today", today.isoformat()), *asked.items(), *(("where", text) for text in where)))
        if page is None:
            busy = "Too many reports are waited for. Try again in a moment."
            return _page(
                request, 503, live_page({**asked, "where": where}, None, busy), {"retry-after": str(round(KEPT_FOR))}
            )
        return _page(request, page.status, page.html)

    return Router([Route("/", show, methods=["GET"])])


async def _may_see(request: Request, authorize: Authorize | None) -> bool:
    """Tell whether to show the report: not to people without permission, and not inside a page of another site."""
    headers = request.headers
    # A link from another site may open the report. A frame, a script or an image of it may not.
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
        return False
    allowed = authorize is not None and authorize(request)
    # `is True`: a function that returns something else by mistake, such as a user object, lets nobody in.
    return (await allowed if inspect.isawaitable(allowed) else allowed) is True


def _page(request: Request, status: int, html: str, headers: Mapping[str, str] | None = None) -> Response:
    policy = f"{_POLICY}; style-src {STYLE_SOURCE}"
    if request.scope.get("state", {}).get("consent") is not None:
        # The middleware may add its banner to this page. The nonce allows the banner's script and style sheet.
        nonce = f"'nonce-{secrets.token_urlsafe(16)}'"
        policy += f" {nonce}; script-src {nonce}; connect-src 'self'"
    return HTMLResponse(html, status, {**_HEADERS, "content-security-policy": policy, **(headers or {})})


def _render(access_log: str | os.PathLike[str], asked: Asked, settings: Settings, make: Make, now: float) -> Page:
    """Return the page for a question. Every failure becomes a page too."""
    form: dict[str, Any] = {name: value for name, value in asked if name in FIELDS}
    form["where"] = [value for name, value in asked if name == "where"]
    try:
        question = question_from_form(form, settings.time_zone, now, date.fromisoformat(dict(asked)["today"]))
        return Page(GOOD, live_page(form, make(access_log, **question, goals=settings.goals)))
    except UnreadableError as error:
        return Page(503, live_page(form, None, str(error)))
    except ValueError as error:
        return Page(400, live_page(form, None, str(error)))
    except Exception:  # noqa: BLE001 (an unexpected error is logged, and people still get a page)
        _log.exception("A report could not be made.")
        return Page(500, live_page(form, None, "The report could not be made. The server's log says why."))
