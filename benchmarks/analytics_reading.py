"""How long `cookie-consent report` and `compact` take over many records in files."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from benchmarks.analytics_command import Ran, answered, consent, run
from benchmarks.table import Cell, Table
from cookie_consent.sinks.closed_files import parquet_folder

UNTIL = date(2026, 11, 25)
DAYS = 30
_PARQUET_WITHIN, _LINES_WITHIN = 2.0, 20.0
"""How long a report of one day should take (seconds)."""
_COMPACTED = 200_000
"""How many records a second should be compacted."""


@dataclass(frozen=True)
class Range:
    """Days that a report is asked for.

    Args:
        name: what they are called.
        first: the first of them.
        last: the last of them.
    """

    name: str
    first: date
    last: date


LAST_DAY = Range("last day", UNTIL, UNTIL)
_MIDDLE = UNTIL - timedelta(days=DAYS // 2)
RANGES = (
    LAST_DAY,
    Range("middle day", _MIDDLE, _MIDDLE),
    Range(f"{DAYS} days", UNTIL - timedelta(days=DAYS - 1), UNTIL),
)


def make(folder: Path, records: int, form: str) -> Path:
    """Make records of thirty days, and return the log's live file.

    Args:
        folder: where to.
        records: how many.
        form: of `benchmarks.records`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    days = ["--days", str(DAYS), "--until", str(UNTIL)]
    run([sys.executable, "-m", "benchmarks.records", str(folder), "--records", str(records), "--form", form, *days])
    return folder / "access.jsonl"


def measure(folder: Path, records: int) -> list[Table]:
    """Report from one live file, from a closed file of each day, compact these, and report from the Parquet files."""
    table = Table(f"cookie-consent report --json over {records:,} records of {DAYS} days")
    live = make(folder / "live", records, "jsonl")
    seen = _report_all(table, live, "JSON Lines, one file", _LINES_WITHIN)
    shutil.rmtree(live.parent)
    closed = make(folder / "closed", records, "closed")
    again = _report_all(table, closed, "JSON Lines, a file a day", _LINES_WITHIN)
    assert again == seen, "the reports differ"
    compacted = _compact(closed)
    again = _report_all(table, closed, "Parquet", _PARQUET_WITHIN)
    assert again == seen, "the reports differ"
    table.notes = ["The files are in the system's memory already; `to reach` is for one day, with 1,024 MiB at most."]
    shutil.rmtree(closed.parent)
    return [table, compacted]


def report(path: Path, days: Range) -> Ran:
    """Report on some days."""
    return consent("report", "--access-log", str(path), "--from", str(days.first), "--to", str(days.last), "--json")


def _report_all(table: Table, path: Path, form: str, within: float) -> list[tuple[Cell, ...]]:
    """Add the rows of one form, and return what was found."""
    found: list[tuple[Cell, ...]] = []
    for days in RANGES:
        ran = report(path, days)
        said = answered(ran)
        found.append((said["visitors"], said["sessions"], said["views"]))
        table.rows.append(
            {
                "files": form,
                "GB": round(_size(path) / 1e9, 2),
                "range": days.name,
                "seconds": round(ran.seconds, 2),
                "to reach": None if days is RANGES[-1] else within,
                "CPU s": round(ran.cpu, 2),
                "MiB": ran.mebibytes,
                "visitors": said["visitors"],
                "sessions": said["sessions"],
                "views": said["views"],
            }
        )
    return found


def _compact(path: Path) -> Table:
    size = _size(path)
    ran = consent("compact", "--access-log", str(path), "--json")
    done = answered(ran)
    assert not done["busy"], done
    assert not done["unreadable"], done
    table = Table("cookie-consent compact")
    table.rows.append(
        {
            "files": done["files"],
            "records": done["records"],
            "GB": round(size / 1e9, 2),
            "as Parquet": round(_size(path) / 1e9, 2),
            "seconds": round(ran.seconds, 1),
            "records/s": round(done["records"] / ran.seconds),
            "to reach": _COMPACTED,
            "CPU s": round(ran.cpu, 1),
            "MiB": ran.mebibytes,
        }
    )
    return table


def _size(path: Path) -> int:
    """Return how many bytes the files of a log have."""
    files = [*path.parent.glob("access*"), *parquet_folder(path).rglob("*.parquet")]
    return sum(os.path.getsize(file) for file in files if file.is_file())
