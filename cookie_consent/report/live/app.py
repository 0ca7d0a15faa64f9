"""An ASGI app that shows a live report. A site mounts it behind its own login."""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from queue import SimpleQueue
from threading import Thread, main_thread
from typing import Any, TypeAlias

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from cookie_consent.base.clock import time_zone
from cookie_consent.base.threads import call_after_fork, wait_for_result
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.engines.engine import parse_memory
from cookie_consent.report.page.page import STYLE_SOURCE, live_page
from cookie_consent.report.question import LAST_DAYS, parse_day
from cookie_consent.report.settings import Settings, read_settings
from cookie_consent.report.where import MOST_FILTERS, parse_filter

KEPT_FOR = 10.0
"""How long a page counts, in seconds."""
MOST_PAGES = 16
"""The largest number of pages that are kept, being computed or queued."""
_LONGEST_END = 2.0
"""How long the process waits at its end for a running report, in seconds."""

Asked: TypeAlias = tuple[tuple[str, str | tuple[str, ...]], ...]
"""A question: the fields of the form, the filters as "where", and the day on which it is asked as "today"."""
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
FIELDS = ("period", "from", "to", "host", "compare", "step")
"""The fields of the form."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and when it was made."""

    status: int
    html: str
    made_at: float


@dataclass(slots=True, eq=False, weakref_slot=True)
class Pages:
    """Renders pages in a thread, one at a time, and keeps a limited number of them for some seconds.

    The thread is a daemon: when the process ends, a page in progress is abandoned. An executor would wait for its
    thread, for as long as a database takes.

    Args:
        make: renders the page for a question; may block, and never raises.
        clock: returns seconds.
        is_over: tells whether the process is ending.
    """

    make: Callable[[Asked], Page]
    clock: Callable[[], float]
    is_over: Callable[[], bool] = lambda: not main_thread().is_alive()
    _pages: dict[Asked, Future[Page]] = field(default_factory=dict)
    _questions: SimpleQueue[tuple[Asked, Future[Page]] | None] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None

    def after_fork(self) -> None:
        """Start empty in the child process, with no pages and no thread."""
        self._pages = {}
        self._questions = SimpleQueue()
        self._thread = None

    async def get(self, asked: Asked) -> Page | None:
        """Return the page for a question; None if too many are queued."""
        self._pages = {each: page for each, page in self._pages.items() if not self._is_old(page)}
        if asked not in self._pages:
            if len(self._pages) >= MOST_PAGES and not self._drop_oldest():
                return None
            self._pages[asked] = self._start(asked)
        # Cancelling one request must not cancel the page for others who wait for it.
        return await wait_for_result(self._pages[asked], shared=True)

    def _start(self, asked: Asked) -> Future[Page]:
        # A future that belongs to no event loop: a thread sets it, and requests of several loops may wait for it.
        page: Future[Page] = Future()
        if self._thread is None:
            thread = Thread(target=self._work, name="report", daemon=True)
            thread.start()
            self._thread = thread  # only now: if starting failed, the next question tries again
            atexit.register(self._end, thread)
        self._questions.put((asked, page))
        return page

    def _work(self) -> None:
        while (question := self._questions.get()) and not self.is_over():
            asked, page = question
            made = self.make(asked)
            if not self.is_over():  # otherwise its event loop is gone too
                page.set_result(made)

    def _end(self, thread: Thread) -> None:
        self._questions.put(None)
        thread.join(_LONGEST_END)

    def _drop_oldest(self) -> bool:
        """Drop the page that was made first; return False if none is made."""
        made = [asked for asked, page in self._pages.items() if page.done()]
        if made:
            del self._pages[made[0]]
        return bool(made)

    def _is_old(self, page: Future[Page]) -> bool:
        # An age below 0 means that the clock was set back.
        return page.done() and not 0 <= self.clock() - page.result().made_at < KEPT_FOR


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
            function.
        clock: returns seconds since 1970.

    Raises:
        ValueError: `memory` is no size, there is no such time zone, or the policy file cannot be read or has wrong
            goals.
    """
    if authorize is None:
        _log.warning(_NO_AUTHORIZE)
    make = make or partial(report, may_be_new=True)
    if memory is not None:
        make = partial(make, memory=parse_memory(memory) if isinstance(memory, str) else memory)
    settings = policy if isinstance(policy, Settings) else read_settings(policy)
    local = time_zone(settings.time_zone)
    pages = call_after_fork(Pages(lambda asked: _render(access_log, asked, settings, make, clock()), clock))

    async def show(request: Request) -> Response:
        if not await _may_see(request, authorize):
            return _page(request, 403, live_page(None, None, "You may not see this report."))
        form = read_form(request.query_params)
        today = datetime.fromtimestamp(clock(), local).date().isoformat()
        page = await pages.get((*form.items(), ("today", today)))
        if page is None:
            busy = "Too many reports are waited for. Try again in a moment."
            return _page(request, 503, live_page(form, None, busy), {"retry-after": str(round(KEPT_FOR))})
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
    form: dict[str, Any] = dict(asked)
    today = date.fromisoformat(form.pop("today"))
    try:
        made = make(access_log, **read_question(form, today), time_zone=settings.time_zone, goals=settings.goals)
        return Page(200, live_page(form, made), now)
    except UnreadableError as error:
        status = 503
        problem = str(error)
    except ValueError as error:
        status = 400
        problem = str(error)
    except Exception:  # noqa: BLE001 (an unexpected error is logged, and people still get a page)
        _log.exception("A report could not be made.")
        status = 500
        problem = "The report could not be made. The server's log says why."
    return Page(status, live_page(form, None, problem), now)


def read_form(query: QueryParams) -> dict[str, str | tuple[str, ...]]:
    """Return the values of the form's fields, and the filters as "where", from the query string.

    A range up to today has a period, like "7d". It is still one up to today when the page's address is opened later.
    """
    values = {name: query.get(name, "").strip() for name in FIELDS}
    if values["from"] or values["to"]:
        values["period"] = ""
    elif not values["period"]:
        values["period"] = f"{LAST_DAYS}d"
    # One filter too many is enough to refuse them.
    return {**values, "where": tuple(query.getlist("where")[: MOST_FILTERS + 1])}


def read_question(form: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return the arguments of the report that a form asks for.

    Raises:
        ValueError: a day or a filter is none; the message says what is allowed.
    """
    last = "yesterday" if form["period"] == "yesterday" else "today"
    return {
        "since": parse_day(form["period"] or form["from"] or f"{LAST_DAYS}d", today),
        "until": parse_day(form["to"] or last, today),
        "host": form["host"] or None,
        "where": tuple(map(parse_filter, form["where"])),
        "step": form["step"] or None,
        "compare": form["compare"] or None,
    }
