"""Tests of the loss counter: the next process counts, once, the lines that a killed process held."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.losses import LossCounter
from tests.support.sink_lines import ROOT, line


def losses_found(folder: Path, place: str = "a place") -> int:
    return LossCounter(place, folder).begin(0)


def run(script: str, place: str, folder: Path) -> str:
    """Run a script that has a counter, `held`, in a process of its own; return its output."""
    head = "import os, sys\nfrom pathlib import Path\nfrom cookie_consent.sinks.losses import LossCounter\n"
    head += "held = LossCounter(sys.argv[1], Path(sys.argv[2]))\n"
    command = [sys.executable, "-c", f"{head}{script}", place, str(folder)]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def lose_lines(place: str, folder: Path) -> None:
    """Run a process that has a line, takes ten more and stores four, and exits at once."""
    run("held.begin(1); held.numbers[0] += 10; held.numbers[1] += 4; os._exit(0)", place, folder)


def test_losses_of_ended_process_are_counted_once(tmp_path: Path) -> None:
    running = LossCounter("a place", tmp_path)
    assert running.begin(5) == 0
    lose_lines("a place", tmp_path)
    assert losses_found(tmp_path, "another place") == 0
    assert losses_found(tmp_path) == 7, "without those of the running process"
    assert losses_found(tmp_path) == 0


def test_process_without_losses_leaves_no_file(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    assert held.begin(2) == 0
    held.end()
    assert len([*tmp_path.iterdir()]) == 1, "lines still wait"
    held.numbers[1] += 2
    held.end()
    assert [*tmp_path.iterdir()] == []


def test_missing_shared_memory_folder_raises_nothing(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path / "none")
    assert held.begin(3) == 0
    held.numbers[0] += 1
    held.end()
    assert [*held.numbers] == [4, 0]


def test_relative_and_absolute_path_are_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lose_lines(str(tmp_path / "logs/access.jsonl"), tmp_path)
    assert losses_found(tmp_path, "logs/access.jsonl") == 7
    lose_lines("mq://one.example/RECORDS", tmp_path)
    assert losses_found(tmp_path, "mq://one.example/RECORDS") == 7


def test_sink_counts_and_logs_losses_of_ended_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
    lose_lines(path, Path("/dev/shm"))  # noqa: S108 (the default folder)
    sink = JsonLinesSink(path)
    sink.write(line(1))
    sink.close()
    assert sink.stats() == {"dropped_killed": 7, "written": 1, "waiting": 0}
    assert "7 access records at most for " in caplog.text


FORKED = """
held.begin(1)
child = os.fork()
if not child:
    held.begin(5)
    held.numbers[1] += 2
    os._exit(0)
os.waitpid(child, 0)
print(*held.numbers, LossCounter("a place", Path(sys.argv[2])).begin(0))
"""


def test_forked_child_has_its_own_counter(tmp_path: Path) -> None:
    assert run(FORKED, "a place", tmp_path) == "1 0 3\n"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch], ids=["folder", "pipe", "empty file"])
def test_unusable_counter_file_is_ignored(make: Callable[[Path], object], tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    held.begin(0)
    (file,) = tmp_path.iterdir()
    held.end()
    make(file)
    assert losses_found(tmp_path) == 0
