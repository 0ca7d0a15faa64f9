"""Tests of the list of erased visitors, and of erasing them again from a restored backup."""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cookie_consent.cli.main import main
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.erased import ErasedVisitors, hash_of
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.store import read_readable
from tests.support.sink_lines import TODAY, line

NOW = TODAY.timestamp()
_NUMBERS = itertools.count()

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with a record of "one" and one of "two"."""
    path = tmp_path / "access.jsonl"
    write(path, "one", "two")
    return path


@pytest.fixture
def listed(tmp_path: Path) -> ErasedVisitors:
    """The list beside that log."""
    return ErasedVisitors(tmp_path / "access.jsonl.erased")


def write(path: Path, *visitors: str) -> None:
    sink = JsonLinesSink(path)
    for visitor in visitors:
        sink.write(line(next(_NUMBERS), visitor))
    sink.close()


def erase(path: Path, *arguments: str) -> int:
    return main(["erase", "--access-log", str(path), *arguments])


def test_restored_backup_is_erased_again(path: Path, tmp_path: Path, capsys: Capture) -> None:
    write(path, "one", "three")
    shutil.copy(path, tmp_path / "backup")
    assert erase(path, "--id", "one") == 0
    assert JsonLinesSink(path).erase("three") == 1
    shutil.copy(tmp_path / "backup", path)
    capsys.readouterr()
    assert erase(path, "--again") == 0
    assert capsys.readouterr().out == "Erased again: 3 access records of 2 visitors.\n"
    assert [len([*JsonLinesSink(path).read(visitor)]) for visitor in ("one", "two", "three")] == [0, 1, 0]
    assert erase(path, "--again", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"again": {"visitors": 0, "access_records": 0}}


def test_list_has_no_id_and_is_for_its_owner_alone(path: Path, listed: ErasedVisitors) -> None:
    assert JsonLinesSink(path).erase("one") == 1
    (until, hash_) = listed.path.read_text("ascii").splitlines()[-1].split(" ")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(until)) < timedelta(minutes=1)
    assert hash_ == hash_of("one")
    assert listed.path.stat().st_mode & 0o777 == 0o600


def test_purge_removes_erasures_that_no_record_can_be_older_than(path: Path, listed: ErasedVisitors) -> None:
    listed.add("old", NOW - timedelta(days=40).total_seconds())
    listed.add("edge", NOW - timedelta(days=30).total_seconds())
    for seconds in (0, 1):
        listed.add("new", NOW + seconds)
    JsonLinesSink(path).purge(NOW, timedelta(days=30), dry_run=True)
    assert len(listed.path.read_bytes().splitlines()) == 4
    for _ in range(2):
        JsonLinesSink(path).purge(NOW, timedelta(days=30))
    assert listed.hashes() == {hash_of("edge"), hash_of("new")}
    assert len(listed.path.read_bytes().splitlines()) == 2
    assert listed.path.stat().st_mode & 0o777 == 0o600


def test_list_that_cannot_be_written_does_not_stop_erasures(
    path: Path, listed: ErasedVisitors, caplog: pytest.LogCaptureFixture
) -> None:
    listed.path.mkdir()
    sink = JsonLinesSink(path)
    assert [sink.erase("one"), sink.erase("two")] == [1, 1]
    assert caplog.text.count("Erasures cannot be listed in") == 1
    sink.purge(NOW, timedelta(days=30))


def test_line_that_the_disk_takes_only_a_part_of_is_taken_back(
    listed: ErasedVisitors, caplog: pytest.LogCaptureFixture
) -> None:
    listed.add("one", NOW)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (listed.path.stat().st_size + 10, hard))
    try:
        listed.add("two", NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "Erasures cannot be listed in" in caplog.text
    listed.add("two", NOW)
    assert listed.hashes() == {hash_of("one"), hash_of("two")}


def test_withdrawal_that_is_listed_already_is_not_listed_again(listed: ErasedVisitors) -> None:
    for seconds, known in ((0, 1), (0, 1), (-1, 1), (1, 2)):
        ErasedVisitors(listed.path).add("one", NOW + seconds, is_erased=False)
        assert len(listed.path.read_bytes().splitlines()) == known
    listed.add("one", NOW)
    assert len(listed.path.read_bytes().splitlines()) == 3, "an erasure is always listed"
    assert hash_of("one") in listed.hashes()


def test_damaged_line_of_the_list_keeps_nobody_else_from_being_erased_again(
    path: Path, listed: ErasedVisitors, capsys: Capture
) -> None:
    listed.path.write_bytes(b"\xff\xfe\n" + f"{TODAY - timedelta(days=1):%Y-%m-%d} {hash_of('one')}\n".encode())
    assert erase(path, "--again") == 0
    assert capsys.readouterr().out == "Erased again: 1 access record of 1 visitor.\n"
    sink = JsonLinesSink(path)
    sink.write(line(next(_NUMBERS), "one", days=-1))
    assert len([*sink.read("one")]) == 1, "a later record, which the writer compares with the list"
    JsonLinesSink(path).purge(NOW, timedelta(days=30))
    assert hash_of("one") in listed.hashes()


def test_damaged_file_is_named_while_the_rest_is_erased_again(path: Path, capsys: Capture) -> None:
    assert JsonLinesSink(path).erase("one") == 1
    write(path, "one")
    damaged = path_of(path, date(2026, 11, 25), 1, FileFormat.GZIP)
    damaged.write_bytes(b"no gzip")
    assert erase(path, "--again") == 1
    assert str(damaged) in capsys.readouterr().err
    assert read_readable(JsonLinesSink(path).read("one"))[0] == []


def test_erasing_again_without_duckdb_says_how_to_install(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert JsonLinesSink(path).erase("one") == 1
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert erase(path, "--again") == 2
    assert 'pip install "cookie-consent[analytics]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--again", "--id", "one"], "or --again alone"),
        (["--again", "--proof"], "or --again alone"),
        ([], "Name whom to erase"),
        (["--again"], "There is no list of erased visitors"),
    ],
)
def test_wrong_arguments_of_erase_are_refused(arguments: list[str], said: str, path: Path, capsys: Capture) -> None:
    assert erase(path, *arguments) == 2
    assert said in capsys.readouterr().err


def test_erasing_again_needs_an_access_log(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSENT_ACCESS_LOG", raising=False)
    assert main(["erase", "--again"]) == 2
    assert "Name the access log" in capsys.readouterr().err
