"""Reports from digests and from scans, compared, and what digests keep of visitors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.report import report
from cookie_consent.report.digests.database import is_undamaged, read_about
from cookie_consent.report.digests.engine import DigestedFiles
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.key import read_key
from cookie_consent.report.digests.kinds import MOST_SUMS
from cookie_consent.report.digests.making import digest
from cookie_consent.report.memory import LEAST
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.digest_files import blocks_of, digest_folder
from tests.support.report_records import DAYS, FIRST, Record, day_of, line


@contextmanager
def answers() -> Iterator[list[bool]]:
    """Record for each range whether digests answered it. If they did, no figure may be scanned."""
    found: list[bool] = []
    answer = DigestedFiles._answer
    with pytest.MonkeyPatch.context() as patch:

        def recorded(engine: DigestedFiles, asked: Any) -> bool:
            found.append(answer(engine, asked))
            return found[-1]

        def refused(engine: DigestedFiles, asked: Any) -> None:
            raise AssertionError("a figure was scanned")

        patch.setattr(DigestedFiles, "_answer", recorded)
        patch.setattr(DigestedFiles, "_scan", refused)
        yield found


def scanned(live: Path, **asked: Any) -> dict[str, Any]:
    """Return a report that no digest helps with."""
    folder = digest_folder(live)
    folder.rename(folder.with_suffix(".away"))
    try:
        return report(live, **{"now": 0, **asked})
    finally:
        folder.with_suffix(".away").rename(folder)


def assert_same_report(live: Path, **asked: Any) -> None:
    """Compare a report from digests with that of a scan, field by field."""
    with answers() as found:
        made = report(live, **asked, now=0)
    wanted = scanned(live, **asked)
    assert all(found), "digests could not answer"
    assert found
    assert_same(made, wanted)


def assert_same(made: Any, wanted: Any, name: str = "") -> None:
    """Compare figures exactly. Only sums of floating-point numbers may differ as their order does."""
    if name in ("sum", "mean") and wanted is not None:
        assert made == pytest.approx(wanted, rel=1e-9), name
    elif isinstance(wanted, dict):
        assert list(made) == list(wanted), name
        for key in wanted:
            assert_same(made[key], wanted[key], key)
    elif isinstance(wanted, list):
        assert len(made) == len(wanted), (name, made, wanted)
        for row, other in zip(made, wanted, strict=True):
            assert_same(row, other, name)
    else:
        assert made == wanted, name


def write(live: Path, day: date, records: list[Record], number: int = 1) -> Path:
    """Write a closed file."""
    path = path_of(live, day, number, FileFormat.PLAIN)
    path.write_bytes(b"".join(map(line, records)))
    return path


def write_days(live: Path, records: list[Record]) -> None:
    """Write a closed file for each day of random records."""
    for number in range(DAYS + 1):
        day = FIRST + timedelta(days=number)
        write(live, day, [record for record in records if day_of(record) == day])


def number_of(live: Path, visitor: str) -> int:
    """Return the number that stands for a visitor in the digests of a log."""
    return int(hashlib.sha256(f"{read_key(live)}{visitor}".encode()).hexdigest()[:16], 16)


def stored_numbers(live: Path) -> set[int]:
    """Return all numbers of visitors in all tables of all digests of a log."""
    found: set[int] = set()
    for file in digest_folder(live).glob("*.db"):
        with duckdb.connect(str(file), read_only=True) as connection:
            columns = "SELECT table_name, column_name FROM duckdb_columns() WHERE data_type = 'UBIGINT'"
            for table, column in connection.execute(columns).fetchall():
                if column in ("visitor", "number"):
                    found |= {row[0] for row in connection.table(table).project(column).distinct().fetchall()}
    return found


def damage_digest(file: Path) -> None:
    """Change a byte of a file so that DuckDB opens it, but cannot read all of it."""
    whole = file.read_bytes()
    for place in range(len(whole) - 1, 0, -4096):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with duckdb.connect() as connection:
            reader = FactsReader(connection, file, LEAST)
            if read_about(reader, file) and not is_undamaged(reader, file):
                return
    raise AssertionError("no such place")


_CONTENTS = {
    "people": "SELECT kind, hosts.text, names.text, number, alone, days FROM block.people AS facts {names} {visitor}",
    "sums": "SELECT kind, hosts.text, names.text, day, {sums} FROM block.sums AS facts {names} GROUP BY ALL",
    "measured": "SELECT kind, hosts.text, names.text, day, value, bucket FROM block.measured AS facts {names}",
    "buckets": """
        SELECT kind, hosts.text, names.text, day, bucket, sum(n) FROM block.buckets AS facts {names} GROUP BY ALL
    """,
    "recent": """
        SELECT hosts.text, names.text, number, facts.* EXCLUDE (host, name, visitor)
        FROM block.recent AS facts {names} LEFT {visitor}
    """,
    "recent_measured": """
        SELECT hosts.text, names.text, facts.* EXCLUDE (host, name) FROM block.recent_measured AS facts {names}
    """,
    "stays": "FROM block.stays",
    "edges": "FROM block.edges",
    "trails": """
        SELECT day, hosts.text, number, began, sources.text, campaigns.text, entries.text, guest, stay_began,
            list_transform(trail, lambda item: items[item])
        FROM (SELECT list(concat(page, ' ', sent) ORDER BY item) AS items FROM block.items), block.trails AS facts
        {host} {visitor}
        JOIN block.names AS sources ON referrer = sources.code
        JOIN block.names AS entries ON entry_path = entries.code
        LEFT JOIN block.names AS campaigns ON campaign = campaigns.code
    """,
}
"""Table of a block -> its rows, with texts for codes. Sums and buckets may be in several rows."""


def _contents(block: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables of a block, with texts for codes, sorted."""
    host = "LEFT JOIN block.names AS hosts ON facts.host = hosts.code"
    words = {
        "host": host,
        "names": f"{host} JOIN block.names AS names ON facts.name = names.code",
        "visitor": "JOIN block.visitors AS visitors ON facts.visitor = visitors.code",
        "sums": ", ".join(f"sum(n{number})" for number in range(MOST_SUMS)),
    }
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{block}' AS block (READ_ONLY)")
        texts = {table: text.format(**words) for table, text in _CONTENTS.items()}
        return {table: sorted(connection.execute(text).fetchall(), key=repr) for table, text in texts.items()}


def assert_blocks_are_as_if_made_at_once(live: Path) -> None:
    """Compare the blocks of a log, to which files were added, with blocks of the same digests that are made at once."""
    for block in blocks_of(live).values():
        extended = _contents(block)
        block.unlink()
        digest(live)
        for table, rows in _contents(block).items():
            assert extended[table] == rows, table
