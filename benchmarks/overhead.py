"""What the middleware adds to a request, in CPU time, as a ratio to what Starlette's sessions add.

Run as `python -m benchmarks.overhead` from the root of the checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp, Scope

from benchmarks import apps

RECORDS_WITHIN = 10.0  # seconds, far more than they should take


@dataclass(frozen=True)
class Plan:
    """How long to measure."""

    rounds: int = 101
    block: int = 800


@dataclass(frozen=True)
class Case:
    """One kind of request, and the app that it is measured on."""

    name: str
    app: ASGIApp
    cookies: Iterator[bytes | None]
    to_reach: float | None = None
    path: str = apps.ROUTE
    records: apps.Records | None = None
    without: ASGIApp | None = None
    """What it is compared with; None for the bare app."""


@dataclass(frozen=True)
class Summary:
    """The figures of a case; a ratio of 1 is what sessions add."""

    case: str
    microseconds: float
    ratio: float
    middle_half: tuple[float, float]
    to_reach: float | None
    reached: bool | None


@dataclass(frozen=True)
class Result:
    """The overhead of a case: microseconds a request, one for each pair of blocks."""

    case: Case
    overheads: list[float]

    def summary(self, unit: float) -> Summary:
        """Gives the figures, with `unit` as what counts as 1."""
        low, middle, high = quantiles(self.overheads, n=4)
        ratio, to_reach = middle / unit, self.case.to_reach
        return Summary(
            self.case.name,
            round(middle, 2),
            round(ratio, 3),
            (round(low / unit, 3), round(high / unit, 3)),
            to_reach,
            None if to_reach is None else ratio <= to_reach,
        )


async def drive(app: ASGIApp, scopes: list[Scope]) -> float:
    """Makes the requests one after the other; the seconds of CPU that the process needed.

    Each scope is let go after its request, as a server does: what it costs to free it, or to find it in a cycle
    of references, belongs to the request.
    """
    scopes.reverse()
    started = time.process_time()
    while scopes:
        await app(scopes.pop(), apps.receive, apps.drop)
    await asyncio.sleep(0)
    return time.process_time() - started


def cpu_until_written(records: apps.Records, count: int) -> float:
    """Waits for so many more records; the seconds of CPU that others than this waiting needed."""
    process, thread = time.process_time(), time.thread_time()
    deadline = time.monotonic() + RECORDS_WITHIN
    expected = records.count + count
    while records.read() < expected:
        assert time.monotonic() < deadline, f"{expected - records.count} records of {count} did not come"
        time.sleep(0.01)
    return (time.process_time() - process) - (time.thread_time() - thread)


def measure_block(runner: asyncio.Runner, case: Case, scopes: list[Scope]) -> float:
    """Microseconds a request on the case's app; uses the scopes up."""
    count = len(scopes)
    gc.collect()
    seconds = runner.run(drive(case.app, scopes))
    if case.records:
        seconds += cpu_until_written(case.records, count)
    return seconds / count * 1e6


def measure_pair(runner: asyncio.Runner, case: Case, bare: ASGIApp, block: int, *, bare_first: bool) -> float:
    """Microseconds that a request takes longer on the case's app than on the one that it is compared with."""
    cookies = list(itertools.islice(case.cookies, block))
    turns = [case, Case("without", case.without or bare, iter(()))]
    if bare_first:
        turns.reverse()
    took = {}
    for turn in turns:
        scopes = [apps.make_scope(case.path, cookie) for cookie in cookies]
        took[turn.name] = measure_block(runner, turn, scopes)
    return took[case.name] - took["without"]


def measure(runner: asyncio.Runner, cases: list[Case], bare: ASGIApp, plan: Plan) -> list[Result]:
    """Measures all cases in turns; a first round warms up and does not count."""
    results = [Result(case, []) for case in cases]
    for number in range(plan.rounds + 1):
        for result in results:
            overhead = measure_pair(runner, result.case, bare, plan.block, bare_first=number % 2 == 0)
            if number:
                result.overheads.append(overhead)
        show_progress(number, plan.rounds)
    return results


def show_progress(done: int, of: int) -> None:
    """Tells a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\rround {done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)


async def make_answers(access_log: Path, count: int) -> list[bytes]:
    """Gets so many cookies of refusals, one for each of the last seconds, from an app that measures nothing."""
    now = time.time()
    app = apps.consent_app(access_log, lambda: now)
    cookies = []
    for _ in range(count):
        now -= 1
        cookies.append(await apps.answer(app, "refuse_all"))
    assert len(set(cookies)) == count, "two answers gave the same cookie"
    return cookies


async def check_session(app: ASGIApp, cookie: bytes) -> None:
    """The session is valid."""
    scope = apps.make_scope(cookie=cookie)
    await apps.call(app, scope)
    assert scope["session"], "the session is not valid"


async def check_status(app: ASGIApp, cookie: bytes | None, status: str) -> None:
    """The cookie says what it should, and the page is served."""
    found = await apps.status_of(app, cookie)
    assert found == status, f"the cookie is taken for {found}, not for {status}"
    reply = await apps.call(app, apps.make_scope(cookie=cookie))
    assert reply.status == 200, reply
    assert not reply.cookies(), reply


async def check_page(app: ASGIApp, bare: ASGIApp) -> None:
    """The page is whole, and the banner is in it."""
    with_banner, page = [await apps.call(each, apps.make_scope(apps.PAGE_ROUTE)) for each in (app, bare)]
    assert page.body.decode() == apps.PAGE
    assert apps.PREFIX.encode() in with_banner.body, "the banner is not in the page"
    assert with_banner.body.startswith(page.body[:100]), "the page has another beginning"
    words, end, _ = page.body.rpartition(b"</body>")
    assert end, "the page has no end"
    assert words[-100:] in with_banner.body, "the page has another end"
    lengths = [value for name, value in with_banner.headers if name == b"content-length"]
    assert lengths in ([], [b"%d" % len(with_banner.body)]), "the page has a wrong length"


def check_records(runner: asyncio.Runner, app: ASGIApp, records: apps.Records, traced: bytes) -> None:
    """Each traced request gives one record, and no other request does."""
    gone_before = records.count
    for cookie in (None, traced, None, traced):
        runner.run(apps.call(app, apps.make_scope(cookie=cookie)))
    cpu_until_written(records, 2)
    time.sleep(1.2)
    assert records.read() == gone_before + 2, "requests were traced that should not be"


def make_cases(runner: asyncio.Runner, folder: Path, plan: Plan) -> list[Case]:
    """Makes the cases and checks that each is what its name says; the first is the unit."""
    log = folder / "access.jsonl"
    records = apps.Records(log)
    bare, session, app = apps.bare_app(), apps.session_app(), apps.consent_app(log)
    signed_in = runner.run(apps.sign_in(session))
    refused = runner.run(apps.visit(app, "refuse_all"))
    granted = runner.run(apps.visit(app, "accept_all"))
    forged = apps.forgeries(refused)
    again = next(forged)
    new = runner.run(make_answers(folder / "other.jsonl", (plan.rounds + 1) * plan.block + 1))

    runner.run(check_session(session, signed_in))
    for cookie, status in (
        (None, "unknown"),
        (refused, "refused"),
        (granted, "granted"),
        (again, "unknown"),
        (next(forged), "unknown"),
        (new.pop(), "refused"),
    ):
        runner.run(check_status(app, cookie, status))
    runner.run(check_page(app, bare))
    time.sleep(1.2)
    records.read()
    check_records(runner, app, records, granted)
    return [
        Case("session (the unit)", session, itertools.repeat(signed_in)),
        Case("no cookie", app, itertools.repeat(None), 0.20),
        Case("refused", app, itertools.repeat(refused), 0.16),
        Case("granted and traced", app, itertools.repeat(granted), 0.45, records=records),
        Case("forged, comes again", app, itertools.repeat(again), 0.20),
        Case("forged, never seen before", app, forged, 0.65),
        Case("valid, never seen before", app, iter(new), 1.1),
        Case("10 kB page with the banner", app, itertools.repeat(None), 0.50, apps.PAGE_ROUTE),
        Case("10 kB page, refused", app, itertools.repeat(refused), 0.25, apps.PAGE_ROUTE),
        Case("10 kB page, granted, traced", app, itertools.repeat(granted), 0.65, apps.PAGE_ROUTE, records),
    ]


def make_features(runner: asyncio.Runner, folder: Path) -> list[Case]:
    """Makes a case for each feature: an app that has it, beside the same without; the first is the unit."""
    session = apps.session_app()
    signed_in = runner.run(apps.sign_in(session))
    plain = apps.featured_app(settings_link=False)
    linked = apps.featured_app()
    csp = apps.featured_app(sends_csp=True)
    logged = folder / "features.jsonl"
    records = apps.Records(logged)
    log = apps.featured_app(access_log=logged)
    refused = runner.run(apps.visit(linked, "refuse_all"))
    granted = runner.run(apps.visit(log, "accept_all"))

    def page(name: str, app: ASGIApp, without: ASGIApp, cookie: bytes = refused) -> Case:
        return Case(name, app, itertools.repeat(cookie), path=apps.PAGE_ROUTE, without=without)

    return [
        Case("session (the unit)", session, itertools.repeat(signed_in)),
        page("settings link, on a page", linked, plain),
        page("ledger, on a page", apps.featured_app(ledger=f"sqlite:///{folder / 'features.db'}"), linked),
        page("access log: counts of pages", log, linked),
        Case("access log: a traced text", log, itertools.repeat(granted), records=records, without=linked),
        page("server_logs, on a page", linked, apps.featured_app(server_logs="keep")),
        page("mask_client, on a page", apps.featured_app(mask_client=True), linked),
        page("edit_csp, refused", apps.featured_app(sends_csp=True, edit_csp=True), csp),
        page("edit_csp, granted", apps.featured_app(sends_csp=True, edit_csp=True), csp, granted),
    ]


def print_table(summaries: list[Summary]) -> None:
    """Prints the figures for people."""
    verdicts = {True: "yes", False: "NO", None: ""}
    print(f"{'case':28}{'µs':>8}{'ratio':>8}{'middle half':>17}{'to reach':>10}  reached")
    for each in summaries:
        half = "{:.2f} to {:.2f}".format(*each.middle_half)
        to_reach = "" if each.to_reach is None else f"{each.to_reach:.2f}"
        print(
            f"{each.case:28}{each.microseconds:8.2f}{each.ratio:8.2f}{half:>17}{to_reach:>10}  {verdicts[each.reached]}"
        )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough figure in about ten seconds")
    parser.add_argument("--features", action="store_true", help="what each feature costs: on, against off")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    plan = Plan(rounds=15, block=500) if arguments.quick else Plan()
    logging.disable()
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        make = partial(make_features, runner) if arguments.features else partial(make_cases, runner, plan=plan)
        results = measure(runner, make(Path(folder)), apps.bare_app(), plan)
    unit = median(results[0].overheads)
    summaries = [result.summary(unit) for result in results]
    if arguments.json:
        print(json.dumps({**asdict(plan), "cases": [asdict(summary) for summary in summaries]}))
    else:
        print_table(summaries)


if __name__ == "__main__":
    main()
