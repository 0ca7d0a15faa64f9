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

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from cookie_consent.base.clock import time_zone
from cookie_consent.base.threads import call_after_fork, wait_for_result
from cookie_consent.report import UnreadableError
from cookie_consent.report.engines.engine import parse_memory
from cookie_consent.report.live.form import FIELDS, form_values, question_from_form
from cookie_consent.report.live.kept import KeptReports
from cookie_consent.report.page.page import STYLE_SOURCE, live_page
from cookie_consent.report.settings import Settings, read_settings
from cookie_consent.report.where import MOST_FILTERS

Authorize: TypeAlias = Callable[[Request], bool | Awaitable[bool]]
Make: TypeAlias = Callable[..., Mapping[str, Any]]
Asked: TypeAlias = tuple[tuple[str, str], ...]

KEPT_FOR = 10.0
"""How long a page is cached, in seconds."""
_MAX_KEPT = 16
"""The largest number of pages that are cached, being computed or queued."""
_LONGEST_END = 2.0
"""How long the process waits at its end for a running report, in seconds."""
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
            function, whose figures are kept in memory until a file of the access log changes.
        clock: returns seconds since 1970.

    Raises:
        ValueError: `memory` is no size, there is no such time zone, or the policy file cannot be read or has wrong
            goals.
    """
    if authorize is None:
        _log.warning(_NO_AUTHORIZE)
    make = make or KeptReports(access_log, clock)
    if memory is not None:
        make = partial(make, memory=parse_memory(memory) if isinstance(memory, str) else memory)
    settings = policy if isinstance(policy, Settings) else read_settings(policy)
    local = time_zone(settings.time_zone)
    pages = call_after_fork(_Pages(lambda asked: _render(access_log, asked, settings, make, clock()), clock))

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


@dataclass(frozen=True, slots=True)
class _Rendered:
    status: int
    html: str


def _render(access_log: str | os.PathLike[str], asked: Asked, settings: Settings, make: Make, now: float) -> _Rendered:
    """Return the page for a question. Every failure becomes a page too."""
    form = {name: value for name, value in asked if name in FIELDS}
    today = date.fromisoformat(dict(asked)["today"])
    where = [value for name, value in asked if name == "where"]
    fields = {**form, "where": where}
    try:
        question, compare = question_from_form(form, settings.time_zone, now, today, where)
        names = ("since", "until", "host", "where", "time_zone", "step")
        asked_for = {name: getattr(question, name) for name in names}
        figures = make(access_log, **asked_for, goals=settings.goals, compare=compare)
        return _Rendered(200, live_page(fields, figures))
    except UnreadableError as error:
        return _Rendered(503, live_page(fields, None, str(error)))
    except ValueError as error:
        return _Rendered(400, live_page(fields, None, str(error)))
    except Exception:  # noqa: BLE001 (an unexpected error is logged, and people still get a page)
        _log.exception("A report could not be made.")
        return _Rendered(500, live_page(fields, None, "The report could not be made. The server's log says why."))


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Pages:
    """Renders pages in a thread, one at a time, and caches a limited number of them for some seconds.

    The thread is a daemon: when the process ends, a page in progress is abandoned. An executor would wait for its
    thread, for as long as a database takes.

    Args:
        make: renders the page for a question; may block, and never raises.
        clock: returns seconds.
        is_over: tells whether the process is ending.
    """

    make: Callable[[Asked], _Rendered]
    clock: Callable[[], float]
    is_over: Callable[[], bool] = lambda: not main_thread().is_alive()
    _cache: dict[Asked, Future[tuple[float, _Rendered]]] = field(default_factory=dict)
    _asked: SimpleQueue[tuple[Asked, Future[tuple[float, _Rendered]]] | None] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None

    def after_fork(self) -> None:
        """Start empty in the child process, with no pages and no thread."""
        self._cache, self._asked, self._thread = {}, SimpleQueue(), None

    async def get(self, asked: Asked) -> _Rendered | None:
        """Return the page for a question; None if too many are queued."""
        self._forget(KEPT_FOR)
        if asked not in self._cache:
            if len(self._cache) >= _MAX_KEPT:
                # Full: give up finished pages early, before turning anybody away.
                self._forget(0)
            if len(self._cache) >= _MAX_KEPT:
                return None
            self._cache[asked] = self._start(asked)
        # Cancelling one request must not cancel the page for others who wait for it.
        return (await wait_for_result(self._cache[asked], shared=True))[1]

    def _start(self, asked: Asked) -> Future[tuple[float, _Rendered]]:
        # A future that belongs to no event loop: a thread sets it, and requests of several loops may wait for it.
        page: Future[tuple[float, _Rendered]] = Future()
        if self._thread is None:
            thread = Thread(target=self._work, name="report", daemon=True)
            thread.start()
            self._thread = thread  # only now: if starting failed, the next question tries again
            atexit.register(self._end, thread)
        self._asked.put((asked, page))
        return page

    def _work(self) -> None:
        while (next_one := self._asked.get()) and not self.is_over():
            asked, page = next_one
            rendered = self.clock(), self.make(asked)
            if not self.is_over():  # otherwise its event loop is gone too
                page.set_result(rendered)

    def _end(self, thread: Thread) -> None:
        self._asked.put(None)
        thread.join(_LONGEST_END)

    def _forget(self, age: float) -> None:
        """Drop finished pages that are older than so many seconds."""
        now = self.clock()
        for asked, page in list(self._cache.items()):
            # An age below 0 means that the clock was set back.
            if page.done() and not 0 <= now - page.result()[0] < age:
                del self._cache[asked]
