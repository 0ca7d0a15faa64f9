"""The `compact` command: turns the closed files of an access log into Parquet files, and adds them to its tables.

In a database, it makes the views that stand for these tables.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cookie_consent.cli.frame import (
    ACCESS_LOG,
    GOOD,
    JSON,
    Command,
    UnusableError,
    counted,
    print_findings,
    print_result,
    progress,
    required_store,
)
from cookie_consent.report.engines.duckdb_files import connected
from cookie_consent.report.engines.engine import make_views
from cookie_consent.report.engines.tables import add_closed_days
from cookie_consent.sinks import JsonLinesSink, open_sink
from cookie_consent.sinks.files.closed_files import sources
from cookie_consent.sinks.files.parquet import compact, waiting


def _compact(arguments: argparse.Namespace) -> int:
    target = required_store(arguments, "access_log")
    sink = open_sink(target)
    if not isinstance(sink, JsonLinesSink):
        make_views(target)  # a database compresses its records itself
        text = "The views access_views and access_sessions show the records now."
        print_result(arguments, {"views": ["access_views", "access_sessions"]}, text)
        return GOOD
    path = sink.path
    if not sources(path):
        raise UnusableError(f"access_log: there is no file {path}, and none that was closed.")
    with progress("files", waiting(path)) as seen:
        result = compact(path, seen)
    with connected(path) as connection:
        add_closed_days(connection, path)
    counts = f" and {counted(result.counts, 'count')}" if result.counts else ""
    busy = f" {counted(result.busy, 'file')} in use by other processes: next time." if result.busy else ""
    records = counted(result.records, "access record")
    text = f"{counted(result.files, 'closed file')} compacted: {records}{counts}.{busy}"
    print_result(arguments, asdict(result), text)
    return print_findings(
        [
            *(f"Stays as it is: {problem}" for problem in result.unreadable),
            *(f"Lines that are no records, and were left out: {problem}" for problem in result.no_records),
        ]
    )


COMPACT = Command(
    (ACCESS_LOG, JSON),
    _compact,
    "a file cannot be read, and stays as it is, or has lines that are no records",
)
