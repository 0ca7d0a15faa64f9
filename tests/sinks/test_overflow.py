"""Tests of a buffered sink whose store is slower than its writers: what memory cannot hold goes to the spill folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.spill import Line, Spill
from tests.sinks.test_buffered import MemoryStore, line, numbers, sink_to, store
from tests.support.waiting import eventually

__all__ = ["store"]

SIZE = len(line(1_000))


def test_lines_that_memory_cannot_hold_are_spilled_while_the_store_hangs(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)
    store.go_on.clear()
    for number in range(1_000, 4_000):
        sink.write(line(number))
        assert eventually(lambda: sink.stats()["waiting"] <= 60), "the second thread moves lines"
    assert "dropped_full" not in sink.stats()
    assert sink.stats()["spilled"] >= 2_900
    store.go_on.set()
    assert eventually(lambda: len(store.records) == 3_000)
    assert sorted(numbers(store)) == list(range(1_000, 4_000))
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_lines_are_dropped_only_when_folder_and_memory_are_full(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)
    large = tmp_path / "large.spill"
    large.touch()
    os.truncate(large, 1024**3)
    store.go_on.clear()
    for number in range(1_000, 1_110):
        sink.write(line(number))
    assert eventually(lambda: sink.stats().get("spill_failed", 0) > 0)
    assert sink.stats()["dropped_full"] == 10
    large.unlink()
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_100)))


@pytest.mark.slow
def test_lines_do_not_get_old_in_memory_while_the_store_hangs(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path, batch=10)
    store.go_on.clear()
    sink.write(line(0))
    assert eventually(lambda: store.tries == 1)
    time.sleep(1.1)  # the time that a call may take
    for number in range(1, 101):
        sink.write(line(number))
    assert eventually(lambda: sink.stats()["waiting"] <= 10)
    assert sink.stats()["spilled"] >= 90
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(101)))


@pytest.mark.slow
def test_ending_process_spills_what_the_store_does_not_take(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path, batch=10)
    store.go_on.clear()
    for number in range(35):
        sink.write(line(number))
    sink.close()
    spilled = [number for path in tmp_path.iterdir() for number in path.read_bytes().split(b"\n") if number]
    assert len(spilled) == 35, "with the batch in the hands of the store: it keeps each line once"
    store.go_on.set()
    assert eventually(lambda: set(numbers(store)) == set(range(35)))


class ScarceSpill(Spill):
    """A spill folder that waits before it takes a batch, or that memory does not suffice for."""

    has_memory = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_asked, self.go_on = threading.Event(), threading.Event()

    def add(self, batch: Sequence[Line]) -> None:
        self.is_asked.set()
        self.go_on.wait(60)
        if not self.has_memory:
            raise MemoryError
        super().add(batch)


def replace_spill(sink: BufferedSink, spill: ScarceSpill) -> ScarceSpill:
    """Give a sink another spill folder."""
    sink._spill = spill
    return spill


def test_closing_waits_for_the_lines_that_are_on_their_way_to_the_folder(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)
    spill = replace_spill(sink, ScarceSpill(tmp_path))
    store.go_on.clear()
    for number in range(1_000, 1_070):
        sink.write(line(number))
    assert spill.is_asked.wait(5)
    store.go_on.set()
    threading.Timer(0.3, spill.go_on.set).start()
    sink.close()
    spilled = sum(path.read_bytes().count(b"r{") for path in tmp_path.iterdir())
    assert len(store.records) + spilled == 70


@pytest.mark.parametrize("has_memory", [True, False], ids=["spilled", "given back"])
def test_lines_that_are_moved_when_all_others_have_arrived_arrive_too(
    store: MemoryStore, tmp_path: Path, has_memory: bool
) -> None:
    sink = sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)
    spill = replace_spill(sink, ScarceSpill(tmp_path))
    spill.has_memory = has_memory
    store.go_on.clear()
    for number in range(1_000, 1_070):
        sink.write(line(number))
    assert spill.is_asked.wait(5)
    store.go_on.set()
    assert eventually(lambda: len(store.records) == 60)
    time.sleep(0.6)  # the sink's thread has looked for more
    spill.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_070)))


def test_lines_are_moved_later_if_no_thread_can_start_now(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)
    store.go_on.clear()
    sink.write(line(1_000))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for number in range(1_001, 1_060):
            sink.write(line(number))
    sink.write(line(1_060))
    assert eventually(lambda: sink.stats().get("spilled", 0) > 0)
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_061)))


KILLED = """
import sys
import time
from pathlib import Path
from tests.sinks.test_buffered import MemoryStore, line, sink_to
from tests.sinks.test_overflow import SIZE
store = MemoryStore()
store.go_on.clear()
sink = sink_to(store, Path(sys.argv[1]), batch=100, most_bytes=1_000 * SIZE)
number = 1_000
while True:
    if sink.stats()["waiting"] < 700:
        sink.write(line(number))
        number += 1
    if number == 9_000:
        print(flush=True)
"""


@pytest.mark.slow
def test_killed_process_leaves_whole_batches_that_arrive_once(store: MemoryStore, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        os.kill(killed.pid, signal.SIGKILL)
    spilled = sum(path.read_bytes().count(b"\nr{") + 1 for path in tmp_path.iterdir())
    sink = sink_to(store, tmp_path)
    sink.write(line(1))
    assert eventually(lambda: not list(tmp_path.iterdir()))
    arrived = [number for number in numbers(store) if number > 1]
    assert spilled > 7_000
    assert len(arrived) == len(set(arrived))
    assert spilled - 100 <= len(arrived) <= spilled, "a batch torn by the kill is read back without its torn line"
    sink.close()
