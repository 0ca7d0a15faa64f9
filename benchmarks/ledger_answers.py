"""Answers kept a second: visitors who answer without a pause, as raw requests to the middleware.

No client and no server takes of its time.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from urllib.parse import urlencode

from starlette.types import ASGIApp

from benchmarks import apps
from benchmarks.crew import Crew, Start, Worked, keep_busy, times
from benchmarks.ledger_stores import Store, check
from benchmarks.table import Cell, Table, ratio
from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.ledgers import open_ledger
from cookie_consent.own_cookies import new_id

CHOICES = ("accept_all", "refuse_all")
FIRST, AGAIN, SETTINGS, PROGRAM = "first answer", "banner again", "settings page", "program"
VISITORS = 32
NONE = "none"
_SOURCES = {FIRST: ("banner", "banner"), AGAIN: ("settings", "again"), SETTINGS: ("settings", "settings")}
"""Way to answer -> what the form says of itself: its source and its surface."""
_VERSION = Policy.load(apps.POLICY).version


@dataclass(frozen=True)
class Load:
    """How visitors answer.

    Args:
        way: how: for the first time in the banner, in the banner called back, on the settings page, or by a program of
            the site's, as JSON.
        processes: how many processes serve them.
        visitors: how many are there at once, in each process.
    """

    way: str
    processes: int
    visitors: int


class Visitor:
    """A visitor, who accepts and refuses by turns.

    Args:
        app: the site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._cookie, self._choices = app, b"", itertools.cycle(CHOICES)

    async def answer(self, way: str) -> None:
        """Answers once; with the cookie of the answer before, unless it is the first."""
        choice = next(self._choices)
        if way == PROGRAM:
            kind, body, expected = b"application/json", json.dumps({"choice": choice}).encode(), 200
        else:
            kind, body, expected = b"application/x-www-form-urlencoded", _form(way, choice), 303
        posted = [*apps.BROWSER, (b"content-type", kind), (b"content-length", b"%d" % len(body))]
        cookie = None if way == FIRST else self._cookie or None
        scope = apps.make_scope(apps.PREFIX, cookie, method="POST", browser=posted)
        reply = await apps.call(self._app, scope, body)
        assert reply.status == expected, f"{way}: {reply.status} {reply.body!r}"
        self._cookie = reply.cookies()


def _form(way: str, choice: str) -> bytes:
    source, surface = _SOURCES[way]
    fields = {"policy": _VERSION, "source": source, "language": "en", "surface": surface, "once": new_id()}
    return urlencode({**fields, "next": apps.ROUTE, "choice": choice}).encode()


def serve(load: Load, url: str | None, seconds: float, start: Start) -> Worked:
    """Serves visitors in this process.

    Args:
        load: how they answer.
        url: the ledger; None for none.
        seconds: for how long.
        start: waits until all processes are ready.
    """
    logging.disable()
    ledger = open_ledger(url) if url else None
    try:
        app = ConsentMiddleware(apps.bare_app(), apps.POLICY, apps.KEY, prefix=apps.PREFIX, ledger=ledger)
        works = [partial(Visitor(app).answer, load.way) for _ in range(load.visitors)]
        return asyncio.run(keep_busy(works, seconds, start))
    finally:
        if ledger:
            ledger.close()


def measure(stores: Sequence[Store], crew: Crew, rounds: int, seconds: float) -> Table:
    """Measures all cases in turns, and checks that each answer is in the ledger."""
    urls: dict[str, str | None] = {NONE: None, **{store.name: store.new() for store in stores}}
    loads = [
        *(Load(AGAIN, processes, each) for processes in crew.sizes for each in (1, VISITORS // processes)),
        *(Load(way, 1, VISITORS) for way in (FIRST, SETTINGS, PROGRAM)),
    ]
    worked: dict[tuple[str, Load], list[Worked]] = {(name, load): [] for name in urls for load in loads}
    commits: dict[str, list[float]] = {store.name: [] for store in stores}
    for _ in range(rounds):
        for store in stores:
            commits[store.name].append(store.commits(seconds / 2))
        for (name, load), done in worked.items():
            done.append(crew.work(load.processes, serve, load, urls[name], seconds))
    for name, url in urls.items():
        if url:
            check(url, sum(each.pieces for (at, _), done in worked.items() if at == name for each in done))
    table = Table("Answers kept")
    for (name, load), done in worked.items():
        rates = [each.rate for each in done]
        bare = [each.rate for each in worked[NONE, load]]
        row: dict[str, Cell] = {"ledger": name, "answer": load.way, "processes": load.processes}
        row |= {"visitors": load.processes * load.visitors, "answers/s": round(median(rates))}
        row |= {"of none": ratio(rates, bare), "of commits": ratio(rates, commits[name]) if name in commits else None}
        table.rows.append(row | times(done))
    table.notes += [f"{name}: {median(each):.0f} commits of a short row a second" for name, each in commits.items()]
    return table
