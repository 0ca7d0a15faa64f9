"""Shows a report live: an app of its own, to be mounted behind the login that a site has."""

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
from datetime import UTC, date, datetime
from functools import partial
from queue import SimpleQueue
from threading import Thread, main_thread
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from cookie_consent.base.process.event_loop import result_of
from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.live.form import asked_for, question_of
from cookie_consent.report.memory import parse_memory
from cookie_consent.report.page.page import STYLE_SOURCE, live_page

Authorize: TypeAlias = Callable[[Request], bool | Awaitable[bool]]
Make: TypeAlias = Callable[..., Mapping[str, Any]]
Asked: TypeAlias = tuple[tuple[str, str], ...]

KEPT_FOR = 10.0
"""A page answers the same question for so long (seconds)."""
_MOST_KEPT = 16
"""Pages that are kept, being made, or waited for."""
_LONGEST_END = 2.0
"""The end of the process waits so long for a report that is being made to be given up (seconds)."""
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_MAKE: Make = partial(report, may_be_new=True)
"""A site that has just started has no record yet: its report is empty, and no error."""
_NOBODY = "report_app: nobody may see the report. Say who may: report_app(…, authorize=lambda request: …)"
_log = logging.getLogger("cookie_consent")


def report_app(
    access_log: str | os.PathLike[str],
    *,
    authorize: Authorize | None = None,
    memory: int | str | None = None,
    make: Make = _MAKE,
    clock: Callable[[], float] = time.time,
) -> ASGIApp:
    """Return an app that shows a report of an access log: `Mount("/report", app=report_app(…, authorize=…))`.

    Args:
        access_log: as `cookie_consent.report.report` takes it.
        authorize: takes a request and returns True if this person may see the report; may be asynchronous. Anything
            else, and leaving it out, is a refusal (403): what is behind a login of another kind has to say so,
            `authorize=lambda request: True`.
        memory: how much reading files may take, in bytes or like "2GB"; by default a quarter of the machine's, and
            512 MB at least.
        make: makes the report, in a thread, with the arguments of `cookie_consent.report.report`.
        clock: returns seconds since 1970.

    Raises:
        ValueError: `memory` is no size.
    """
    if authorize is None:
        _log.warning(_NOBODY)
    if memory is not None:
        make = partial(make, memory=parse_memory(memory) if isinstance(memory, str) else memory)
    pages = call_after_fork(_Pages(lambda asked: _made(access_log, asked, make), clock))

    async def show(request: Request) -> Response:
        if not await _may_see(request, authorize):
            return _page(request, 403, live_page(None, None, "You may not see this report."))
        asked = asked_for(request.query_params, _today(clock()))
        made = await pages.get(tuple(asked.items()))
        if made is None:
            busy = "Too many reports are waited for. Try again in a moment."
            return _page(request, 503, live_page(asked, None, busy), {"retry-after": str(round(KEPT_FOR))})
        return _page(request, made.status, made.html)

    return Router([Route("/", show, methods=["GET"])])


async def _may_see(request: Request, authorize: Authorize | None) -> bool:
    """Tell whether a report is shown: to whom it may be, and not to a foreign page that loads it into itself."""
    headers = request.headers
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
        return False
    allowed = authorize is not None and authorize(request)
    return (await allowed if inspect.isawaitable(allowed) else allowed) is True


def _today(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


def _page(request: Request, status: int, html: str, headers: Mapping[str, str] | None = None) -> Response:
    policy = f"{_POLICY}; style-src {STYLE_SOURCE}"
    if request.scope.get("state", {}).get("consent") is not None:
        # The site's own question may be put into this page too; the nonce is for its script and its stylesheet.
        nonce = f"'nonce-{secrets.token_urlsafe(16)}'"
        policy += f" {nonce}; script-src {nonce}; connect-src 'self'"
    return HTMLResponse(html, status, {**_HEADERS, "content-security-policy": policy, **(headers or {})})


@dataclass(frozen=True, slots=True)
class _Made:
    status: int
    html: str


def _made(access_log: str | os.PathLike[str], asked: Asked, make: Make) -> _Made:
    """Return the page that answers a question; whatever goes wrong, it says so."""
    fields = dict(asked)
    try:
        question, compare = question_of(fields)
        since, until, host, path = question.since, question.until, question.host, question.path
        made = make(access_log, since=since, until=until, host=host, path=path, compare=compare)
        return _Made(200, live_page(fields, made))
    except ValueError as error:
        return _Made(400, live_page(fields, None, str(error)))
    except UnreadableError as error:
        return _Made(503, live_page(fields, None, str(error)))
    except Exception:  # noqa: BLE001 (whatever it is, it is logged, and people get a page)
        _log.exception("A report could not be made.")
        return _Made(500, live_page(fields, None, "The report could not be made. The server's log says why."))


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Pages:
    """Makes pages in a thread, one at a time, and keeps each for some seconds. It is bounded.

    Nobody needs a page of a process that ends: it is given up then. An executor's thread would be waited for, for as
    long as a database takes.

    Args:
        make: makes the page that answers a question; it may block, and never raises.
        clock: returns seconds.
        is_over: whether the process ends.
    """

    make: Callable[[Asked], _Made]
    clock: Callable[[], float]
    is_over: Callable[[], bool] = lambda: not main_thread().is_alive()
    _kept: dict[Asked, Future[tuple[float, _Made]]] = field(default_factory=dict)
    _asked: SimpleQueue[tuple[Asked, Future[tuple[float, _Made]]] | None] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None

    def after_fork(self) -> None:
        """Have no page, and no thread that makes one."""
        self._kept, self._asked, self._thread = {}, SimpleQueue(), None

    async def get(self, asked: Asked) -> _Made | None:
        """Return the page that answers a question; None where too many are waited for."""
        self._forget(KEPT_FOR)
        if asked not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._forget(0)
            if len(self._kept) >= _MOST_KEPT:
                return None
            self._kept[asked] = self._start(asked)
        # Somebody who goes away takes the page from nobody else.
        return (await result_of(self._kept[asked], shared=True))[1]

    def _start(self, asked: Asked) -> Future[tuple[float, _Made]]:
        page: Future[tuple[float, _Made]] = Future()
        if self._thread is None:
            thread = Thread(target=self._work, name="report", daemon=True)
            thread.start()
            self._thread = thread  # only now: where none can be started, the next question tries it again
            atexit.register(self._end, thread)
        self._asked.put((asked, page))
        return page

    def _work(self) -> None:
        while (next_one := self._asked.get()) and not self.is_over():
            asked, page = next_one
            made = self.clock(), self.make(asked)
            if not self.is_over():  # else its event loop has ended, too
                page.set_result(made)

    def _end(self, thread: Thread) -> None:
        self._asked.put(None)
        thread.join(_LONGEST_END)

    def _forget(self, age: float) -> None:
        """Forget the pages that are older than so many seconds."""
        now = self.clock()
        for asked, page in list(self._kept.items()):
            if page.done() and not 0 <= now - page.result()[0] < age:
                del self._kept[asked]
