"""What access records cost: writing them with every sink, and reading them.

Run as `python -m benchmarks.analytics` from the root of the checkout. Files are in the folder for temporary files,
which has to be on a disk: TMPDIR names another one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from benchmarks import apps, serve
from benchmarks.command import Ran, consent, machine, run, show
from benchmarks.records import write_records
from benchmarks.table import Cell, Table, ratio
from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import MemorySink, Sink, open_sink
from cookie_consent.sinks.files.closed_files import parquet_folder
from tests.support.servers.clickhouse_server import clickhouse_server
from tests.support.servers.nats_server import nats_server
from tests.support.servers.postgres import private_server
from tests.support.servers.processes import program_path

PARTS = ("write", "read")
TARGET = "BENCHMARK_SINK"  # tells a served app where its records go
STATS = "/benchmark/stats"  # where it tells the counters of its sink
BARE, NO_SINK, MEMORY = "bare", "none", "memory"
REMOTE, FILES = 0.80, 0.85
"""How many of the bare app's requests should be served with such a sink."""
SETTLES_WITHIN = 60.0
"""How long after a turn all lines are on their way out of the server's memory; and after an outage at their place."""
BYTES_OF_A_RECORD = 1300
"""On the disk while it is read: as lines, and as what they are made and compacted from."""
UNTIL, DAYS = date(2026, 11, 25), 30
RANGES = {"last day": (0, 0), "middle day": (15, 15), f"{DAYS} days": (DAYS - 1, 0)}
"""What a report is asked for: how many days before the last one it begins and ends."""


# The app that writes.


def served_app() -> ASGIApp:
    """Gives the app for a server's command line, which has no arguments for it."""
    logging.disable()
    target = os.environ[TARGET]
    sink = {BARE: lambda: None, NO_SINK: lambda: None, MEMORY: MemorySink}.get(target, lambda: open_sink(target))()
    app = apps.bare_app()
    assert isinstance(app, Starlette), "a route can be added"

    async def stats(_: Request) -> Response:
        return JSONResponse(dict(sink.stats()) if sink else {})

    app.add_route(STATS, stats)
    return app if target == BARE else traced(app, sink)


def traced(app: ASGIApp, sink: Sink | None) -> ASGIApp:
    """Puts an app under the middleware."""
    return ConsentMiddleware(app, apps.POLICY, apps.KEY, prefix=apps.PREFIX, access_log=sink)


# Where to.


class Startable(Protocol):
    """A server of our own."""

    def start(self) -> object:
        """Start it on the same port with its data."""

    def stop(self) -> object:
        """Stop it in good order."""


@dataclass(frozen=True)
class Place:
    """Where the records of a served app go to, and the share of the bare app's requests that it should serve."""

    name: str
    target: str
    to_reach: float | None = None
    server: Startable | None = None
    is_down: bool = False

    def kept(self) -> int:
        """Counts what is kept there: what would go if all that is older than tomorrow did."""
        return open_sink(self.target).purge(time.time() + 2 * 86_400, timedelta(0), dry_run=True)


@contextmanager
def _postgresql(_: Path) -> Iterator[tuple[Startable, str]]:
    with private_server() as server:
        yield server, server.new_database()


@contextmanager
def _clickhouse(_: Path) -> Iterator[tuple[Startable, str]]:
    with clickhouse_server() as server:
        yield server, server.new_database()


@contextmanager
def _nats(folder: Path) -> Iterator[tuple[Startable, str]]:
    with nats_server(folder) as server:
        yield server, f"nats://{server.address}/BENCHMARK"


SERVERS: dict[str, Callable[[Path], AbstractContextManager[tuple[Startable, str]]]] = {
    "postgresql": _postgresql,
    "clickhouse": _clickhouse,
    "nats": _nats,
}


def places(stack: ExitStack, folder: Path, wanted: Collection[str], notes: list[str]) -> list[Place]:
    """Starts servers, and names where records can go; what they are compared with comes first."""
    found = [Place("no middleware", BARE), Place("no sink", NO_SINK)]
    own = [Place("memory", MEMORY), Place("files", str(folder / "files" / "access.jsonl"), FILES)]
    found += [place for place in own if place.name in wanted]
    for name, is_down in itertools.product((name for name in SERVERS if name in wanted), (False, True)):
        beside = folder / f"{name}-{is_down}"
        try:
            server, url = stack.enter_context(SERVERS[name](beside))
        except RuntimeError as error:
            notes.append(f"No {name}: {error}")
        else:
            found.append(Place(name, f"{url}?spill={beside / 'spill'}", REMOTE, server, is_down))
    return found


class Case(serve.Case):
    """A server with one sink."""

    place: Place

    def stats(self) -> dict[str, int]:
        """The counters of its sink."""
        found: dict[str, int] = json.loads(self.server.get(STATS))
        return found

    def settle(self) -> None:
        """Waits until no line waits in its memory."""
        until(lambda: not self.stats().get("waiting"), f"{self.name}: lines wait in memory")


def until(holds: Callable[[], object], otherwise: str) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def write(folder: Path, rounds: int, seconds: int, wanted: Collection[str]) -> Table:
    """Serves from the bare app and with each sink in turns, while `wrk` makes load; a first short turn warms up."""
    table = Table(f"Granted and traced requests to uvicorn on {serve.server_parts()}, one worker")
    with ExitStack() as stack:
        cookie = asyncio.run(apps.visit(traced(apps.bare_app(), MemorySink()), "accept_all", "http"))
        cases = []
        for place in places(stack, folder, wanted, table.notes):
            server = stack.enter_context(serve.serve("benchmarks.analytics:served_app", {TARGET: place.target}))
            cases.append(Case(place.name, server, cookie, place.to_reach))
            cases[-1].place = place
            cases[-1].requests += serve.load(server, cookie, 1)
            cases[-1].settle()
            if place.is_down and place.server:
                place.server.stop()
        for _, case in itertools.product(range(rounds), cases):
            case.turn(seconds)
        table.rows = [_written(case, *cases[:2]) for case in cases]
    return table


def _written(case: Case, bare: Case, no_sink: Case) -> dict[str, Cell]:
    place, stats = case.place, case.stats()
    row: dict[str, Cell] = {
        "sink": place.name,
        "server": None if place.server is None else "down" if place.is_down else "up",
        "requests/s": round(median(case.rates)),
        "of bare": ratio(case.rates, bare.rates),
        "to reach": place.to_reach,
        "CPU µs": round(1e6 / median(case.by_cpu), 1),
        "CPU of bare": ratio(case.by_cpu, bare.by_cpu),
        "CPU of no sink": ratio(case.by_cpu, no_sink.by_cpu),
        "MiB": round(serve.resident_mib(case.server.pid)),
        "requests": case.requests,
        "spilled": stats.get("spilled", 0),
        "dropped": sum(number for name, number in stats.items() if name.startswith("dropped")),
        "kept": None,
    }
    if place.target not in (BARE, NO_SINK, MEMORY):
        if place.is_down and place.server:
            place.server.start()
        until(lambda: place.kept() >= case.requests or row["dropped"], f"{place.name}: records are missing")
        row["kept"] = place.kept()
    return row


# Reading.


def read(folder: Path, records: int) -> Table:
    """Reports from one live file, from a closed file of each day, and from the Parquet that `compact` makes of these.

    The same records go through GoAccess beside them, and through a query of bare DuckDB.
    """
    table = Table(f"{records:,} records of {DAYS} days")
    found = []
    for name, form in (("one file", "jsonl"), ("a file a day", "closed")):
        live = write_records(folder / form, records, DAYS, UNTIL, form)
        found.append([_report(table, live, name, days) for days in RANGES])
        if form == "jsonl":
            _peers(table, live)
            shutil.rmtree(live.parent)
    compacted = consent("compact", "--access-log", str(live), "--json")
    assert not compacted.answer["busy"] + len(compacted.answer["unreadable"]), compacted.answer
    table.rows.append(_row("compact", "", live, compacted))
    found.append([_report(table, live, "Parquet", days) for days in RANGES])
    assert found[0] == found[1] == found[2], "the reports differ"
    shutil.rmtree(live.parent)
    table.notes.append(
        "The files are in the system's memory already. A day should take 2 s from Parquet, 20 from lines."
    )
    return table


def _report(table: Table, live: Path, form: str, days: str) -> tuple[int, int, int]:
    first, last = (str(UNTIL - timedelta(days=before)) for before in RANGES[days])
    ran = consent("report", "--access-log", str(live), "--from", first, "--to", last, "--json")
    said = ran.answer
    table.rows.append(_row(f"report, {form}", days, live, ran, said["views"], said["visitors"]))
    return said["visitors"], said["sessions"], said["views"]


def _peers(table: Table, live: Path) -> None:
    lines, counts = live.with_name("access.log"), live.with_name("goaccess.json")
    exported = consent("export", "--access-log", str(live), "--format", "ncsa", "--out", str(lines))
    table.rows.append(_row("export --format ncsa", f"{DAYS} days", live, exported))
    options = ["--log-format=COMBINED", "--no-global-config", "--no-progress", "-o", str(counts)]
    counted = run([program_path("goaccess", "goaccess"), str(lines), *options])
    general = json.loads(counts.read_text("utf-8"))["general"]
    table.rows.append(
        _row("goaccess", f"{DAYS} days", lines, counted, general["valid_requests"], general["unique_visitors"])
    )
    query = """SELECT count(*), count(DISTINCT "visitor.id") FROM read_json($log, format = 'newline_delimited',
        columns = {'record.kind': 'VARCHAR', 'visitor.id': 'VARCHAR'}) WHERE "record.kind" = 'view'"""
    bare = f"import duckdb; print(*duckdb.connect().execute({query!r}, {{'log': {str(live)!r}}}).fetchone())"
    asked = run([sys.executable, "-c", bare])
    views, visitors = map(int, asked.said.split())
    table.rows.append(_row("bare DuckDB: one count", f"{DAYS} days", live, asked, views, visitors))


def _row(
    what: str, days: str, path: Path, ran: Ran, views: int | None = None, visitors: int | None = None
) -> dict[str, Cell]:
    files = [*path.parent.glob(f"{path.stem}*"), *parquet_folder(path).rglob("*.parquet")]
    size = sum(os.path.getsize(file) for file in files if file.is_file())
    row: dict[str, Cell] = {"what": what, "days": days, "GB": round(size / 1e9, 2), **ran.needed}
    return {**row, "views": views, "visitors": visitors}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analytics", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sinks = ["memory", "files", *SERVERS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; both if none is named")
    parser.add_argument("--quick", action="store_true", help="rough figures of few records, in about two minutes")
    parser.add_argument("--rounds", type=int, help="how often each sink has its turn (5)")
    parser.add_argument("--seconds", type=int, help="how long a turn is (3)")
    parser.add_argument("--read", type=int, metavar="N", help="how many records are reported on (10000000)")
    parser.add_argument("--sink", choices=sinks, action="append", help="only this sink (write); may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args()
    wanted = arguments.parts or PARTS
    if not {*wanted} <= {*PARTS}:
        parser.error(f"the parts are {', '.join(PARTS)}")
    if "write" in wanted and not shutil.which("wrk"):
        parser.error("wrk is not installed: apt-get install wrk")
    rounds, seconds, records = (2, 1, 200_000) if arguments.quick else (5, 3, 10_000_000)
    rounds, seconds, records = arguments.rounds or rounds, arguments.seconds or seconds, arguments.read or records
    where = machine(records * BYTES_OF_A_RECORD if "read" in wanted else 0, parser)
    logging.disable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else large files would stay
    with tempfile.TemporaryDirectory(prefix="analytics-") as name:
        folder = Path(name)
        measures = {
            "write": lambda: write(folder, rounds, seconds, arguments.sink or sinks),
            "read": lambda: read(folder, records),
        }
        show(where, [measures[part]() for part in wanted], as_json=arguments.json)


if __name__ == "__main__":
    main()
