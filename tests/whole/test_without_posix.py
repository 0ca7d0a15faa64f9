"""Tests of the main paths on Windows, in a process without the functions that only POSIX has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from threading import Timer

import pytest

from cookie_consent.base import files, locking
from cookie_consent.cli.main import main
from tests.support.asgi import SITE
from tests.support.sites.without_posix_site import check_purge, check_spill_files
from tests.support.without_posix import windows_locks

ROOT = Path(__file__).parents[2]


def run(*arguments: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in a process without the functions that only POSIX has."""
    command = [sys.executable, "-m", "tests.support.without_posix", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(
        command, capture_output=True, cwd=folder, env=environment, check=False, encoding="utf-8", timeout=60
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the policy, the ledger and the access log of a site that has run."""
    folder = tmp_path_factory.mktemp("windows")
    (folder / "consent.toml").write_text(SITE, encoding="utf-8")
    said = run("site", str(folder), folder=folder)
    assert f"On Windows {folder / 'access.jsonl'} is never closed or compressed" in said.stderr
    return folder


@pytest.mark.slow
def test_site_writes_records_and_counts(folder: Path) -> None:
    kept = [json.loads(line) for line in (folder / "access.jsonl").read_bytes().splitlines() if line.strip()]
    assert [record["url.path"] for record in kept] == ["/事務所"]
    assert "views_recorded" in (folder / "access.counts.jsonl").read_text()


@pytest.mark.slow
def test_commands_read_the_stored_files(folder: Path) -> None:
    ledger, log = ("--ledger", "sqlite:///consent.db"), ("--access-log", "access.jsonl")
    run("init", "方針.toml", folder=folder)
    checked = run("check", "方針.toml", folder=folder, status=1)
    assert "方針.toml still has examples" in checked.stdout
    assert "'Example Site' is an example. Write the real one." in checked.stderr
    records = [json.loads(line) for line in run("records", *ledger, "--json", folder=folder).stdout.splitlines()]
    assert [record["event"] for record in records] == ["granted", "withdrawn", "granted"]
    assert "fits" in run("verify", *ledger, folder=folder).stdout
    report = json.loads(run("report", *log, "--json", folder=folder).stdout)
    assert (report["visitors"], report["views"]) == (1, 1)
    out = folder / "out.csv"
    run("export", *log, "--format", "csv", "--out", str(out), folder=folder)
    assert "/事務所" in out.read_text(encoding="utf-8")
    run("purge", *ledger, *log, "--policy", "consent.toml", folder=folder)


@pytest.mark.slow
def test_compact_says_that_it_needs_posix(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "access-2025-01-01-0001.jsonl").write_bytes(b'{"time":"2025-01-01T00:00:00.000Z"}\n')
    said = run("compact", "--access-log", str(tmp_path / "access.jsonl"), folder=tmp_path, status=1)
    assert "on Windows closed files cannot be changed; do it on Linux or macOS" in said.stderr


def test_command_works_when_stdout_is_no_file(
    without_posix: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdout", StringIO())
    assert main(["init", str(tmp_path / "consent.toml")]) == 0


# Locks and files.


@pytest.fixture
def without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msvcrt", windows_locks())
    monkeypatch.setattr(locking, "fcntl", None)
    monkeypatch.setattr(locking, "_TURN", 0.02)
    for name in ("pread", "pwrite", "fchown", "O_DIRECTORY"):
        monkeypatch.delattr(os, name)


@pytest.fixture
def file_open_twice(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A file that is open twice."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    both = files.open_file(path, os.O_RDWR), files.open_file(path, os.O_RDWR)
    yield both
    for file in both:
        os.close(file)


@pytest.mark.usefixtures("without_posix")
def test_lock_without_posix_is_exclusive(file_open_twice: tuple[int, int]) -> None:
    one, other = file_open_twice
    assert not locking.is_posix()
    locking.lock(one)
    with pytest.raises(BlockingIOError, match="locked by another process"):
        locking.lock(other)


@pytest.mark.usefixtures("without_posix")
def test_new_lock_without_posix_waits_for_who_tries_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks for locks of killed ones may find the file before it is locked."""

    def found_by_another(path: Path, flags: int, mode: int) -> int:
        file = files.open_file(path, flags, mode)
        other = files.open_file(path, os.O_RDWR)
        locking.lock(other)
        Timer(0.05, os.close, [other]).start()
        return file

    monkeypatch.setattr(locking, "_TURN", 60)
    monkeypatch.setattr(locking, "open_file", found_by_another)
    os.close(locking.make_locked(tmp_path / "lock"))


def test_locking_module_imports_without_fcntl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = spec_from_file_location("locking_elsewhere", locking.__file__)
    assert spec is not None
    assert spec.loader is not None
    elsewhere = module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    assert not elsewhere.is_posix()


def test_lock_of_closed_file_raises(tmp_path: Path) -> None:
    file = files.open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.close(file)
    with pytest.raises(OSError, match="Bad file descriptor"):
        locking.lock(file, wait=60)


@pytest.mark.usefixtures("without_posix")
@pytest.mark.slow
def test_files_are_written_without_posix_functions(tmp_path: Path) -> None:
    check_purge(tmp_path / "old.jsonl")
    check_spill_files(tmp_path / "spill")


@pytest.mark.usefixtures("without_posix")
def test_read_at_and_write_at_keep_the_file_position(file_open_twice: tuple[int, int], tmp_path: Path) -> None:
    one, other = file_open_twice
    assert os.read(one, 3) == b"012"
    assert files.read_at(one, 2, 5) == b"56"
    assert files.write_at(one, b"xy", 3) == 2
    assert os.read(one, 3) == b"xy5"
    files.set_mode_and_owner(other, 0o600, tmp_path.stat())
    files.sync_folder(tmp_path)
    assert files.read_at(other, 20, 0) == b"012xy56789"
