"""Tests of the commands on a whole access log: `compact`, `export`, `erase --again` and `serve-report`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE, main
from tests.cli.conftest import Run
from tests.support.report_records import NOON, line, record
from tests.support.served import visited

DAY = str(NOON.date())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An access log with two views."""
    path = tmp_path / "access.jsonl"
    path.write_bytes(line(record(0, "/one")) + line(record(1, "/two")))
    return path


def paths_of(lines: Iterable[str]) -> list[str]:
    return [json.loads(each)["url.path"] for each in lines]


def test_closed_files_are_compacted(log: Path, cli: Run) -> None:
    log.rename(log.with_name(f"access-{DAY}-0001.jsonl"))
    assert cli("compact", "--access-log", log) == (GOOD, "1 closed file compacted: 2 access records.\n", "")
    assert cli("compact", "--access-log", log, "--json").lines[0]["records"] == 0
    missing = log.with_name("none.jsonl")
    why = f"access_log: there is no file {missing}, and none that was closed.\n"
    assert cli("compact", "--access-log", missing) == (WRONG_USAGE, "", why)


@pytest.mark.slow  # DuckDB writes the file
def test_access_log_is_exported_to_a_file_or_to_standard_output(log: Path, tmp_path: Path, cli: Run) -> None:
    out = tmp_path / "out"
    export = ("export", "--access-log", log, "--format")
    assert paths_of(cli(*export, "jsonl", "--from", DAY).out.splitlines()) == ["/one", "/two"]
    assert cli(*export, "csv", "--out", out) == (GOOD, f"{out} is written.\n", "")
    assert out.read_text("utf-8").count("\n") == 3
    assert cli(*export, "parquet", "--out", out).status == GOOD
    assert len(duckdb.read_parquet(str(out))) == 2
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"], "no part is left"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "Name what to export: --id ID for everything that is kept under an id, or --format FORMAT"),
        (["--format", "csv", "--json"], '--json goes with --id. Of all access records, "--format jsonl" is JSON.'),
        (["--format", "parquet"], "--format parquet needs --out FILE"),
        (["--format", "csv", "--out", "access.jsonl"], "is a file of the access log itself. Name another."),
        (["--format", "csv", "--out", "."], "--out takes the name of a file, and . is none."),
        (["--format", "csv", "--out", "none/out"], "none/out cannot be written: No such file or directory."),
    ],
)
def test_export_that_cannot_be_written_is_wrong_usage(
    options: list[str], why: str, log: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    before = log.read_bytes()
    ran = cli("export", "--access-log", log, *options)
    assert (ran.status, why in ran.err, log.read_bytes()) == (WRONG_USAGE, True, before)


def test_visitors_of_a_restored_backup_are_erased_again(log: Path, cli: Run) -> None:
    before = log.read_bytes() + line(record(2, "/three", visitor__id="other"))
    where = ("--access-log", log)
    none = "There is no list of erased visitors beside this access log. It begins with the first.\n"
    assert cli("erase", "--again", *where) == (WRONG_USAGE, "", none)
    cli("erase", "--id", "other", *where)
    log.write_bytes(before)
    assert cli("erase", "--again", *where) == (GOOD, "Erased again: 1 access record of 1 visitor.\n", "")
    assert cli("erase", "--again", *where, "--json").lines == [{"again": {"visitors": 0, "access_records": 0}}]
    with log.open("ab") as file:
        file.write(b"no record\n")
    assert cli("erase", "--again", *where).status == FINDING


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--password-file", "none"], "--password-file: none cannot be read as a text: "),
        (["--password-file", "short"], "The password has to have "),
        (["--host", "0.0.0.0"], "Others than this machine can connect to 0.0.0.0: that needs a password."),  # noqa: S104
    ],
)
def test_report_is_not_served_without_its_guards(
    options: list[str], why: str, log: Path, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)
    Path("short").write_text("abc\n")
    ran = cli("serve-report", "--access-log", log, *options)
    assert (ran.status, why in ran.err) == (WRONG_USAGE, True)


@pytest.mark.server
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_report_is_served_with_a_password(host: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    password = log.with_name("password")
    password.write_text("a password of a good length\n")
    arguments = [
        "serve-report",
        "--access-log",
        str(log),
        "--port",
        "0",
        "--host",
        host,
        "--password-file",
        str(password),
    ]
    with visited(capsys, "a password of a good length") as replies:
        assert main(arguments) == GOOD
    assert [reply.status_code for reply in replies] == [401, 200]
