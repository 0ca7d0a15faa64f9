"""A damaged file of an access log costs its own records, and says so."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from cookie_consent.cli.main import main
from cookie_consent.report import report
from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.report.export.terminal import as_text
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of, sources
from cookie_consent.sinks.files.parquet import compact, engine, read_undamaged
from cookie_consent.sinks.store import read_readable
from tests.support.asgi import PREFIX, Visitor, install
from tests.support.sink_lines import record

DAY = date(2026, 11, 25)
Damage = Callable[[bytes], bytes]
Capture = pytest.CaptureFixture[str]


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 4
    return bytes(changed)


COMPRESSED: dict[str, Damage] = {
    "cut off": lambda data: data[: len(data) // 2],
    "without its checksum": lambda data: data[:-8],
    "a bit flipped": _flipped,
    "a bit of the checksum flipped": lambda data: data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
    "zeros at its end": lambda data: data + bytes(4096),
    "no gzip at all": gzip.decompress,
    "empty": lambda data: b"",
}
PARQUET: dict[str, Damage] = {
    "cut off": lambda data: data[: len(data) // 2],
    "its end changed": lambda data: data[:-30] + bytes(30),
    "no Parquet at all": lambda data: b"These are some words, and no Parquet.",
    "empty": lambda data: b"",
}


def lines(first: int, *, visitor: str = "one") -> bytes:
    records = [
        {**record(first + number, visitor), "time": f"2026-11-25T10:{number % 60:02}:00.000Z", "record.kind": "view"}
        for number in range(200)
    ]
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of a whole compressed file, and a live file that is empty."""
    path = tmp_path / "access.jsonl"
    path.touch()
    path_of(path, DAY, 1, FileFormat.GZIP).write_bytes(gzip.compress(lines(0)))
    return path


def damaged_gzip(log: Path, damage: str) -> Path:
    place = path_of(log, DAY, 2, FileFormat.GZIP)
    place.write_bytes(COMPRESSED[damage](gzip.compress(lines(1000))))
    return place


def damaged_parquet(log: Path, damage: str) -> Path:
    place = path_of(log, DAY, 2, FileFormat.PARQUET)
    path_of(log, DAY, 2, FileFormat.PLAIN).write_bytes(lines(1000))
    assert compact(log).files == 2
    place.write_bytes(PARQUET[damage](place.read_bytes()))
    return place


DAMAGES = [
    *(pytest.param(damaged_gzip, damage, id=f"gzip-{damage}") for damage in COMPRESSED),
    *(pytest.param(damaged_parquet, damage, id=f"parquet-{damage}") for damage in PARQUET),
]


def figures(log: Path) -> dict[str, Any]:
    return report(log, since=DAY, until=DAY)


def damaged_files(log: Path) -> tuple[int, list[str]]:
    """Return how many views a report has, and the files that it leaves out."""
    made = figures(log)
    return made["views"], [each["file"] for each in made["unreadable_files"]]


@pytest.mark.parametrize(("make", "damage"), DAMAGES)
def test_damaged_file_costs_its_own_records_and_is_named(
    make: Callable[[Path, str], Path], damage: str, log: Path
) -> None:
    place = make(log, damage)
    assert damaged_files(log) == (200, [str(place)])
    streamed, missing = read_readable(stream(log, Span()))
    assert (len(streamed), str(place) in missing) == (200, True)
    own, missing = read_readable(JsonLinesSink(log).read("one"))
    if damage != "zeros at its end":  # only DuckDB cannot read past them
        assert (len(own), str(place) in missing) == (200, damage != "empty" or place.suffix == ".parquet")


AS_NOBODY = """
import os, sys
from datetime import date
from cookie_consent.report import report
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.store import read_readable
day = date(2026, 11, 25)
report(sys.argv[1], since=day, until=day)  # imports what it needs, from where nobody else may read
if os.geteuid() == 0:
    os.setuid(65534)
made = report(sys.argv[1], since=day, until=day)
records, missing = read_readable(JsonLinesSink(sys.argv[1]).read("one"))
print(made["views"], *[one["file"] for one in made["unreadable_files"]], len(records), missing)
"""


@pytest.mark.slow
def test_file_that_may_not_be_read_costs_its_own_records() -> None:
    """The script gives up root, which may read everything."""
    with TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        log = Path(folder, "access.jsonl")
        log.write_bytes(lines(0))
        closed = path_of(log, DAY, 1, FileFormat.GZIP)
        closed.write_bytes(gzip.compress(lines(1000)))
        closed.chmod(0)
        said = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, log], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    assert said.startswith(f"200 {closed} 200 1 of the files cannot be read")


def test_damaged_counts_are_named(log: Path) -> None:
    place = path_of(log.with_name("access.counts.jsonl"), DAY, 1, FileFormat.GZIP)
    place.write_bytes(b"no gzip")
    assert damaged_files(log) == (200, [str(place)])


def test_file_damaged_while_the_process_runs_is_noticed(log: Path) -> None:
    place = damaged_gzip(log, "zeros at its end")
    place.write_bytes(gzip.compress(lines(1000)))
    assert damaged_files(log) == (400, [])
    place.write_bytes(COMPRESSED["a bit flipped"](place.read_bytes()))
    assert damaged_files(log) == (200, [str(place)])


def test_commands_name_the_file_and_end_with_a_finding(log: Path, capsys: Capture) -> None:
    place = damaged_gzip(log, "a bit flipped")
    of_log = ["--access-log", str(log)]
    for command, out, err in (
        (["report", "--from", str(DAY), "--to", str(DAY)], "lacks the records of a file", "Left out, with its record"),
        (["export", "--format", "jsonl"], '"log.record.uid"', "their records are missing: "),
        (["export", "--id", "one", "--json"], '"log.record.uid"', "their records are missing: "),
        (["erase", "--id", "one"], "", "Erased: 200 access records. Records may stay in 1 of the files"),
    ):  # fmt: skip
        assert main([command[0], *of_log, *command[1:]]) == 1
        said = capsys.readouterr()
        assert (out in said.out, err in said.err, f"{place}: CRC check failed" in said.err) == (True, True, True)
    place.unlink()
    assert main(["erase", *of_log, "--id", "one"]) == 0
    assert figures(log)["views"] == 0


def test_visitors_export_has_what_can_be_read_and_says_that_some_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "visits.jsonl"
    visitor = Visitor(install(access_log=path))
    visitor.accept()
    visitor.get("/")
    place = path_of(path, DAY, 1, FileFormat.GZIP)
    for is_complete in (True, False):
        export = visitor.get(f"{PREFIX}/export").json
        assert (len(export["access_records"]), export["access_records_complete"]) == (1, is_complete)
        place.write_bytes(b"no gzip")
    assert str(place) in caplog.text


def test_parquet_file_with_other_columns_is_an_error_about_the_log(log: Path) -> None:
    """It can be read, so it is not damaged, and not left out."""
    compact(log)
    place = path_of(log, DAY, 9, FileFormat.PARQUET)
    duckdb.execute("COPY (SELECT [1] AS visitor) TO $to (FORMAT parquet)", {"to": str(place)})
    with pytest.raises(OSError, match=f"^The files of {log} cannot be read: "):
        list(JsonLinesSink(log, sleep=lambda _: None).read("one"))
    with pytest.raises(UnreadableError, match=f"^access_log: {log} cannot be read: "):
        figures(log)


def test_lack_of_memory_is_no_damage(log: Path) -> None:
    def read(_: Sequence[Source]) -> None:
        raise duckdb.OutOfMemoryException("too much")

    with engine() as connection, pytest.raises(duckdb.OutOfMemoryException):
        read_undamaged(connection, sources(log), read)


def test_error_about_a_file_that_is_gone_is_raised_unchanged(log: Path) -> None:
    """It was rotated or compacted, so the caller looks for the files again."""
    files = sources(log)

    def read(found: Sequence[Source]) -> None:
        found[0].path.unlink(missing_ok=True)
        connection.execute("SELECT * FROM read_json($file)", {"file": str(found[0].path)})

    with engine() as connection, pytest.raises(duckdb.IOException, match="No files found"):
        read_undamaged(connection, files, read)


# Lines that are no records

ENDLESS = b'{"time":"2026-11-25T10:00:00.000Z","log.record.uid":"endless","duration_ms":1e400}\n'
NO_UID = b'{"time":"2026-11-25T10:00:00.000Z"}\n'
NO_RECORDS = [b"no JSON\n", NO_UID, b'{"time":"soon","log.record.uid":"a"}\n', ENDLESS]
ERASED, TORN = b"     \n", b'{"time":"2026-11-25T10:00:00.000Z","log.rec'


@pytest.fixture(params=["live", "closed", "compressed", "beside a table"])
def other(request: pytest.FixtureRequest, log: Path) -> Path:
    """Return a file of the log with four lines that are no records, an erased one, and a torn one at its end."""
    text = lines(1000) + b"".join([*NO_RECORDS, ERASED, TORN])
    place = log if request.param == "live" else path_of(log, DAY, 2, FileFormat.PLAIN)
    if request.param == "compressed":
        place = path_of(log, DAY, 2, FileFormat.GZIP)
        text = gzip.compress(text)
    place.write_bytes(text)
    if request.param == "beside a table":
        figures(log)  # makes the tables, which remember the number
    return place


def test_lines_that_are_no_records_are_left_out_and_counted(other: Path, log: Path) -> None:
    made = figures(log)
    assert (made["views"], made["unreadable_files"]) == (400, [])
    assert made["unreadable_lines"] == [{"file": str(other), "lines": 4}]
    assert f"Lines that are no records are left out. {other.name}: 4" in as_text(made)


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("command", "err"),
    [
        *((["report", *form], "Lines that are no records, and were left out: {}: 4\n") for form in ([], ["--json"])),
        (["export", "--format", "jsonl"], "no records are left out: {}: 4 lines are no records\n"),
        (["export", "--format", "parquet", "--out", "out"], "no records are left out: {}: 4 lines are no records\n"),
    ],
)
def test_commands_count_lines_that_are_no_records(
    command: list[str], err: str, other: Path, log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    assert main([*command, "--access-log", str(log), "--from", str(DAY), "--to", str(DAY)]) == 1
    said = capsys.readouterr()
    assert said.err.endswith(err.format(other))
    assert "jsonl" not in command or said.out.count("\n") == 400


def test_counts_that_are_no_lines_of_json_are_counted(log: Path) -> None:
    place = log.with_name("access.counts.jsonl")
    place.write_bytes(b"no JSON\n" + ERASED + TORN)
    assert figures(log)["unreadable_lines"] == [{"file": str(place), "lines": 1}]


@pytest.mark.parametrize("text", [b"", ERASED, TORN, ERASED + lines(1000) + TORN, TORN + b"\n" + lines(1000)])
def test_erased_and_torn_lines_are_no_fault(text: bytes, log: Path) -> None:
    log.write_bytes(text)
    path_of(log, DAY, 3, FileFormat.PLAIN).write_bytes(text)
    assert figures(log)["unreadable_lines"] == []
    assert read_readable(stream(log, Span()))[1] == ""
    assert compact(log).no_records == ()
