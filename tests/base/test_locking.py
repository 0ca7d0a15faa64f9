"""Tests of temporary folders: what killed processes leave is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cookie_consent.base import locking
from cookie_consent.base.locking import temporary_folder

_KILLED = """
import os, sys, tempfile
from cookie_consent.base.locking import temporary_folder
tempfile.tempdir = sys.argv[1]
with temporary_folder() as folder:
    (folder / "records.parquet").write_text("ann")
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), 9)
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_folder_is_there_for_the_block(place: Path) -> None:
    with temporary_folder() as folder:
        (folder / "records.parquet").write_text("ann")
        assert folder.parent == place
        assert folder.stat().st_mode & 0o077 == 0
    assert not list(place.iterdir())


def test_folder_of_a_killed_process_is_removed(place: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(place), "killed"], check=False, timeout=60)
    assert killed.returncode == -9
    (left,) = place.iterdir()
    with temporary_folder() as folder:
        assert list(place.iterdir()) == [folder]
    assert not left.exists()


def test_folder_of_another_user_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder for all users, its lock may be a link to any file."""
    other = place / "cookie-consent-other"
    other.mkdir()
    (other / "in-use.lock").symlink_to(place / "any")
    (place / "any").touch()
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with temporary_folder():
        assert (other / "in-use.lock").is_symlink()


def test_folder_of_a_running_process_stays(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(place), "runs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        own = Path(running.stdout.readline().strip())
        with temporary_folder() as folder:
            assert sorted(place.iterdir()) == sorted((own, folder))
        assert (own / "records.parquet").read_text() == "ann"
        running.communicate("")
    assert not list(place.iterdir())


def test_folders_of_others_stay(place: Path) -> None:
    """Only a folder with our lock is ours."""
    other = place / "cookie-consent-other"
    other.mkdir()
    (other / "kept").touch()
    linked = place / "cookie-consent-linked"
    linked.symlink_to(place)
    (place / "in-use.lock").touch()
    with temporary_folder():
        assert (other / "kept").exists()
        assert linked.is_symlink()
    assert (place / "in-use.lock").exists()


def test_lock_that_cannot_get_its_name_is_released(place: Path) -> None:
    taken = place / "lock"
    taken.mkdir()
    with pytest.raises(OSError, match="lock"):
        locking.make_locked(taken)
    with locking.hold_lock(place / ".lock.new", os.O_RDWR):
        """Nobody holds it."""


def test_lock_of_a_closed_file_raises_at_once(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        descriptor = file.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        locking.lock(descriptor, wait=60)
