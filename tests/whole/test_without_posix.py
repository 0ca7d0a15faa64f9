"""Tests of the main paths on Windows, in a process without the functions that only POSIX has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from threading import Timer

import pytest

from cookie_consent.base import files, locking
from cookie_consent.cli.main import main
from tests.support.asgi import SITE
from tests.support.without_posix import windows_locks

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_site_and_commands_work_on_windows(tmp_path: Path) -> None:
    (tmp_path / "consent.toml").write_text(SITE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.without_posix"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert f"On Windows {tmp_path / 'access.jsonl'} is never closed or compressed" in done.stderr
    assert "'Example Site' is an example. Write the real one." in done.stderr
    assert "on Windows closed files cannot be changed; do it on Linux or macOS" in done.stderr
    assert "方針.toml still has examples" in done.stdout
    assert re.findall(r'"event":\s*"(\w+)"', done.stdout) == ["granted", "withdrawn", "granted"]
    assert "fits" in done.stdout
    assert re.findall(r'"(visitors|views)": 1\b', done.stdout)[:2] == ["visitors", "views"]
    kept = [json.loads(line) for line in (tmp_path / "access.jsonl").read_bytes().splitlines() if line.strip()]
    assert [record["url.path"] for record in kept] == ["/事務所"]
    assert "views_recorded" in (tmp_path / "access.counts.jsonl").read_text()
    assert "/事務所" in (tmp_path / "out.csv").read_text(encoding="utf-8")


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
    with path.open("r+b", buffering=0) as one, path.open("r+b", buffering=0) as other:
        yield one.fileno(), other.fileno()


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
