"""What a process held when it was killed is counted by the next one, and by nobody twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that took eleven lines and brought four."""
    command = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, **process_group_options()) as process:
        assert process.stdout, "a pipe"
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            kill_process_group(process)


def next_one(folder: Path, place: str = "a place") -> int:
    return LossCounter(place, folder).begin(0)


@pytest.mark.slow
def test_what_a_killed_process_held_is_counted_once(tmp_path: Path) -> None:
    with holding(tmp_path) as process:
        assert next_one(tmp_path) == 0, "it lives"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert next_one(tmp_path, "another place") == 0
        assert next_one(tmp_path) == 7
        assert next_one(tmp_path) == 0


def test_a_process_that_brought_all_leaves_nothing_behind(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    assert held.begin(2) == 0
    held.end()
    assert len([*tmp_path.iterdir()]) == 1, "lines still wait"
    held.numbers[1] += 2
    held.end()
    assert [*tmp_path.iterdir()] == []


def test_without_shared_memory_nothing_is_counted_and_nothing_fails(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path / "none")
    assert held.begin(3) == 0
    held.numbers[0] += 1
    held.end()
    assert [*held.numbers] == [4, 0]


@pytest.mark.slow
def test_a_path_is_the_same_place_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _abandon(str(tmp_path / "logs/access.jsonl"), tmp_path)
    assert next_one(tmp_path, "logs/access.jsonl") == 5
    _abandon("nats://one.example/RECORDS", tmp_path)
    assert next_one(tmp_path, "nats://one.example/RECORDS") == 5


def _abandon(place: str, folder: Path) -> None:
    """Let a process hold five lines and end at once."""
    _run("LossCounter(sys.argv[1], Path(sys.argv[2])).begin(5); os._exit(0)", place, str(folder))


def _run(script: str, *arguments: str) -> str:
    script = f"import os, sys\nfrom pathlib import Path\nfrom cookie_consent.sinks.losses import LossCounter\n{script}"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.slow
def test_a_sink_counts_what_a_killed_process_held_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")
    _abandon(path, Path("/dev/shm"))  # noqa: S108 (where it looks by itself)
    sink = JsonLinesSink(path)
    sink.write(line(1))
    sink.close()
    assert sink.stats() == {"dropped_killed": 5, "written": 1, "waiting": 0}
    assert "5 access records at most for " in caplog.text


@pytest.mark.slow
def test_a_child_counts_for_itself(tmp_path: Path) -> None:
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


def test_a_file_that_is_no_such_thing_holds_nobody_up(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    held.begin(0)
    (file,) = tmp_path.iterdir()
    held.end()
    file.mkdir()
    assert next_one(tmp_path) == 0


def test_a_pipe_that_somebody_put_there_holds_nobody_up(tmp_path: Path) -> None:
    held = LossCounter("a place", tmp_path)
    held.begin(0)
    (file,) = tmp_path.iterdir()
    held.end()
    os.mkfifo(file)
    file.with_name(f"{file.name}-empty").touch()
    assert next_one(tmp_path) == 0
