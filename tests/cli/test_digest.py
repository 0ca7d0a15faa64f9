"""Tests of `cookie-consent digest`: what it says of files that it cannot digest, and wrong arguments."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cookie_consent.base.process import locking
from cookie_consent.cli.command import FINDING, GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.digest_files import digest_folder
from tests.report.test_report_sessions import NOON, record
from tests.support.report_records import line

Capture = pytest.CaptureFixture[str]
DAY = NOON.date()


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A log with one closed file."""
    live = tmp_path / "access.jsonl"
    path_of(live, DAY, 1, FileFormat.PLAIN).write_bytes(line(record(0, "/")))
    return live


def run(live: Path, *arguments: str) -> int:
    return main(["digest", "--access-log", str(live), *arguments])


def test_damaged_file_has_no_digest_and_is_named(live: Path, capsys: Capture) -> None:
    damaged = path_of(live, DAY, 2, FileFormat.GZIP)
    damaged.write_bytes(b"no gzip")
    assert run(live, "--json") == FINDING
    said = capsys.readouterr()
    made = json.loads(said.out)
    assert (made["digests"], len(made["damaged"]), made["busy"]) == (1, 1, False)
    assert said.err == f"Has no digest: {made['damaged'][0]}\n"
    assert str(damaged) in said.err


def test_unknown_time_zone_is_refused(live: Path, capsys: Capture) -> None:
    assert run(live, "--time-zone", "Mars/Olympus") == WRONG_USAGE
    assert 'there is no time zone "Mars/Olympus"' in capsys.readouterr().err
    assert not digest_folder(live).exists()


def test_windows_makes_no_digests(live: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "fcntl", None)
    assert run(live) == FINDING
    assert "on Windows digests cannot be made; do it on Linux or macOS" in capsys.readouterr().err
    assert not digest_folder(live).exists()


def test_digest_without_duckdb_says_how_to_install(
    live: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert run(live) == WRONG_USAGE
    assert "pip install" in capsys.readouterr().err


def test_unwritable_digests_are_reported(live: Path, capsys: Capture) -> None:
    digest_folder(live).write_text("a file where the folder should be")
    assert run(live) == WRONG_USAGE
    assert capsys.readouterr().err.startswith(f"The digests of {live} cannot be written: ")


def test_second_process_leaves_the_digests_to_the_first(live: Path, capsys: Capture) -> None:
    digest_folder(live).mkdir()
    with locking.opened(digest_folder(live) / ".lock", os.O_RDWR | os.O_CREAT, 0o600):
        assert run(live) == GOOD
    assert capsys.readouterr().out == "Another process makes the digests now.\n"
    assert os.listdir(digest_folder(live)) == [".lock"]
