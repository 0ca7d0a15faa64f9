"""What kept records cost: a report of access records, what is done with their files, and answers that a ledger keeps.

Files are in the folder for temporary files, which has to be on a disk: TMPDIR names another one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import duckdb

from benchmarks import apps
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from tests.support.asgi import bodies, response_to, scope
from tests.support.servers.postgres import NoPostgresError, private_server

UNTIL = date(2026, 11, 25)
DAYS = 30
VISITORS = 32
"""How many answer at once."""
_SQL = Path(__file__).with_suffix(".sql").read_text("utf-8")
_MEMORY = "4GB"
_DAY = 86_400_000
_LONGEST_SESSION = 230_000
_NEVER = "\x01"


def write_records(folder: Path, records: int, days: int, until: date, form: FileFormat) -> Path:
    """Write records and counts as a closed file of each day; return the path of the access log.

    Args:
        folder: where to.
        records: how many.
        days: over how many.
        until: the last of them.
        form: lines, or Parquet as `compact` makes it.
    """
    live, first = folder / "access.jsonl", until - timedelta(days=days - 1)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "temp_directory": str(folder / ".made")}) as made:
        _make(made, records, days, first)
        for number in range(days):
            _write(made, live, first + timedelta(days=number), form)
    return live


def _make(made: duckdb.DuckDBPyConnection, records: int, days: int, first: date) -> None:
    begin = (first - date(1970, 1, 1)).days
    values = {
        "end": records,
        "begin": begin * _DAY,
        "length": days * _DAY - _LONGEST_SESSION,
        "visitors": max(records // 40, 1),
        "first_day": begin,
        "end_day": begin + days,
    }
    for statement in duckdb.extract_statements(_SQL):
        made.execute(statement, {name: values[name] for name in statement.named_parameters})


def _write(made: duckdb.DuckDBPyConnection, live: Path, day: date, form: FileFormat) -> None:
    """Write the records and counts of a day into its files."""
    for table, path, columns in (("records", live, COLUMNS), ("counts", counts_path(live), COUNT_COLUMNS)):
        target = path_of(path, day, 1, form)
        target.parent.mkdir(parents=True, exist_ok=True)
        if form is FileFormat.PARQUET:
            what, how = "*", "FORMAT parquet, COMPRESSION zstd"
        else:  # as CSV of one column, without any signs that CSV adds
            what, how = _line(columns), f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIM '{_NEVER}'"
        rows = f"FROM {table} WHERE time::DATE = $day ORDER BY time"
        made.execute(f"COPY (SELECT {what} {rows}) TO '{target}' ({how})", {"day": day})


def _line(columns: Mapping[str, str]) -> str:
    """Return an expression for the JSON of a row, without the keys that have no value."""
    written = {"time": "'\"' || strftime(time, '%Y-%m-%dT%H:%M:%S.%g') || 'Z\"'", "properties": "properties"}
    parts = (f"',\"{key}\":' || {written.get(name, f'to_json({name})::VARCHAR')}" for key, name in columns.items())
    return f"'{{' || substr(concat({', '.join(parts)}), 2) || '}}'"


_COMMAND = "import sys; from cookie_consent.cli import main; sys.exit(main())"


def run(*arguments: str) -> tuple[float, int, dict[str, Any]]:
    """Run `cookie-consent`: return its seconds of CPU, its peak memory (MiB), and what it printed."""
    command = [sys.executable, "-c", _COMMAND, *arguments, "--json"]
    with TemporaryFile() as output:
        running = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        assert running.returncode == 0, arguments
        output.seek(0)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, json.load(output)


def measure_log(folder: Path, records: int) -> None:
    """Measure what is done with the access records of thirty days."""
    # In another process: the kernel counts what this one had as memory of those that it starts.
    writing = multiprocessing.get_context("spawn").Process(
        target=write_records, args=(folder, records, DAYS, UNTIL, FileFormat.PLAIN)
    )
    writing.start()
    writing.join()
    live = folder / "access.jsonl"
    log = ("--access-log", str(live))
    whole = ("report", *log, "--from", str(UNTIL - timedelta(days=DAYS - 1)), "--to", str(UNTIL))
    last = path_of(live, UNTIL, 1, FileFormat.PLAIN)
    last.rename(folder / "later")
    rows = [_measure("compact, 29 days", "compact", *log)]
    run(*whole)
    (folder / "later").rename(last)
    rows.append(_measure("report, and add a day", *whole))
    rows.append(_measure("report, 30 days", *whole))
    rows.append(_measure("report, the last day", "report", *log, "--from", str(UNTIL), "--to", str(UNTIL)))
    with duckdb.connect() as visitors:
        (visitor,) = visitors.execute("SELECT substr(md5('7'), 1, 22)").fetchall()[0]
    rows.append(_measure("erase one visitor", "erase", *log, "--visitor", visitor))
    apps.print_table(f"{records:,} access records of {DAYS} days", rows)


def _measure(what: str, *arguments: str) -> dict[str, object]:
    cpu, memory, found = run(*arguments)
    rate = round(found["records"] / cpu) if "records" in found else ""
    return {"what": what, "CPU s": f"{cpu:.2f}", "MiB": memory, "views": found.get("views", ""), "records/CPU s": rate}


async def answer_all(ledger: str | None, seconds: float) -> int:
    """Let visitors accept and refuse by turns, by the banner's form, and return how many answers were kept."""
    app = apps.consent_app(ledger=ledger)
    until = time.monotonic() + seconds

    async def answer() -> int:
        answers = 0
        while time.monotonic() < until:
            form = b"choice=%s&next=/" % (b"accept_all", b"refuse_all")[answers % 2]
            fields = [*apps.BROWSER[1:], (b"content-type", b"application/x-www-form-urlencoded")]
            reply = await response_to(app, scope("POST", apps.PREFIX, fields), bodies(form))
            assert reply.status == 303, reply.text
            answers += 1
        return answers

    return sum(await asyncio.gather(*(answer() for _ in range(VISITORS))))


def measure_ledgers(folder: Path, seconds: float) -> None:
    """Measure answers with each ledger, and without, and verify that all of them are in it."""
    with ExitStack() as stack:
        ledgers = {"none": None, "SQLite": f"sqlite:///{folder}/consent.db"}
        try:
            ledgers["PostgreSQL"] = stack.enter_context(private_server()).new_database()
        except NoPostgresError as error:
            print(f"No PostgreSQL: {error}")
        rows = []
        for name, url in ledgers.items():
            began = time.process_time()
            answers = asyncio.run(answer_all(url, seconds))
            cpu = time.process_time() - began
            if url:
                assert run("verify", "--ledger", url)[2]["records"] == answers, "answers are missing"
            row = {"ledger": name, "answers/s": round(answers / seconds)}
            rows.append({**row, "CPU ms of an answer": f"{cpu / answers * 1000:.2f}"})
        apps.print_table(f"Answers kept: {VISITORS} visitors, one process", rows)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.records", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="how many access records (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="how long each ledger gets answers (%(default)s)")
    arguments = parser.parse_args()
    logging.disable()
    with TemporaryDirectory(prefix="records-") as folder:
        measure_ledgers(Path(folder), arguments.seconds)
        measure_log(Path(folder) / "log", arguments.records)


if __name__ == "__main__":
    main()
