"""What access records cost: writing them into each kind of sink, and reading them.

Files are in the folder for temporary files, which has to be on a disk: TMPDIR names another one.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import serve
from benchmarks.command import Ran, consent, print_machine, python
from benchmarks.records import write_records
from benchmarks.table import Row, print_table
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, parquet_folder
from tests.support.servers.clickhouse_server import clickhouse_server
from tests.support.servers.postgres import private_server
from tests.support.waiting import wait_until

PARTS = ("write", "read")
SINKS = ("files", "postgresql", "clickhouse")
TO_REACH = {"files": 0.85, "postgresql": 0.80, "clickhouse": 0.80}
"""The share of the bare app's requests that should be served with a sink."""
BYTES_OF_A_RECORD = 1000
"""On the disk while it is read: as a line, as Parquet, and as what they are made of."""
UNTIL, DAYS = date(2026, 11, 25), 30
RANGES = {"last day": (0, 0), "middle day": (15, 15), f"{DAYS} days": (DAYS - 1, 0)}
"""What a report is asked for: how many days before the last one it begins and ends."""


BARE = """
import json, sys
from pathlib import Path
import duckdb

log = duckdb.connect(config={"threads": 2})
log.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
log.execute(f'''CREATE TEMP TABLE r AS SELECT epoch_ms(time) AS came, hash(visitor) AS visitor,
    hash(visitor, host) AS guest, hash(uid) AS uid, kind, hash(path) AS path, event,
    hash(referrer) AS site, hash(query) AS campaign,
    hash(browser, os, device) AS agent, hash(method, route) AS route, coalesce(status, 0) AS status, duration_ms AS ms
    FROM read_parquet('{sys.argv[1]}/*/*.parquet', hive_partitioning = false)''')
for query in (
    "SELECT count(*) FROM (SELECT uid FROM r GROUP BY uid HAVING count(*) > 1)",
    "SELECT came // 86400000, count(DISTINCT visitor), count(*) FROM r WHERE kind = 'view' GROUP BY 1",
    "SELECT count(DISTINCT visitor) FROM r WHERE kind = 'view'",
    "SELECT path, count(*), count(DISTINCT visitor) FROM r WHERE kind = 'view' GROUP BY 1",
    "SELECT agent, count(*), count(DISTINCT visitor) FROM r WHERE kind = 'view' GROUP BY 1",
    "SELECT path, median(ms) FROM r WHERE event = 'page_leave' GROUP BY 1",
    "SELECT event, count(*), count(DISTINCT visitor) FROM r WHERE kind = 'event' GROUP BY 1",
    "SELECT route, count(*), sum((status // 100 = 4)::INT), quantile_cont(ms, [0.5, 0.95, 0.99]) FROM r"
    " WHERE kind <> 'event' GROUP BY 1",
):
    log.execute(query).fetchall()
log.execute('''CREATE TEMP TABLE s AS
WITH a AS (SELECT *, CASE WHEN event = 'page_leave' THEN came - ms ELSE came END AS began,
    CASE WHEN kind = 'event' THEN came ELSE came + ms END AS ended FROM r),
p AS (SELECT *, CASE WHEN began - max(ended) OVER (PARTITION BY guest ORDER BY began
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) <= 1800000 THEN 0 ELSE 1 END AS paused FROM a),
q AS (SELECT *, sum(paused) OVER (PARTITION BY guest ORDER BY began ROWS UNBOUNDED PRECEDING) AS session FROM p)
SELECT guest, any_value(visitor) AS visitor, session, min(came) AS began, max(ended) - min(came) AS lasted,
    arg_min(path, began) FILTER (kind = 'view') AS entry, arg_max(path, began) FILTER (kind = 'view') AS exit,
    arg_min(site, began) AS site, arg_min(campaign, began) AS campaign, count(*) FILTER (kind = 'view') AS views
FROM q GROUP BY guest, session''')
sessions = log.execute("SELECT count(*), median(lasted) FROM s WHERE views > 0").fetchall()
for name in ("entry", "exit", "site", "campaign"):
    log.execute(f"SELECT {name}, count(*), count(DISTINCT visitor) FROM s WHERE views > 0 GROUP BY 1").fetchall()
print(json.dumps({"sessions": sessions[0][0]}))
print(Path("/proc/self/status").read_text(), file=sys.stderr)
"""
"""The least that DuckDB needs for the first figures of a report. Its sessions are not quite ours."""
_EXPORT = """
import io, sys
from contextlib import redirect_stdout
from pathlib import Path
from cookie_consent.cli import main

with redirect_stdout(io.StringIO()):
    status = main()
print("{}")
print(Path("/proc/self/status").read_text(), file=sys.stderr)
sys.exit(status)
"""
"""Runs the command `export`, which prints no JSON."""
_GOACCESS = """
import json, subprocess, sys
from pathlib import Path

form = '%^ - %h [%d:%t %^] "%r" %s %b "%R" "%u"'
command = ["goaccess", sys.argv[1], "--no-ip-validation", "--no-global-config", f"--log-format={form}"]
running = subprocess.Popen(
    [*command, "--date-format=%d/%b/%Y", "--time-format=%T", "-o", sys.argv[2]],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
status = shown = ""
while running.poll() is None:
    shown = status or shown
    status = Path(f"/proc/{running.pid}/status").read_text()
    try:
        running.wait(0.05)
    except subprocess.TimeoutExpired:
        pass
assert running.returncode == 0
general = json.loads(Path(sys.argv[2]).read_text())["general"]
print(json.dumps({"visitors": general["unique_visitors"]}))
print(status if "VmHWM" in status else shown, file=sys.stderr)
"""
"""Runs GoAccess, and shows its process shortly before it ended."""


@contextmanager
def target(sink: str, folder: Path) -> Iterator[str]:
    """Start the server of a sink, and yield the sink's target."""
    if sink == "files":
        yield str(folder / "access.jsonl")
    else:
        with private_server() if sink == "postgresql" else clickhouse_server() as server:
            yield f"{server.new_database()}?spill={folder / 'spill'}"


def write(folder: Path, rounds: int, seconds: int, sinks: Collection[str]) -> None:
    """Serve from the bare app and with each sink in turns, while `wrk` makes load."""
    targets = {"no middleware": serve.BARE, "no sink": serve.NO_SINK}
    cookie = serve.cookie_of("accept_all")
    with ExitStack() as stack:
        for sink in sinks:
            try:
                targets[sink] = stack.enter_context(target(sink, folder / sink))
            except RuntimeError as error:
                print(f"No {sink}: {error}")
        cases = [
            serve.Case(name, stack.enter_context(serve.serve(where)), cookie, TO_REACH.get(name))
            for name, where in targets.items()
        ]
        serve.take_turns(cases, rounds, seconds)
        rows = [_written(case, cases[0], targets[case.name]) for case in cases]
    print_table(f"Granted and traced requests to uvicorn on {serve.server_parts()}, one worker", rows)


def _written(case: serve.Case, bare: serve.Case, where: str) -> Row:
    stats = case.server.get(serve.STATS)
    dropped = sum(number for name, number in stats.items() if name.startswith("dropped"))
    if case.name in SINKS:
        wait_until(lambda: _kept(where) + dropped >= case.requests)
    kept = _kept(where) if case.name in SINKS else None
    return {**case.row(bare), "spilled": stats.get("spilled", 0), "dropped": dropped, "kept": kept}


def _kept(where: str) -> int:
    """Return how many records are kept: what would go if all that is older than tomorrow did."""
    return open_sink(where).purge(time.time() + 2 * 86_400, timedelta(0), dry_run=True)


def read(folder: Path, records: int) -> None:
    """Report from a closed file of each day, and from the tables that `compact` makes of these."""
    live = write_records(folder, records, DAYS, UNTIL, FileFormat.PLAIN)
    from_lines, rows = _reports(live, "lines")
    compacted = consent("compact", "--access-log", str(live))
    assert not compacted.output["busy"] + len(compacted.output["unreadable"]), compacted.output
    rows.append(_row("compact", "", live, compacted))
    from_tables, more = _reports(live, "tables")
    assert from_lines == from_tables, "the reports differ"
    bare = _row("bare DuckDB, Parquet", f"{DAYS} days", live, python(BARE, str(parquet_folder(live))))
    rows += [*more, bare]
    if shutil.which("goaccess"):
        rows += _with_goaccess(live)
    print_table(f"{records:,} records of {DAYS} days", rows)
    print("The files are in the system's memory already. A day should take 2 s from Parquet, 20 from lines.")


def _with_goaccess(live: Path) -> list[Row]:
    """Return what it takes to export all records, and to read them with GoAccess."""
    lines = live.with_name("ncsa.log")
    exported = python(_EXPORT, "export", "--access-log", str(live), "--format", "ncsa", "--out", str(lines))
    ran = python(_GOACCESS, str(lines), str(live.with_name("goaccess.json")))
    lines.unlink()
    return [_row("export, NCSA", "all", live, exported), _row("GoAccess, NCSA", "all", live, ran)]


def _reports(live: Path, form: str) -> tuple[list[list[int]], list[Row]]:
    """Return the figures of a report over each range, and the rows of the table."""
    figures, rows = [], []
    for days, range_ in RANGES.items():
        first, last = (str(UNTIL - timedelta(days=before)) for before in range_)
        ran = consent("report", "--access-log", str(live), "--from", first, "--to", last)
        figures.append([ran.output[name] for name in ("views", "visitors", "sessions")])
        rows.append(_row(f"report, {form}", days, live, ran))
    return figures, rows


def _row(what: str, days: str, live: Path, ran: Ran) -> Row:
    files = [*live.parent.glob(f"{live.stem}*"), *parquet_folder(live).rglob("*.parquet")]
    size = sum(os.path.getsize(file) for file in files if file.is_file())
    row: Row = {
        "what": what,
        "days": days,
        "GB": round(size / 1e9, 2),
        "CPU s": ran.cpu,
        "seconds": ran.seconds,
        "MiB": ran.mebibytes,
    }
    return {**row, "views": ran.output.get("views"), "visitors": ran.output.get("visitors")}


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.analytics", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="the part to measure (both)")
    parser.add_argument("--quick", action="store_true", help="rough figures of few records, in about two minutes")
    parser.add_argument("--read", type=int, metavar="N", help="how many records are reported on (10000000)")
    parser.add_argument("--sink", choices=SINKS, action="append", help="only this sink (write); may be repeated")
    arguments = parser.parse_args()
    rounds, seconds, records = (2, 1, 200_000) if arguments.quick else (5, 3, 10_000_000)
    records = arguments.read or records
    print_machine(0 if arguments.part == "write" else records * BYTES_OF_A_RECORD)
    logging.disable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that large files are removed
    with TemporaryDirectory(prefix="analytics-") as name:
        folder = Path(name)
        if arguments.part != "read":
            write(folder, rounds, seconds, arguments.sink or SINKS)
        if arguments.part != "write":
            read(folder / "read", records)


if __name__ == "__main__":
    main()
