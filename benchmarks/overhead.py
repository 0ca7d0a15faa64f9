"""What the middleware adds to a request, in CPU time, as a ratio to what Starlette's sessions add."""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp, Scope

from benchmarks import apps
from benchmarks.first_get import measure_first_gets
from benchmarks.table import Row, print_table
from tests.support.asgi import Reply
from tests.support.waiting import wait_until

RECORDS_WITHIN = 10.0  # seconds, far more than they should take
FIRST_GET = 5.0  # milliseconds


@dataclass(frozen=True)
class Case:
    """One kind of request, and the app that it is measured on."""

    name: str
    app: ASGIApp
    cookies: Iterator[bytes | None]
    to_reach: float | None = None
    """The most that the ratio should be."""
    path: str = apps.ROUTE
    records: apps.Records | None = None
    without: ASGIApp = field(default_factory=apps.bare_app)
    """What it is compared with."""
    microseconds_to_reach: float | None = None
    """The most microseconds, where that is the measure, on a machine where a session takes about ten."""


async def drive(app: ASGIApp, scopes: list[Scope]) -> float:
    """Make the requests one after the other, and return the seconds of CPU that the process needed.

    Each scope is released after its request, as a server does: what it costs to free it, or to find it in a cycle
    of references, belongs to the request.
    """
    scopes.reverse()
    started = time.process_time()
    while scopes:
        await app(scopes.pop(), apps.receive, apps.drop)
    await asyncio.sleep(0)
    return time.process_time() - started


def cpu_until_written(records: apps.Records, count: int) -> float:
    """Wait for so many more records, and return the seconds of CPU that others than this waiting needed."""
    process, thread = time.process_time(), time.thread_time()
    expected = records.count + count
    wait_until(lambda: records.read() >= expected, RECORDS_WITHIN)
    return (time.process_time() - process) - (time.thread_time() - thread)


def measure_pair(runner: asyncio.Runner, case: Case, block: int, *, bare_first: bool) -> float:
    """Return how many microseconds longer a request takes on the case's app than on the one it is compared with."""
    cookies = list(itertools.islice(case.cookies, block))
    took = {}
    for is_bare in (bare_first, not bare_first):
        scopes = [apps.make_scope(case.path, cookie) for cookie in cookies]
        gc.collect()
        took[is_bare] = runner.run(drive(case.without if is_bare else case.app, scopes))
        if case.records and not is_bare:
            took[is_bare] += cpu_until_written(case.records, block)
    return (took[False] - took[True]) / block * 1e6


def measure(runner: asyncio.Runner, cases: Sequence[Case], rounds: int, block: int) -> list[list[float]]:
    """Measure all cases in turns, and return each one's microseconds a request; a first round only warms up."""
    overheads = [
        [measure_pair(runner, case, block, bare_first=number % 2 == 0) for case in cases]
        for number in range(rounds + 1)
    ]
    return [list(own) for own in zip(*overheads[1:], strict=True)]


async def make_answers(access_log: Path, count: int) -> list[bytes]:
    """Return so many cookies of refusals, one for each of the last seconds, from an app that measures nothing."""
    now = time.time()
    app = apps.consent_app(access_log=access_log, clock=lambda: now)
    cookies = []
    for _ in range(count):
        now -= 1
        cookies.append(await apps.answer(app, "refuse_all"))
    assert len(set(cookies)) == count, "two answers gave the same cookie"
    return cookies


async def check_status(app: ASGIApp, cookie: bytes | None, status: str) -> None:
    """Check that the cookie says what it should, and that the page is served."""
    state = await apps.call(app, apps.make_scope(apps.PREFIX + "/state", cookie))
    found = json.loads(state.body)["status"]
    assert found == status, f"the cookie is taken for {found}, not for {status}"
    reply = await apps.call(app, apps.make_scope(cookie=cookie))
    assert reply.status == 200, reply
    assert not reply.all("set-cookie"), reply


async def check_page(app: ASGIApp, path: str) -> Reply:
    """Check that the page is whole, and that the banner is in it."""
    reply = await apps.call(app, apps.make_scope(path))
    body = reply.body
    beginning, end, _ = apps.PAGE.encode().rpartition(b"</body>")
    assert apps.PREFIX.encode() in body, "the banner is not in the page"
    assert body.startswith(beginning[:100]), "the page has another beginning"
    assert beginning[-100:] in body, "the page has another end"
    assert end in body, "the page has no end"
    return reply


async def check_pages(app: ASGIApp) -> None:
    """Check that each page has the banner, and is what its address says."""
    await check_page(app, apps.PAGE_ROUTE)
    with_cookie = await check_page(app, apps.COOKIE_ROUTE)
    assert any(line.startswith("session=") for line in with_cookie.all("set-cookie")), "the page sets no cookie"
    with_nonce = await check_page(app, apps.NONCE_ROUTE)
    nonce = with_nonce.all("content-security-policy")[0].partition("'nonce-")[2].partition("'")[0]
    assert f'nonce="{nonce}"' in with_nonce.text, "what is added to the page has no nonce"
    cached = await check_page(app, apps.CACHED_ROUTE)
    assert "private" in cached.all("cache-control")[0], "shared caches may keep the page with the banner"
    in_pieces = await check_page(app, apps.PIECES_ROUTE)
    assert len([it for it in in_pieces.messages if it.get("body")]) >= apps.PIECES, "the page did not come in pieces"


def check_records(runner: asyncio.Runner, app: ASGIApp, records: apps.Records, traced: bytes) -> None:
    """Check that each traced request gives one record, and no other request does."""
    gone_before = records.count
    for cookie in (None, traced, None, traced):
        runner.run(apps.call(app, apps.make_scope(cookie=cookie)))
    cpu_until_written(records, 2)
    time.sleep(1.2)
    assert records.read() == gone_before + 2, "requests were traced that should not be"


def unit_case(runner: asyncio.Runner) -> Case:
    """Return the case that counts as 1: a valid session."""
    session = apps.session_app()
    signed_in = runner.run(apps.sign_in(session))
    scope = apps.make_scope(cookie=signed_in)
    runner.run(apps.call(session, scope))
    assert scope["session"], "the session is not valid"
    return Case("session (the unit)", session, itertools.repeat(signed_in))


def make_cases(runner: asyncio.Runner, folder: Path, requests: int) -> list[Case]:
    """Return the cases, checked to be what their names say; the first is the unit."""
    log = folder / "access.jsonl"
    records = apps.Records(log)
    unit, app = unit_case(runner), apps.consent_app(access_log=log)
    refused = runner.run(apps.visit(app, "refuse_all"))
    granted = runner.run(apps.visit(app, "accept_all"))
    forged = apps.forgeries(refused)
    again = next(forged)
    new = runner.run(make_answers(folder / "other.jsonl", requests + 1))
    kinds = {"unknown": (None, again, next(forged)), "refused": (refused, new.pop()), "granted": (granted,)}
    for status, cookies in kinds.items():
        for cookie in cookies:
            runner.run(check_status(app, cookie, status))
    runner.run(check_pages(app))
    time.sleep(1.2)
    records.read()
    check_records(runner, app, records, granted)
    return [
        unit,
        Case("no cookie", app, itertools.repeat(None), 0.45),
        Case("refused", app, itertools.repeat(refused), 0.35),
        Case("granted and traced", app, itertools.repeat(granted), 1.25, records=records),
        Case("forged, comes again", app, itertools.repeat(again), 0.45),
        Case("forged, never seen before", app, forged, 1.1),
        Case("valid, never seen before", app, iter(new), 1.8),
        *page_cases(app, refused),
        Case("page, granted and traced", app, itertools.repeat(granted), 2.6, apps.PAGE_ROUTE, records),
    ]


def page_cases(app: ASGIApp, refused: bytes) -> list[Case]:
    """Return the cases of pages of 10 kB, with the banner and refused."""

    def page(name: str, path: str, to_reach: float | None = None, cookie: bytes | None = None) -> Case:
        return Case(name, app, itertools.repeat(cookie), to_reach, path)

    with_nonce = page("page with a nonce, banner", apps.NONCE_ROUTE)
    return [
        page("page, banner", apps.PAGE_ROUTE, 1.9),
        page("page, refused", apps.PAGE_ROUTE, 1.5, refused),
        page("page that sets a cookie, banner", apps.COOKIE_ROUTE, 2.4),
        page("page that sets a cookie, refused", apps.COOKIE_ROUTE, 2.0, refused),
        page("page in four pieces, banner", apps.PIECES_ROUTE, 2.7),
        replace(with_nonce, microseconds_to_reach=30.0),
        page("cached page, banner", apps.CACHED_ROUTE),
        page("cached page, refused", apps.CACHED_ROUTE, cookie=refused),
    ]


def make_features(runner: asyncio.Runner, folder: Path) -> list[Case]:
    """Return a case for each feature: an app that has it, beside the same without; the first is the unit."""
    plain = apps.consent_app(settings_link=False)
    linked = apps.consent_app()
    records = apps.Records(folder / "features.jsonl")
    log = apps.consent_app(access_log=folder / "features.jsonl")
    refused = runner.run(apps.visit(linked, "refuse_all"))
    granted = runner.run(apps.visit(log, "accept_all"))

    def page(name: str, app: ASGIApp, without: ASGIApp, cookie: bytes = refused, path: str = apps.PAGE_ROUTE) -> Case:
        return Case(name, app, itertools.repeat(cookie), path=path, without=without)

    return [
        unit_case(runner),
        page("settings link, on a page", linked, plain),
        page("ledger, on a page", apps.consent_app(ledger=f"sqlite:///{folder / 'features.db'}"), linked),
        page("access log: counts of pages", log, linked),
        Case("access log: a traced text", log, itertools.repeat(granted), records=records, without=linked),
        page("server_logs, on a page", linked, apps.consent_app(server_logs="keep")),
        page('csp="enforce", refused', apps.consent_app(csp="enforce"), linked, path=apps.CSP_ROUTE),
        page('csp="enforce", granted', apps.consent_app(csp="enforce"), linked, granted),
    ]


def row(case: Case, overheads: Sequence[float], unit: float) -> Row:
    """Return the figures of a case, with `unit` as what counts as 1."""
    low, middle, high = (share / unit for share in quantiles(overheads, n=4))
    microseconds = middle * unit
    to_reach = ""
    reached = ""
    if case.to_reach is not None:
        to_reach = f"{case.to_reach:.2f}"
        reached = yes_or_no(middle <= case.to_reach)
    if case.microseconds_to_reach is not None:
        to_reach = f"{case.microseconds_to_reach:.0f} µs"
        reached = yes_or_no(microseconds <= case.microseconds_to_reach)
    found: Row = {"case": case.name, "µs": f"{microseconds:.2f}", "ratio": f"{middle:.2f}"}
    return {**found, "middle half": f"{low:.2f} to {high:.2f}", "to reach": to_reach, "reached": reached}


def first_get_rows(processes: int) -> list[Row]:
    """Return how long the first GET of a process takes."""
    return [
        {"case": name, "ms": f"{took:.1f}", "to reach": f"{FIRST_GET:.0f}", "reached": yes_or_no(took <= FIRST_GET)}
        for name, took in measure_first_gets(processes).items()
    ]


def yes_or_no(is_reached: bool) -> str:
    """Return what the last column says."""
    return "yes" if is_reached else "NO"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough figure in about ten seconds")
    parser.add_argument("--features", action="store_true", help="what each feature costs: on, against off")
    arguments = parser.parse_args()
    rounds, block, processes = (11, 250, 2) if arguments.quick else (101, 800, 9)
    logging.disable()
    with TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        requests = (rounds + 1) * block
        cases = make_features(runner, folder) if arguments.features else make_cases(runner, folder, requests)
        overheads = measure(runner, cases, rounds, block)
    unit = median(overheads[0])
    rows = [row(case, own, unit) for case, own in zip(cases, overheads, strict=True)]
    print_table(f"{rounds} rounds of {block} requests", rows)
    if not arguments.features:
        print_table(f"the first GET of a process, the quickest of {processes}", first_get_rows(processes))


if __name__ == "__main__":
    main()
