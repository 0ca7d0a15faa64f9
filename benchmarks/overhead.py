"""What the middleware adds to a request, in CPU time, as a ratio to what Starlette's sessions add."""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp, Scope

from benchmarks import apps
from cookie_consent.decision.own_cookies import HTTPS, OwnCookies
from cookie_consent.sinks import JsonLinesSink
from tests.support.asgi import Visitor, drive
from tests.support.waiting import wait_until

BARE = apps.bare_app()
COOKIE_ROUTE = "/articles/with-cookie"
FIRST_GET = """import asyncio, sys
from benchmarks.overhead import time_first_get
print(asyncio.run(time_first_get(sys.argv[1].encode())))
"""


@dataclass(frozen=True)
class Case:
    """One kind of request, the app that it is measured on, and the most that its ratio should be."""

    name: str
    app: ASGIApp
    cookies: Iterator[bytes]
    to_reach: float | str = ""
    path: str = apps.ROUTE
    sink: JsonLinesSink | None = None
    """Where the requests are traced to, which is measured with them."""


async def request_all(app: ASGIApp, scopes: list[Scope]) -> float:
    """Make the requests, and return the seconds of CPU. Each scope is freed after its request, as a server does."""
    scopes.reverse()
    started = time.process_time()
    while scopes:
        await app(scopes.pop(), apps.receive, apps.drop)
    await asyncio.sleep(0)
    return time.process_time() - started


def measure_pair(runner: asyncio.Runner, case: Case, block: int, *, bare_first: bool) -> float:
    """Return the microseconds that the app of a case adds to a request."""
    seconds = {}
    for app in (BARE, case.app) if bare_first else (case.app, BARE):
        scopes = [apps.make_scope(case.path, next(case.cookies)) for _ in range(block)]
        written = case.sink.stats().get("written", 0) if case.sink else 0
        gc.collect()
        seconds[app] = runner.run(request_all(app, scopes))
        if case.sink and app is not BARE:
            seconds[app] += wait_for_records(case.sink, written + block)
    return (seconds[case.app] - seconds[BARE]) / block * 1e6


def wait_for_records(sink: JsonLinesSink, written: int) -> float:
    """Wait until records are in the file, and return the seconds of CPU that others than this waiting needed."""
    process = time.process_time()
    thread = time.thread_time()
    wait_until(lambda: sink.stats().get("written", 0) >= written)
    return (time.process_time() - process) - (time.thread_time() - thread)


def make_unit() -> Case:
    """Return the case that counts as 1: a valid session."""
    session = SessionMiddleware(apps.bare_app(), apps.KEY)
    visitor = Visitor(session)
    visitor.get("/sign-in")
    return Case("session (the unit)", session, itertools.repeat(visitor.cookies.encode()))


def make_answers(refused: bytes) -> Iterator[bytes]:
    """Yield the cookie of a refusal for each second before this one."""
    own = OwnCookies(apps.KEY)
    (record,) = own.read_records(refused, HTTPS)
    for decided_at in itertools.count(record.decided_at - 1, -1):
        yield own.set_consent(replace(record, decided_at=decided_at), HTTPS).partition(b";")[0]


def make_cases(folder: Path) -> list[Case]:
    """Return the cases; the first is the unit."""
    sink = JsonLinesSink(folder / "access.jsonl")
    app = apps.consent_app(access_log=sink)
    no = Visitor(app)
    no.refuse()
    yes = Visitor(app)
    yes.accept()
    refused = no.cookies.encode()
    none = itertools.repeat(b"")
    no_again = itertools.repeat(refused)
    yes_again = itertools.repeat(yes.cookies.encode())
    forged = (refused[:-10] + b"%010x" % number for number in itertools.count())
    cases = [
        Case("no cookie", app, none, 0.45),
        Case("refused", app, no_again, 0.35),
        Case("granted and traced", app, yes_again, 1.25, sink=sink),
        Case("forged, comes again", app, itertools.repeat(next(forged)), 0.45),
        Case("forged, never seen before", app, forged, 1.1),
        Case("valid, never seen before", app, make_answers(refused), 1.8),
        Case("page, banner", app, none, 1.9, apps.PAGE_ROUTE),
        Case("page, refused", app, no_again, 1.5, apps.PAGE_ROUTE),
        Case("page, granted and traced", app, yes_again, 2.6, apps.PAGE_ROUTE, sink),
        Case("page that sets a cookie, banner", app, none, 2.4, COOKIE_ROUTE),
        Case("page that sets a cookie, refused", app, no_again, 2.0, COOKIE_ROUTE),
        Case("page in four pieces, banner", app, none, 2.7, "/articles/in-pieces"),
        Case("page with a nonce, banner", app, none, "30 µs", "/articles/with-nonce"),
        Case("cached page, banner", app, none, path="/articles/cached"),
        Case("cached page, refused", app, no_again, path="/articles/cached"),
    ]
    for case in cases:
        check_case(case)
    return [make_unit(), *cases]


def check_case(case: Case) -> None:
    """Check that the requests of a case are what its name says."""
    visitor = Visitor(case.app, [*apps.BROWSER[1:], (b"cookie", next(case.cookies))])
    words = {"refused": "refused", "valid": "refused", "granted": "granted"}
    expected = next((status for word, status in words.items() if word in case.name), "unknown")
    status = visitor.state()["status"]
    assert status == expected, f"{case.name}: the cookie is taken for {status}"
    reply = visitor.get(case.path)
    assert ("pchoice-form" in reply.text) == ("banner" in case.name), f"{case.name}: {reply.text}"
    assert ("session" in reply.set_cookies) == ("sets a cookie" in case.name), f"{case.name}: {reply.headers}"
    assert (len(reply.chunks) > 1) == ("pieces" in case.name), f"{case.name}: {len(reply.chunks)} pieces"


async def time_first_get(cookie: bytes) -> float:
    """Return how many milliseconds the first GET takes longer than on the bare app, after the server started."""
    milliseconds = []
    with TemporaryDirectory() as folder:
        app = apps.consent_app(access_log=f"{folder}/access.jsonl")
        ready = asyncio.Event()
        start = [{"type": "lifespan.startup"}]
        life = asyncio.create_task(drive(app, {"type": "lifespan", "state": {}}, start, lambda _: ready.set()))
        await ready.wait()
        for each in (BARE, BARE, app):
            request = apps.make_scope(apps.PAGE_ROUTE, cookie)
            began = time.perf_counter()
            await each(request, apps.receive, apps.drop)
            milliseconds.append((time.perf_counter() - began) * 1000)
        life.cancel()
    return milliseconds[2] - milliseconds[1]


def print_first_gets(cases: list[Case], processes: int) -> None:
    """Print how long the first GET of a process takes."""
    rows = []
    for case in cases:
        command: list[str | bytes] = [sys.executable, "-c", FIRST_GET, next(case.cookies)]
        took = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(processes)]
        rows.append({"case": case.name, "ms": f"{min(took):.1f}", "to reach": 5})
    apps.print_table(f"the first GET of a process, the quickest of {processes}", rows)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures in about fifteen seconds")
    rounds, block, processes = (11, 250, 2) if parser.parse_args().quick else (101, 800, 9)
    logging.disable()
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        cases = make_cases(Path(folder))
        turns = [
            [measure_pair(runner, case, block, bare_first=number % 2 == 0) for case in cases]
            for number in range(rounds + 1)
        ]
    rows = []
    unit = median(turn[0] for turn in turns[1:])
    for case, *overheads in zip(cases, *turns[1:], strict=True):  # the first round warms up
        low, middle, high = quantiles(overheads, n=4)
        row = {"case": case.name, "µs": f"{middle:.2f}", "ratio": f"{middle / unit:.2f}"}
        rows.append({**row, "middle half": f"{low / unit:.2f} to {high / unit:.2f}", "to reach": case.to_reach})
    apps.print_table(f"{rounds} rounds of {block} requests", rows)
    print_first_gets([case for case in cases if case.path == apps.PAGE_ROUTE], processes)


if __name__ == "__main__":
    main()
