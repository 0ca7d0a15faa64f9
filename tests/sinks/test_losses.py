"""Tests of the loss counter: the next process counts, once, the lines that a killed process held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cookie_consent.sinks.files.sink import JsonLinesSink
from cookie_consent.sinks.losses import LossCounter
from tests.support.servers.processes import kill_process_group, process_group_options
from tests.support.sink_lines import line

ROOT = Path(__file__).parents[2]
_HOLD = """
import sys, time
from pathlib import Path
from cookie_consent.sinks.losses import LossCounter
held = LossCounter("a place", Path(sys.argv[1]))
held.begin(1)
held.numbers[0] += 10
held.numbers[1] += 4
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def process_with_losses(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that took eleven lines and wrote four of them."""
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, **process_group_options()) as process:
        assert process.stdout, "a pipe"
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            kill_process_group(process)


def losses_found(folder: Path, place: str = "a place") -> int:
    return LossCounter(place, folder).begin(0)


@pytest.mark.slow
def test_losses_of_killed_process_are_counted_once(tmp_path: Path) -> None:
    with process_with_losses(tmp_path) as process:
        assert losses_found(tmp_path) == 0, "the process still runs"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert losses_found(tmp_path, "another place") == 0
        assert losses_found(tmp_path) == 7
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


@pytest.mark.slow
def test_relative_and_absolute_path_are_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _abandon(str(tmp_path / "logs/access.jsonl"), tmp_path)
    assert losses_found(tmp_path, "logs/access.jsonl") == 5
    _abandon("mq://one.example/RECORDS", tmp_path)
    assert losses_found(tmp_path, "mq://one.example/RECORDS") == 5


def _abandon(place: str, folder: Path) -> None:
    """Run a process that takes five lines and exits at once."""
    _run("LossCounter(sys.argv[1], Path(sys.argv[2])).begin(5); os._exit(0)", place, str(folder))


def _run(script: str, *arguments: str) -> str:
    script = f"import os, sys\nfrom pathlib import Path\nfrom cookie_consent.sinks.losses import LossCounter\n{script}"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


@pytest.mark.slow
def test_sink_counts_and_logs_losses_of_killed_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
    _abandon(path, Path("/dev/shm"))  # noqa: S108 (the default folder)
    sink = JsonLinesSink(path)
    sink.write(line(1))
    sink.close()
    assert sink.stats() == {"dropped_killed": 5, "written": 1, "waiting": 0}
    assert "5 access records at most for " in caplog.text


@pytest.mark.slow
def test_forked_child_has_its_own_counter(tmp_path: Path) -> None:
    said = _run(
        """
held = LossCounter("a place", Path(sys.argv[1]))
held.begin(1)
child = os.fork()
if not child:
    held.begin(5)
    held.numbers[1] += 2
    os._exit(0)
os.waitpid(child, 0)
print(*held.numbers, LossCounter("a place", Path(sys.argv[1])).begin(0))
""",
        str(tmp_path),
    )
    assert said == "1 0 3\n"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch], ids=["folder", "pipe", "empty file"])
def test_unusable_counter_file_is_ignored(make: Callable[[Path], object], tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    held.begin(0)
    (file,) = tmp_path.iterdir()
    held.end()
    make(file)
    assert losses_found(tmp_path) == 0
