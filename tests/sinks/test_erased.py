"""Tests of the list of erased visitors, and of erasing them again from a restored backup."""

from __future__ import annotations

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
from tests.support.sink_lines import TODAY, record

NOW = TODAY.timestamp()


def sink(path: Path) -> JsonLinesSink:
    return JsonLinesSink(path, sleep=lambda _: None)


def wrote(path: Path, *visitors: str) -> None:
    log = sink(path)
    for number, visitor in enumerate(visitors):
        log.write(json.dumps(record(number, visitor)).encode() + b"\n")
    log.close()


def test_restored_backup_is_erased_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, backup = tmp_path / "logs" / "access.jsonl", tmp_path / "backup"
    wrote(path, "one", "two", "one", "three")
    backup.mkdir()
    shutil.copy(path, backup)
    assert main(["erase", "--access-log", str(path), "--id", "one"]) == 0
    assert sink(path).erase("three") == 1
    shutil.copy(backup / path.name, path)
    assert len([*sink(path).read("one")]) == 2, "the restore brought them back"
    capsys.readouterr()
    assert main(["erase", "--again", "--access-log", str(path)]) == 0
    assert capsys.readouterr().out == "Erased again: 3 access records of 2 visitors.\n"
    assert [len([*sink(path).read(visitor)]) for visitor in ("one", "two", "three")] == [0, 1, 0]
    assert main(["erase", "--again", "--access-log", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"again": {"visitors": 0, "access_records": 0}}


def test_list_has_no_id_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    wrote(path, "one")
    log = sink(path)
    assert log.erase("one") == 1
    assert log.erase("one") == 0
    listed = tmp_path / "access.jsonl.erased"
    (until, hash_) = listed.read_text("ascii").splitlines()[-1].split(" ")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(until)) < timedelta(minutes=1)
    assert hash_ == hash_of("one")
    assert listed.stat().st_mode & 0o777 == 0o600


def test_purge_removes_erasures_that_no_record_can_be_older_than(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    wrote(path, "two")
    listed = ErasedVisitors(tmp_path / "access.jsonl.erased")
    listed.add("old", NOW - timedelta(days=40).total_seconds())
    listed.add("new", NOW)
    ErasedVisitors(listed.path).add("new", NOW + 1)
    sink(path).purge(NOW, timedelta(days=30), dry_run=True)
    assert len(listed.path.read_bytes().splitlines()) == 3
    for _ in range(2):
        sink(path).purge(NOW, timedelta(days=30))
    assert listed.hashes() == {hash_of("new")}
    assert len(listed.path.read_bytes().splitlines()) == 1
    assert listed.path.stat().st_mode & 0o777 == 0o600


def test_list_that_cannot_be_written_does_not_stop_erasures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "access.jsonl"
    wrote(path, "one", "two")
    (tmp_path / "access.jsonl.erased").mkdir()
    log = sink(path)
    assert [log.erase("one"), log.erase("two")] == [1, 1]
    assert caplog.text.count("Erasures cannot be listed in") == 1
    log.purge(NOW, timedelta(days=30))


def test_line_that_the_disk_takes_only_a_part_of_is_taken_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = ErasedVisitors(tmp_path / "list")
    listed.add("one", NOW)
    size, before = listed.path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        listed.add("two", NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Erasures cannot be listed in" in caplog.text
    listed.add("two", NOW)
    assert listed.hashes() == {hash_of("one"), hash_of("two")}


def test_damaged_line_of_the_list_keeps_nobody_else_from_being_erased_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, listed = tmp_path / "access.jsonl", tmp_path / "access.jsonl.erased"
    wrote(path, "one", "two")
    listed.write_bytes(b"\xff\xfe\n" + f"2026-11-25 {hash_of('one')}\n".encode())
    assert main(["erase", "--again", "--access-log", str(path)]) == 0
    assert capsys.readouterr().out == "Erased again: 1 access record of 1 visitor.\n"


def test_erasing_again_without_duckdb_says_how_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.jsonl"
    wrote(path, "one")
    assert sink(path).erase("one") == 1
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["erase", "--again", "--access-log", str(path)]) == 2
    assert 'pip install "cookie-consent[analytics]"' in capsys.readouterr().err


def test_erasing_again_needs_an_access_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSENT_ACCESS_LOG", raising=False)
    assert main(["erase", "--again"]) == 2
    assert "Name the access log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--again", "--id", "one"], "or --again alone"),
        (["--again", "--proof"], "or --again alone"),
        ([], "Name whom to erase"),
        (["--again"], "There is no list of erased visitors"),
    ],
)
def test_wrong_arguments_of_erase_are_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "access.jsonl"
    path.touch()
    assert main(["erase", "--access-log", str(path), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_damaged_file_is_named_while_the_rest_is_erased_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "access.jsonl"
    wrote(path, "one", "two")
    log = sink(path)
    assert log.erase("one") == 1
    wrote(path, "one")
    damaged = path_of(path, date(2026, 11, 25), 1, FileFormat.GZIP)
    damaged.write_bytes(b"no gzip")
    capsys.readouterr()
    assert main(["erase", "--again", "--access-log", str(path)]) == 1
    assert str(damaged) in capsys.readouterr().err
    assert read_readable(log.read("one"))[0] == []


def test_withdrawal_that_is_listed_already_is_not_listed_again(tmp_path: Path) -> None:
    listed = ErasedVisitors(tmp_path / "access.jsonl.erased")
    listed.add("one", NOW, is_erased=False)
    (only,) = listed.path.read_bytes().splitlines()
    listed.add("one", NOW, is_erased=False)
    ErasedVisitors(listed.path).add("one", NOW - 1, is_erased=False)
    assert listed.path.read_bytes().splitlines() == [only]
    listed.add("one", NOW + 1, is_erased=False)
    listed.add("two", NOW, is_erased=False)
    assert len(listed.path.read_bytes().splitlines()) == 3
