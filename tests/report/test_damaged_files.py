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
from cookie_consent.report.page.page import page
from cookie_consent.sinks import CannotEraseError, JsonLinesSink
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of, sources
from cookie_consent.sinks.files.damage import read_undamaged
from cookie_consent.sinks.files.parquet import compact, engine
from cookie_consent.sinks.store import read_readable
from tests.support.asgi import PREFIX, Visitor, install
from tests.support.report_records import ALL_LISTS, few_lists
from tests.support.sink_lines import record

DAY = date(2026, 11, 25)
Damage = Callable[[bytes], bytes]


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


def figures(log: Path, lists: str = "") -> dict[str, Any]:
    """Return the report, without the lists that are not named: they take long."""
    with few_lists(lists):
        return report(log, since=DAY, until=DAY)


@pytest.mark.parametrize(("make", "damage"), DAMAGES)
def test_damaged_file_costs_its_own_records_and_is_named(
    make: Callable[[Path, str], Path], damage: str, log: Path
) -> None:
    place = make(log, damage)
    made = figures(log)
    assert made["views"] == 200
    assert [each["file"] for each in made["unreadable_files"]] == [str(place)]
    assert made["unreadable_files"][0]["problem"]
    streamed, missing = read_readable(stream(log, Span()))
    assert (len(streamed), str(place) in missing) == (200, True)
    own, missing = read_readable(JsonLinesSink(log).read("one"))
    if damage != "zeros at its end":  # only DuckDB cannot read past them
        assert (len(own), str(place) in missing) == (200, damage != "empty" or place.suffix == ".parquet")


def test_page_and_terminal_name_damaged_files(log: Path) -> None:
    place = damaged_gzip(log, "cut off")
    made = figures(log, ALL_LISTS)
    assert place.name in page(made)
    assert place.name in as_text(made)


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


def test_figures_of_whole_files_name_none(log: Path) -> None:
    assert figures(log)["unreadable_files"] == []


def test_damaged_counts_are_named(log: Path) -> None:
    place = path_of(log.with_name("access.counts.jsonl"), DAY, 1, FileFormat.GZIP)
    place.write_bytes(b"no gzip")
    made = figures(log)
    assert (made["views"], [each["file"] for each in made["unreadable_files"]]) == (200, [str(place)])


def test_file_damaged_while_the_process_runs_is_noticed(log: Path) -> None:
    place = damaged_gzip(log, "zeros at its end")
    place.write_bytes(gzip.compress(lines(1000)))
    assert figures(log)["views"] == 400
    place.write_bytes(COMPRESSED["a bit flipped"](place.read_bytes()))
    assert figures(log)["views"] == 200


def test_report_command_names_the_file_and_ends_with_a_finding(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = damaged_gzip(log, "cut off")
    span = ["--access-log", str(log), "--from", str(DAY), "--to", str(DAY)]
    assert main(["report", *span, "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["views"] == 200
    assert said.err.startswith(f"Left out, with its records: {place}: Compressed file ended")


def test_export_command_writes_the_rest_and_ends_with_a_finding(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = damaged_gzip(log, "a bit flipped")
    out = tmp_path / "out.jsonl"
    assert main(["export", "--access-log", str(log), "--format", "jsonl", "--out", str(out)]) == 1
    assert len(out.read_bytes().splitlines()) == 200
    assert f"their records are missing: {place}: CRC check failed" in capsys.readouterr().err
    assert main(["export", "--access-log", str(log), "--id", "one", "--json"]) == 1
    said = capsys.readouterr()
    assert (said.out.count("\n"), str(place) in said.err) == (200, True)


def test_erasure_that_is_not_whole_is_an_error_that_names_the_file(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = damaged_gzip(log, "cut off")
    assert main(["erase", "--access-log", str(log), "--id", "one"]) == 1
    said = capsys.readouterr().err
    assert "Erased: 200 access records. Records may stay in 1 of the files" in said
    assert str(place) in said
    place.unlink()
    assert main(["erase", "--access-log", str(log), "--id", "one"]) == 0
    assert figures(log)["views"] == 0


def test_damaged_parquet_file_is_named_by_an_erasure(log: Path) -> None:
    place = damaged_parquet(log, "cut off")
    with pytest.raises(CannotEraseError, match="Erased: 200 access records") as caught:
        JsonLinesSink(log, sleep=lambda _: None).erase("one")
    assert str(place) in str(caught.value)


def test_compaction_leaves_a_file_with_changed_bytes(log: Path) -> None:
    place = damaged_gzip(log, "a bit flipped")
    done = compact(log)
    assert (done.files, done.unreadable[0].startswith(f"{place}: CRC check failed")) == (1, True)
    assert place.is_file()


def test_visitors_export_has_what_can_be_read_and_says_that_some_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "visits.jsonl"
    visitor = Visitor(install(access_log=path))
    visitor.accept()
    visitor.get("/")
    export = visitor.get(f"{PREFIX}/export").json
    assert (len(export["access_records"]), export["access_records_complete"]) == (1, True)
    place = path_of(path, DAY, 1, FileFormat.GZIP)
    place.write_bytes(b"no gzip")
    export = visitor.get(f"{PREFIX}/export").json
    assert (len(export["access_records"]), export["access_records_complete"]) == (1, False)
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


ENDLESS = b'{"time":"2026-11-25T10:00:00.000Z","log.record.uid":"endless","duration_ms":1e400}\n'
NO_RECORDS = [b"no JSON\n", b"[7]\n", b'{"time":"soon","log.record.uid":"a"}\n', ENDLESS]
ERASED, TORN = b"     \n", b'{"time":"2026-11-25T10:00:00.000Z","log.rec'


@pytest.fixture(params=["live", "closed", "compressed", "beside a table"])
def other(request: pytest.FixtureRequest, log: Path) -> Path:
    """Return a file of the log with four lines that are no records, an erased one, and a torn one at its end."""
    text = lines(1000) + b"".join([*NO_RECORDS, ERASED, TORN])
    if request.param == "compressed":
        place = path_of(log, DAY, 2, FileFormat.GZIP)
        place.write_bytes(gzip.compress(text))
        return place
    place = log if request.param == "live" else path_of(log, DAY, 2, FileFormat.PLAIN)
    place.write_bytes(text)
    if request.param == "beside a table":
        figures(log)  # makes the tables, which remember the number
    return place


def test_lines_that_are_no_records_are_left_out_and_counted(other: Path, log: Path) -> None:
    made = figures(log)
    assert (made["views"], made["unreadable_files"]) == (400, [])
    assert made["unreadable_lines"] == [{"file": str(other), "lines": 4}]


@pytest.mark.each_value(at_most=1)
def test_report_command_says_in_each_format_that_lines_were_left_out(
    other: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    span = ["--access-log", str(log), "--from", str(DAY), "--to", str(DAY)]
    finding = f"Lines that are no records, and were left out: {other}: 4\n"
    assert main(["report", *span, "--json"]) == 1
    said = capsys.readouterr()
    made = json.loads(said.out)
    assert (made["views"], made["unreadable_files"]) == (400, [])
    assert made["unreadable_lines"] == [{"file": str(other), "lines": 4}]
    assert said.err == finding
    assert main(["report", *span]) == 1
    said = capsys.readouterr()
    assert (f"Lines that are no records are left out. {other.name}: 4" in said.out, said.err) == (True, finding)
    html = tmp_path / "report.html"
    assert main(["report", *span, "--html", str(html)]) == 1
    assert f"{other.name}: 4" in html.read_text("utf-8")
    assert main(["report", *span, "--csv", str(tmp_path / "csv")]) == 1
    assert capsys.readouterr().err == finding * 2


@pytest.mark.each_value
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "ncsa"])
def test_export_leaves_out_and_counts_lines_that_are_no_records(
    form: str, other: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["export", "--access-log", str(log), "--format", form, "--out", str(out)]) == 1
    assert capsys.readouterr().err.endswith(f"no records are left out: {other}: 4 lines are no records\n")
    if form == "jsonl":
        assert len(out.read_bytes().splitlines()) == 400


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
