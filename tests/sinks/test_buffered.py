"""Tests of the buffered sink: records wait in memory or in a spill file until the store takes each of them once."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import buffered
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.spill import Line, Spill
from cookie_consent.sinks.store import CannotEraseError, InvalidLinesError
from tests.support.waiting import eventually

PLACE = f"a store of process {os.getpid()}"
"""The name of the store. Parallel test processes with one name would count each other's losses."""
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
COUNT = b'{"count.value":1}\n'


class MemoryStore:
    """A store in memory that can fail, stall and refuse a line."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: list[bytes] = []
        self.batches: list[int] = []
        self.tries = self.closed = 0
        self.is_down = False
        self.most_records = 1_000_000
        self.invalid: bytes | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.tries += 1
        self.go_on.wait(60)
        if self.is_down or len(self.records) >= self.most_records:
            raise OSError("nobody answers")
        self.batches.append(len(records) + len(counts))
        self.records += [record for record in records if record != self.invalid]
        self.counts += counts
        if self.invalid in records:
            raise InvalidLinesError(1, "that is no time")

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        return (record for record in map(json.loads, self.records) if record["visitor.id"] == visitor_id)

    def erase(self, visitor_id: str) -> int:
        own = [line for line in self.records if json.loads(line)["visitor.id"] == visitor_id]
        self.records = [line for line in self.records if line not in own]
        return len(own)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        return len(self.records)

    def close(self) -> None:
        self.closed += 1


def line(number: int, visitor: str = "one", **more: str) -> bytes:
    return json.dumps({**more, "log.record.uid": f"a-{number:x}", "visitor.id": visitor}).encode() + b"\n"


SIZE = len(line(1_000))


def numbers(store: MemoryStore) -> list[int]:
    return [int(json.loads(line)["log.record.uid"].removeprefix("a-"), 16) for line in store.records]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sink wait for its store for tenths of a second in place of seconds."""
    monkeypatch.setattr(buffered, "_TIMEOUT", 0.1)
    monkeypatch.setattr(buffered, "_CLOSE_TIMEOUT", 0.3)


def sink_to(store: MemoryStore, spill: Path | None = None, **options: Any) -> BufferedSink:
    return BufferedSink(store, PLACE, spill=spill, sleep=lambda _: None, **options)


def write(sink: BufferedSink, *lines: bytes) -> None:
    """Write lines and close the sink."""
    for each in lines:
        sink.write(each)
    sink.close()


def run(script: str, folder: Path) -> str:
    """Run a script in a process of its own, and return its output."""
    names = "import os, sys\nfrom pathlib import Path\nfrom tests.sinks.test_buffered import *\n"
    command = [sys.executable, "-c", f"{names}folder = Path(sys.argv[1])\n{script}", str(folder)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout


# Batches, failures and memory


def test_records_and_counts_reach_store_in_batches_and_in_order(store: MemoryStore) -> None:
    sink = sink_to(store, batch=100)
    sink.count(COUNT)
    write(sink, *map(line, range(250)))
    assert numbers(store) == list(range(250))
    assert store.counts == [COUNT]
    assert store.batches == [100, 100, 51]
    assert sink.stats() == {"written": 251, "waiting": 0}


def test_lines_are_written_without_close_soon_or_when_they_fill_a_batch(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = sink_to(store, batch=5)
    sink.write(line(0))
    assert eventually(lambda: numbers(store) == [0])
    monkeypatch.setattr(buffered, "_FLUSH_INTERVAL", 60)
    for number in range(1, 6):
        sink.write(line(number))
    assert eventually(lambda: numbers(store) == [*range(6)])


@pytest.mark.slow
def test_store_that_was_down_gets_each_record_once(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    store.is_down = True
    sink = sink_to(store, batch=10)
    for number in range(25):
        sink.write(line(number))
    assert eventually(lambda: store.tries > 2)
    assert sink.stats()["waiting"] == 25
    store.is_down = False
    assert eventually(lambda: numbers(store) == list(range(25)))
    assert sink.stats()["retried"] >= 2
    assert eventually(lambda: sink.stats()["waiting"] == 0)
    assert caplog.messages == [f"Access records cannot be written to {PLACE}; they wait, counted: nobody answers"]


@pytest.mark.requirement("TR-04")
def test_memory_for_waiting_records_is_bounded(store: MemoryStore) -> None:
    store.is_down = True
    sink = sink_to(store, most_bytes=10 * SIZE)
    write(sink, *map(line, range(1_000, 1_015)))
    assert (sink.stats()["dropped_full"], sink.stats()["waiting"]) == (5, 10)
    store.is_down = False
    sink.close()
    write(sink, line(11))
    assert numbers(store) == [*range(1_000, 1_010), 11]


def test_invalid_line_does_not_block_other_lines(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    store.invalid = line(2)
    sink = sink_to(store)
    write(sink, *map(line, range(5)))
    assert numbers(store) == [0, 1, 3, 4]
    assert sink.stats() == {"written": 4, "dropped_invalid": 1, "waiting": 0}
    assert f"1 access records can never be written to {PLACE} and are lost: that is no time" in caplog.text


def test_unexpected_error_loses_no_record_and_is_logged_once(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.is_down = True
    sink = sink_to(store, chance=list[float]().pop)
    sink.write(line(1))
    for _ in range(3):
        sink.close()
    assert caplog.text.count("Access records are held back by an error.\nTraceback") == 1
    store.is_down = False
    sink.close()
    assert numbers(store) == [1]


def test_unused_sink_writes_nothing(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.close()
    assert sink.purge(0, timedelta(days=1)) == 0
    assert list(sink.read("one")) == []
    assert store.tries == 0


def test_reading_and_erasing_do_not_close_the_store(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.write(line(1))
    assert len(list(sink.read("one"))) == 1
    assert sink.erase("one") == 1
    assert store.closed == 0
    sink.close()
    assert store.closed == 1


# Erasing


def _refuse(_: str) -> int:
    raise CannotEraseError("it is on paper")


@pytest.mark.parametrize(
    ("erase", "said"),
    [
        (lambda _: [][1], f"Records may stay in {PLACE}, which cannot be used: list index out of range. Erase again"),
        (_refuse, "it is on paper"),
    ],
    ids=["error of a client", "error of the store"],
)
def test_erasing_from_unusable_store_raises_cannot_erase_error(
    erase: Callable[[str], int], said: str, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "erase", erase)
    with pytest.raises(CannotEraseError, match=said):
        sink_to(store).erase("one")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_down", [True, False], ids=["down", "slow"])
def test_erasing_while_records_wait_in_memory_raises_cannot_erase_error(
    store: MemoryStore, is_down: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.is_down = is_down
    if not is_down:
        store.go_on.clear()
    sink = sink_to(store)
    sink.write(line(1))
    with pytest.raises(CannotEraseError, match=f"Records may still wait for {PLACE}"):
        sink.erase("one")
    monkeypatch.undo()
    store.is_down = False
    store.go_on.set()
    assert eventually(lambda: numbers(store) == [1])
    assert sink.erase("one") == 1


def test_spilled_records_are_erased_in_the_spill_file(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=1)
    write(sink, line(0, "two"), line(1), line(2, "two"), line(3))
    assert sink.erase("one") == 2
    assert b'"one"' not in b"".join(path.read_bytes() for path in (tmp_path / "spill").iterdir())
    store.is_down = False
    sink.close()
    assert numbers(store) == [0, 2]
    assert store.batches == [1, 1], "an erased batch is not written"


def test_purge_removes_old_records_from_all_spill_files(store: MemoryStore, tmp_path: Path) -> None:
    old, new = {"time": "2026-10-26T11:59:59.999Z"}, {"time": "2026-10-26T12:00:00.000Z"}
    (tmp_path / "dead.spill").write_bytes(
        b"r" + line(1, **old) + b"c" + line(2, **old) + b"r" + line(3, **new) + b"\nr" + line(4, **old)[:-9]
    )
    store.is_down = True
    sink = sink_to(store, tmp_path)
    write(sink, line(5, **old), line(6, **new))
    assert sink.purge(NOW, timedelta(days=30), dry_run=True) == 3
    assert sink.purge(NOW, timedelta(days=30)) == 3
    assert not any(old["time"].encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert sink.purge(NOW, timedelta(days=30)) == 0
    store.is_down = False
    sink.close()
    assert sorted(numbers(store)) == [3, 6]
    assert store.counts == []


def test_withdrawal_ends_nothing_in_a_sink_that_has_no_place_for_a_list(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.write(line(1, time="2026-11-25T12:00:00Z"))
    sink.end_visitor("one")
    sink.close()
    assert numbers(store) == [1]


# Spilling


def test_spilled_records_are_written_later_in_order_and_in_batches(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=10)
    sink.count(COUNT)
    write(sink, *map(line, range(25)))
    assert (sink.stats()["spilled"], sink.stats()["waiting"]) == (26, 0)
    assert [path.suffix for path in (tmp_path / "spill").iterdir()] == [".spill"]
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    store.is_down = False
    store.most_records = 9
    sink.close()
    assert store.batches == [10], "the store fails again, and the rest waits"
    store.most_records = 1_000_000
    sink.close()
    assert numbers(store) == list(range(25))
    assert store.counts == [COUNT]
    assert max(store.batches) == 10
    assert not any((tmp_path / "spill").iterdir())


@pytest.mark.usefixtures("impatient")
def test_lines_of_an_outage_are_spilled_and_written_without_close(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", chance=lambda: 0.0)
    for number in (1, 2):
        sink.write(line(number))
        assert eventually(lambda number=number: sink.stats().get("spilled") == number)  # type: ignore[misc]
    store.is_down = False
    assert eventually(lambda: sorted(numbers(store)) == [1, 2])


def test_records_wait_in_memory_while_spill_folder_is_unusable(
    store: MemoryStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "spill"
    in_the_way.write_text("no folder")
    store.is_down = True
    sink = sink_to(store, in_the_way)
    sink.write(line(1))
    for _ in range(3):
        sink.close()
    assert sink.stats()["waiting"] == 1
    assert sink.stats()["spill_failed"] >= 3
    assert caplog.text.count(f"Access records for {PLACE} cannot wait in {in_the_way}; they wait in memory") == 1
    store.is_down = False
    sink.close()
    assert numbers(store) == [1]


def test_next_process_writes_what_others_left_but_torn_lines(store: MemoryStore, tmp_path: Path) -> None:
    running = Spill(tmp_path)
    running.add([(True, line(1)), (False, COUNT)])
    (tmp_path / "dead.spill").write_bytes(b"r" + line(2) + b"\n" + b"r" + line(3) + b"r" + line(4)[:9])
    (tmp_path / "folder.spill").mkdir()
    (tmp_path / "gone.spill").symlink_to(tmp_path / "nowhere")
    write(sink_to(store, tmp_path), line(5))
    assert sorted(numbers(store)) == [1, 2, 3, 5]
    assert store.counts == [COUNT]
    assert not running.is_waiting()
    assert running.erase("one") == 0


def test_torn_record_in_spill_of_killed_process_is_erased(tmp_path: Path) -> None:
    torn = line(2, "one", path="/health")[:-2]
    (tmp_path / "dead.spill").write_bytes(b"r" + line(1, "two") + b"r" + torn)
    spill = Spill(tmp_path)
    assert [spill.erase(visitor) for visitor in ("two", "o", "one")] == [1, 0, 1]
    assert (tmp_path / "dead.spill").read_bytes().isspace()
    assert list(spill.batches(10)) == []


def test_spill_limit_counts_files_of_all_processes(tmp_path: Path) -> None:
    size = len(line(1)) + 1
    for _ in range(2):
        Spill(tmp_path, most_bytes=3 * size).add([(True, line(1))])
    living = Spill(tmp_path, most_bytes=3 * size)
    living.add([(True, line(1))])
    with pytest.raises(OSError, match=f"its files may have {3 * size} bytes, and have them"):
        living.add([(True, line(2))])
    assert list(living.batches(10)) == [[(True, line(1))]] * 3
    living.add([(True, line(2))])


def test_each_spilled_batch_is_stored_by_one_process(tmp_path: Path) -> None:
    own, other = Spill(tmp_path), Spill(tmp_path)
    own.add([(True, line(number)) for number in range(4)])
    stored = own.batches(2)
    assert next(stored) == [(True, line(0)), (True, line(1))]
    assert list(other.batches(2)) == [], "another process stores these"
    own.add([(True, line(4))])
    assert next(stored) == [(True, line(2)), (True, line(3))]
    stored.close()  # type: ignore[attr-defined]
    rest = sorted(line for batch in other.batches(2) for line in batch)
    assert rest == [(True, line(number)) for number in (2, 3, 4)], "what was not stored"
    assert not any(tmp_path.iterdir())


def test_full_disk_leaves_no_partial_batch_in_spill(tmp_path: Path) -> None:
    spill = Spill(tmp_path)
    spill.add([(True, line(1))])
    (path,) = tmp_path.iterdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            spill.add([(True, line(2))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"r" + line(1)


SPILLED_AND_FORKED = """
store = MemoryStore()
(folder / "left.spill").write_bytes(b"r" + line(1) + b"\\n")
store.is_down = True
sink = sink_to(store, folder)
write(sink, line(2))
sink.close()  # reads left.spill, but the store takes nothing
child = os.fork()
write(sink, line(3 if child else 4))
if child:
    assert os.waitpid(child, 0)[1] == 0
store.is_down = False
sink.close()
print(sorted(numbers(store)), flush=True)
if not child:
    os._exit(0)
"""
FORKED_WHILE_STORING = """
spill = Spill(folder)
spill.add([(True, line(1)), (True, line(2))])
batches = spill.batches(1)
next(batches)
(done, says), (end, ends) = os.pipe(), os.pipe()
child = os.fork()
if not child:
    os.close(ends)
    spill.after_fork()
    os.write(says, b"1")
    os.read(end, 1)
    os._exit(0)
os.read(done, 1)
batches.close()
print([lines for lines in Spill(spill.folder).batches(10)] == [[(True, line(1)), (True, line(2))]])
os.close(ends)
os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_forked_child_spills_to_its_own_file(tmp_path: Path) -> None:
    child, parent = map(json.loads, run(SPILLED_AND_FORKED, tmp_path).splitlines())
    assert sorted([*child, *parent]) == [1, 2, 3, 4]
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_forked_child_keeps_no_spill_file_that_its_parent_stores(tmp_path: Path) -> None:
    assert run(FORKED_WHILE_STORING, tmp_path) == "True\n"


# A store that is slower than its writers


@pytest.fixture
def slow(store: MemoryStore, tmp_path: Path) -> BufferedSink:
    """A sink with memory for a hundred lines, whose store hangs."""
    store.go_on.clear()
    return sink_to(store, tmp_path, batch=10, most_bytes=100 * SIZE)


def test_lines_that_memory_cannot_hold_are_spilled_while_the_store_hangs(
    store: MemoryStore, slow: BufferedSink, tmp_path: Path
) -> None:
    for number in range(1_000, 2_000):
        slow.write(line(number))
        assert eventually(lambda: slow.stats()["waiting"] <= 60), "the second thread moves lines"
    assert "dropped_full" not in slow.stats()
    assert slow.stats()["spilled"] >= 900
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 2_000)))
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_lines_are_dropped_only_when_folder_and_memory_are_full(
    store: MemoryStore, slow: BufferedSink, tmp_path: Path
) -> None:
    large = tmp_path / "large.spill"
    large.touch()
    os.truncate(large, 1024**3)
    for number in range(1_000, 1_110):
        slow.write(line(number))
    assert eventually(lambda: slow.stats().get("spill_failed", 0) > 0)
    assert slow.stats()["dropped_full"] == 10
    large.unlink()
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_100)))


@pytest.mark.usefixtures("impatient")
def test_lines_do_not_get_old_in_memory_while_the_store_hangs(store: MemoryStore, tmp_path: Path) -> None:
    store.go_on.clear()
    sink = sink_to(store, tmp_path, batch=10)
    sink.write(line(0))
    assert eventually(lambda: store.tries == 1)
    time.sleep(0.15)  # longer than a call may take
    for number in range(1, 101):
        sink.write(line(number))
    assert eventually(lambda: sink.stats()["waiting"] <= 10)
    assert sink.stats()["spilled"] >= 90
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(101)))


@pytest.mark.usefixtures("impatient")
def test_ending_process_spills_what_the_store_does_not_take(
    store: MemoryStore, slow: BufferedSink, tmp_path: Path
) -> None:
    write(slow, *map(line, range(35)))
    spilled = sum(path.read_bytes().count(b"r{") for path in tmp_path.iterdir())
    assert spilled == 35, "with the batch in the hands of the store: it keeps each line once"
    store.go_on.set()
    assert eventually(lambda: set(numbers(store)) == set(range(35)))


class ScarceSpill(Spill):
    """A spill folder that waits before it takes a batch, or that memory does not suffice for."""

    def __init__(self, folder: Path, *, has_memory: bool = True) -> None:
        super().__init__(folder)
        self.has_memory = has_memory
        self.is_asked = threading.Event()
        self.go_on = threading.Event()

    def add(self, batch: Sequence[Line]) -> None:
        self.is_asked.set()
        self.go_on.wait(60)
        if not self.has_memory:
            raise MemoryError
        super().add(batch)


def test_closing_waits_for_the_lines_that_are_on_their_way_to_the_folder(
    store: MemoryStore, slow: BufferedSink, tmp_path: Path
) -> None:
    slow._spill = spill = ScarceSpill(tmp_path)
    for number in range(1_000, 1_070):
        slow.write(line(number))
    assert spill.is_asked.wait(5)
    store.go_on.set()
    threading.Timer(0.3, spill.go_on.set).start()
    slow.close()
    spilled = sum(path.read_bytes().count(b"r{") for path in tmp_path.iterdir())
    assert len(store.records) + spilled == 70


@pytest.mark.parametrize("has_memory", [True, False], ids=["spilled", "given back"])
def test_lines_that_are_moved_when_all_others_have_arrived_arrive_too(
    store: MemoryStore, slow: BufferedSink, tmp_path: Path, has_memory: bool
) -> None:
    slow._spill = spill = ScarceSpill(tmp_path, has_memory=has_memory)
    for number in range(1_000, 1_070):
        slow.write(line(number))
    assert spill.is_asked.wait(5)
    store.go_on.set()
    assert eventually(lambda: len(store.records) == 60)
    time.sleep(0.6)  # the sink's thread has looked for more
    spill.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_070)))


def test_lines_are_moved_later_if_no_thread_can_start_now(
    store: MemoryStore, slow: BufferedSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    slow.write(line(1_000))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for number in range(1_001, 1_060):
            slow.write(line(number))
    slow.write(line(1_060))
    assert eventually(lambda: slow.stats().get("spilled", 0) > 0)
    store.go_on.set()
    assert eventually(lambda: sorted(numbers(store)) == list(range(1_000, 1_061)))


KILLED = """
store = MemoryStore()
store.go_on.clear()
sink = sink_to(store, folder, batch=100, most_bytes=1_000 * SIZE)
for number in range(1_000, 4_000):
    sink.write(line(number))
    eventually(lambda: sink.stats()["waiting"] < 700)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killed_process_leaves_whole_batches_that_arrive_once(store: MemoryStore, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as killed:
        run(KILLED, tmp_path)
    assert killed.value.returncode == -signal.SIGKILL
    spilled = sum(path.read_bytes().count(b"r{") for path in tmp_path.iterdir())
    sink = sink_to(store, tmp_path)
    sink.write(line(1))
    assert eventually(lambda: not list(tmp_path.iterdir()))
    arrived = [number for number in numbers(store) if number > 1]
    assert spilled > 2_000
    assert len(arrived) == len(set(arrived))
    assert spilled - 100 <= len(arrived) <= spilled, "a batch torn by the kill is read back without its torn line"
    sink.close()
