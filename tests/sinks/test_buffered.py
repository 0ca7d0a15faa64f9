"""Tests of the buffered sink: records wait in memory or in a spill file until the store takes each of them once."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.spill import Spill
from cookie_consent.sinks.store import CannotEraseError, InvalidLinesError
from tests.support.waiting import eventually

PLACE = f"a store of process {os.getpid()}"
"""The name of the store. Parallel test processes with one name would count each other's losses."""
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


class MemoryStore:
    """A store in memory that can fail, stall and refuse a line."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: list[bytes] = []
        self.batches: list[int] = []
        self.tries = self.closed = 0
        self.is_down = False
        self.invalid: bytes | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.tries += 1
        self.go_on.wait(60)
        if self.is_down:
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


def numbers(store: MemoryStore) -> list[int]:
    return [int(json.loads(line)["log.record.uid"].removeprefix("a-"), 16) for line in store.records]


def _no_wait(_: float) -> None:
    """Do not sleep: no other process writes here."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def sink_to(store: MemoryStore, spill: Path | None = None, **options: Any) -> BufferedSink:
    return BufferedSink(store, PLACE, spill=spill, sleep=_no_wait, **options)


def test_records_and_counts_reach_store_in_batches_and_in_order(store: MemoryStore) -> None:
    sink = sink_to(store, batch=100)
    for number in range(250):
        sink.write(line(number))
    sink.count(b'{"count.value":1}\n')
    sink.close()
    assert numbers(store) == list(range(250))
    assert store.counts == [b'{"count.value":1}\n']
    assert max(store.batches) <= 100
    assert sink.stats() == {"written": 251, "waiting": 0}


def test_written_record_reaches_store_without_close(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.write(line(1))
    assert eventually(lambda: numbers(store) == [1])


def test_full_batch_is_written_at_once(store: MemoryStore) -> None:
    sink = sink_to(store, batch=5)
    for number in range(20):
        sink.write(line(number))
    assert eventually(lambda: len(store.records) == 20)


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
    assert [record.getMessage() for record in caplog.records] == [
        f"Access records cannot be written to {PLACE}; they wait, counted: nobody answers"
    ]


def test_memory_for_waiting_records_is_bounded(store: MemoryStore) -> None:
    store.is_down = True
    size = len(line(1))
    sink = sink_to(store, most_bytes=10 * size)
    for number in range(15):
        sink.write(line(number % 10))
    sink.close()
    assert sink.stats()["dropped_full"] == 5
    assert sink.stats()["waiting"] == 10
    store.is_down = False
    sink.close()
    sink.write(line(11))
    sink.close()
    assert len(store.records) == 11


def test_invalid_line_does_not_block_other_lines(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    store.invalid = line(2)
    sink = sink_to(store)
    for number in range(5):
        sink.write(line(number))
    sink.close()
    assert numbers(store) == [0, 1, 3, 4]
    assert sink.stats() == {"written": 4, "dropped_invalid": 1, "waiting": 0}
    assert f"1 access records can never be written to {PLACE} and are lost: that is no time" in caplog.text


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
    store.read = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        list(sink.read("one"))


# Spilling


def test_spilled_records_are_written_later_in_the_same_batches(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=10)
    for number in range(25):
        sink.write(line(number))
    sink.count(b'{"count.value":1}\n')
    sink.close()
    assert sink.stats()["spilled"] == 26
    assert sink.stats()["waiting"] == 0
    assert [path.suffix for path in (tmp_path / "spill").iterdir()] == [".spill"]
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    store.is_down = False
    sink.close()
    assert numbers(store) == list(range(25))
    assert store.counts == [b'{"count.value":1}\n']
    assert store.batches == [10, 10, 6]
    assert not any((tmp_path / "spill").iterdir())


@pytest.mark.slow
def test_spill_is_written_to_store_without_close(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", chance=lambda: 0.0)
    sink.write(line(1))
    assert eventually(lambda: sink.stats().get("spilled"))
    sink.write(line(2))
    assert eventually(lambda: sink.stats().get("spilled") == 2)
    store.is_down = False
    assert eventually(lambda: sorted(numbers(store)) == [1, 2])


def test_rest_of_spill_waits_when_store_fails_again(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=1)
    for number in range(3):
        sink.write(line(number))
    sink.close()
    written = store.write

    def once(records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        store.is_down = bool(store.records)
        written(records, counts)

    store.write = once  # type: ignore[method-assign]
    store.is_down = False
    sink.close()
    assert numbers(store) == [0]
    store.write = written  # type: ignore[method-assign]
    store.is_down = False
    sink.close()
    assert numbers(store) == [0, 1, 2]


def test_spilled_records_are_erased_in_the_spill_file(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=3)
    for number in range(6):
        sink.write(line(number, "one" if number % 2 else "two"))
    sink.close()
    assert sink.erase("one") == 3
    store.is_down = False
    sink.close()
    assert numbers(store) == [0, 2, 4]
    assert [json.loads(record)["visitor.id"] for record in store.records] == ["two"] * 3


def test_erasing_from_unusable_store_raises_cannot_erase_error(store: MemoryStore, tmp_path: Path) -> None:
    sink = sink_to(store, tmp_path / "spill")
    store.erase = lambda visitor_id: [][1]  # type: ignore[method-assign]
    with pytest.raises(CannotEraseError, match=f"Records may stay in {PLACE}, which cannot be used: list index"):
        sink.erase("one")

    def refuse(visitor_id: str) -> int:
        raise CannotEraseError("it is on paper")

    store.erase = refuse  # type: ignore[method-assign]
    with pytest.raises(CannotEraseError, match="it is on paper"):
        sink.erase("one")


def test_erasing_while_records_wait_in_memory_raises_cannot_erase_error(store: MemoryStore) -> None:
    store.is_down = True
    sink = sink_to(store)
    sink.write(line(1))
    with pytest.raises(CannotEraseError, match=f"Records may still wait for {PLACE}"):
        sink.erase("one")
    store.is_down = False
    assert sink.erase("one") == 1


@pytest.mark.slow
def test_erasing_during_slow_write_raises_cannot_erase_error(store: MemoryStore) -> None:
    sink = sink_to(store)
    store.go_on.clear()
    sink.write(line(1))
    with pytest.raises(CannotEraseError, match=f"Records may still wait for {PLACE}"):
        sink.erase("one")
    store.go_on.set()
    assert eventually(lambda: numbers(store) == [1])
    assert sink.erase("one") == 1


def test_reading_and_erasing_do_not_close_the_store(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.write(line(1))
    assert len(list(sink.read("one"))) == 1
    assert sink.erase("one") == 1
    assert store.closed == 0
    sink.close()
    assert store.closed == 1


def test_fully_erased_batch_is_not_written(store: MemoryStore, tmp_path: Path) -> None:
    store.is_down = True
    sink = sink_to(store, tmp_path / "spill", batch=1)
    sink.write(line(1))
    sink.write(line(2, "two"))
    sink.close()
    sink.erase("one")
    store.is_down = False
    sink.close()
    assert store.batches == [1]


def test_purge_removes_old_records_from_all_spill_files(store: MemoryStore, tmp_path: Path) -> None:
    old, new = {"time": "2026-10-26T11:59:59.999Z"}, {"time": "2026-10-26T12:00:00.000Z"}
    (tmp_path / "dead.spill").write_bytes(
        b"r" + line(1, **old) + b"c" + line(2, **old) + b"r" + line(3, **new) + b"\nr" + line(4, **old)[:-9]
    )
    store.is_down = True
    sink = sink_to(store, tmp_path)
    sink.write(line(5, **old))
    sink.write(line(6, **new))
    sink.close()
    assert sink.purge(NOW, timedelta(days=30), dry_run=True) == 3
    assert sink.purge(NOW, timedelta(days=30)) == 3
    assert not any(old["time"].encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert sink.purge(NOW, timedelta(days=30)) == 0
    store.is_down = False
    sink.close()
    assert sorted(numbers(store)) == [3, 6]
    assert store.counts == []


def test_torn_record_in_spill_of_killed_process_is_erased(tmp_path: Path) -> None:
    torn = line(2, "one", path="/health")[:-2]
    (tmp_path / "dead.spill").write_bytes(b"r" + line(1, "two") + b"r" + torn)
    spill = Spill(tmp_path)
    assert spill.erase("two") == 1
    assert spill.erase("o") == 0
    assert spill.erase("one") == 1
    assert (tmp_path / "dead.spill").read_bytes().isspace()
    assert list(spill.batches(10)) == []


def test_full_spill_folder_refuses_more_lines(tmp_path: Path) -> None:
    spill = Spill(tmp_path, most_bytes=len(line(1)) + 2)
    spill.add([(True, line(1))])
    with pytest.raises(OSError, match="its files may have 49 bytes, and have them"):
        spill.add([(True, line(2))])
    assert list(spill.batches(10)) == [[(True, line(1))]]
    spill.add([(True, line(2))])


def test_spill_limit_counts_files_of_all_processes(tmp_path: Path) -> None:
    size = len(line(1)) + 2
    for _ in range(2):
        ended = Spill(tmp_path, most_bytes=3 * size)
        assert len(list(itertools.islice(ended.batches(10), 1))) <= 1, "a store that is down takes none"
        ended.add([(True, line(1))])
        ended.after_fork()
    (tmp_path / "gone.spill").symlink_to(tmp_path / "nowhere")
    living = Spill(tmp_path, most_bytes=3 * size)
    living.add([(True, line(1))])
    with pytest.raises(OSError, match="and have them"):
        living.add([(True, line(1))])


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.sinks.test_buffered import MemoryStore, line, sink_to
store = MemoryStore()
store.is_down = True
sink = sink_to(store, Path(sys.argv[1]), batch=4)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 10):
    sink.write(line(number))
sink.close()
print(sink.stats()["spilled"], flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_next_process_writes_spill_of_killed_and_of_running_processes(store: MemoryStore, tmp_path: Path) -> None:
    killed, running = (
        subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for first in (0, 100)
    )
    for process in (killed, running):
        assert process.stdout is not None
        assert process.stdout.readline() == b"10\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=60)
    for path in tmp_path.iterdir():
        if b'"a-0"' in path.read_bytes():
            with path.open("ab") as file:
                file.write(b'r{"torn')
    sink = sink_to(store, tmp_path)
    sink.write(line(50))
    sink.close()
    assert sorted(numbers(store)) == [*range(10), 50, *range(100, 110)]
    running.communicate(b"")


def test_unusable_spill_file_does_not_block_writing(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "folder.spill").mkdir()
    sink = sink_to(store, tmp_path)
    sink.write(line(1))
    sink.close()
    assert numbers(store) == [1]


@pytest.mark.slow
def test_records_wait_in_memory_when_disk_fills_during_spill(tmp_path: Path) -> None:
    full = """
import resource, signal, sys
from pathlib import Path
from tests.sinks.test_buffered import MemoryStore, line, numbers, sink_to
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
store = MemoryStore()
store.is_down = True
sink = sink_to(store, Path(sys.argv[1]), batch=2)
for number in range(5):
    sink.write(line(number))
sink.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.is_down = False
sink.close()
print(sorted(numbers(store)), sink.stats()["waiting"])
"""
    done = subprocess.run(
        [sys.executable, "-c", full, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[0, 1, 2, 3, 4] 0\n"


def test_unexpected_error_loses_no_record_and_is_logged_once(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.is_down = True
    chances: list[float] = []
    sink = sink_to(store, chance=chances.pop)
    sink.write(line(1))
    for _ in range(3):
        sink.close()
    assert caplog.text.count("Access records are held back by an error.\nTraceback") == 1
    store.is_down = False
    sink.close()
    assert numbers(store) == [1]


SPILLED_AND_FORKED = """
import os, sys
from pathlib import Path
from tests.sinks.test_buffered import MemoryStore, line, numbers, sink_to
store, folder = MemoryStore(), Path(sys.argv[1])
(folder / "left.spill").write_bytes(b"r" + line(1) + b"\\n")
store.is_down = True
sink = sink_to(store, folder)
sink.write(line(2))
sink.close()
sink.close()  # reads left.spill, but the store takes nothing
child = os.fork()
sink.write(line(3 if child else 4))
sink.close()
if not child:
    store.is_down = False
    sink.close()
    print(sorted(numbers(store)), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
store.is_down = False
sink.close()
print(sorted(numbers(store)))
"""


@pytest.mark.slow
def test_forked_child_spills_to_its_own_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPILLED_AND_FORKED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    child, parent = map(json.loads, done.stdout.splitlines())
    assert sorted([*child, *parent]) == [1, 2, 3, 4]
    assert not any(tmp_path.iterdir())


def test_unused_sink_writes_nothing(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.close()
    assert sink.purge(0, timedelta(days=1)) == 0
    assert list(sink.read("one")) == []
    assert store.tries == 0


# Spill files


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


FORKED_WHILE_STORING = """
import os, sys
from pathlib import Path
from tests.sinks.test_buffered import Spill, line
spill = Spill(Path(sys.argv[1]))
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
def test_forked_child_keeps_no_spill_file_that_its_parent_stores(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED_WHILE_STORING, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout == "True\n"


def test_torn_line_of_spilled_batch_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "dead.spill").write_bytes(b"r" + line(1) + b"\n" + b"c" + line(2) + b"r" + line(3)[:9])
    spill = Spill(tmp_path)
    assert spill.is_waiting()
    assert list(spill.batches(10)) == [[(True, line(1)), (False, line(2))]]
    assert not spill.is_waiting()


def test_vanished_spill_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "gone.spill").symlink_to(tmp_path / "nowhere")
    spill = Spill(tmp_path)
    assert spill.erase("one") == 0
    assert list(spill.batches(10)) == []


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


def test_withdrawal_ends_nothing_in_a_sink_that_has_no_place_for_a_list(store: MemoryStore) -> None:
    sink = sink_to(store)
    sink.write(line(1, time="2026-11-25T12:00:00Z"))
    sink.end_visitor("one")
    sink.close()
    assert numbers(store) == [1]
