"""What a store cannot take waits, in memory or in a file, and comes to it once: whatever happens meanwhile."""

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

PLACE = f"a shelf of {os.getpid()}"
"""Where the lines go. Processes that test side by side would count each other's losses at one place."""
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()


class Shelf:
    """A store in memory that can be taken away."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: list[bytes] = []
        self.batches: list[int] = []
        self.tries = self.closed = 0
        self.is_down = False
        self.never: bytes | None = None
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.tries += 1
        self.go_on.wait()
        if self.is_down:
            raise OSError("nobody answers")
        self.batches.append(len(records) + len(counts))
        self.records += [record for record in records if record != self.never]
        self.counts += counts
        if self.never in records:
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


def numbers(shelf: Shelf) -> list[int]:
    return [int(json.loads(line)["log.record.uid"].removeprefix("a-"), 16) for line in shelf.records]


def _no_wait(_: float) -> None:
    """No other process writes here."""


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def sink_to(shelf: Shelf, spill: Path | None = None, **options: Any) -> BufferedSink:
    return BufferedSink(shelf, PLACE, spill=spill, sleep=_no_wait, **options)


def test_records_and_counts_come_to_the_store_in_batches_and_in_order(shelf: Shelf) -> None:
    sink = sink_to(shelf, batch=100)
    for number in range(250):
        sink.write(line(number))
    sink.count(b'{"count.value":1}\n')
    sink.close()
    assert numbers(shelf) == list(range(250))
    assert shelf.counts == [b'{"count.value":1}\n']
    assert max(shelf.batches) <= 100
    assert sink.stats() == {"written": 251, "waiting": 0}


def test_what_is_written_reaches_the_store_by_itself(shelf: Shelf) -> None:
    sink = sink_to(shelf)
    sink.write(line(1))
    assert eventually(lambda: numbers(shelf) == [1])


def test_a_full_batch_does_not_wait_for_its_time(shelf: Shelf) -> None:
    sink = sink_to(shelf, batch=5)
    for number in range(20):
        sink.write(line(number))
    assert eventually(lambda: len(shelf.records) == 20)


@pytest.mark.slow
def test_a_store_that_is_down_is_tried_again_and_gets_each_record_once(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, batch=10)
    for number in range(25):
        sink.write(line(number))
    assert eventually(lambda: shelf.tries > 2)
    assert sink.stats()["waiting"] == 25
    shelf.is_down = False
    assert eventually(lambda: numbers(shelf) == list(range(25)))
    assert sink.stats()["retried"] >= 2
    assert eventually(lambda: sink.stats()["waiting"] == 0)
    assert [record.getMessage() for record in caplog.records] == [
        f"Access records cannot be written to {PLACE}; they wait, counted: nobody answers"
    ]


def test_without_a_spill_file_the_memory_for_what_waits_is_bounded(shelf: Shelf) -> None:
    shelf.is_down = True
    size = len(line(1))
    sink = sink_to(shelf, most_bytes=10 * size)
    for number in range(15):
        sink.write(line(number % 10))
    sink.close()
    assert sink.stats()["dropped_full"] == 5
    assert sink.stats()["waiting"] == 10
    shelf.is_down = False
    sink.close()
    sink.write(line(11))
    sink.close()
    assert len(shelf.records) == 11


def test_lines_that_a_store_can_never_keep_hold_up_no_others(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.never = line(2)
    sink = sink_to(shelf)
    for number in range(5):
        sink.write(line(number))
    sink.close()
    assert numbers(shelf) == [0, 1, 3, 4]
    assert sink.stats() == {"written": 4, "dropped_invalid": 1, "waiting": 0}
    assert f"1 access records can never be written to {PLACE} and are lost: that is no time" in caplog.text


def test_an_error_of_the_sinks_own_ends_no_thread(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "spill"
    in_the_way.write_text("no folder")
    shelf.is_down = True
    sink = sink_to(shelf, in_the_way)
    sink.write(line(1))
    for _ in range(3):
        sink.close()
    assert sink.stats()["waiting"] == 1  # it cannot be spilled, so it waits on in memory
    assert sink.stats()["spill_failed"] >= 3
    assert caplog.text.count(f"Access records for {PLACE} cannot wait in {in_the_way}; they wait in memory") == 1
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == [1]
    shelf.read = None  # type: ignore[assignment]
    with pytest.raises(TypeError):
        list(sink.read("one"))


# The spill file


def test_what_waits_is_spilled_and_comes_back_in_the_same_batches(shelf: Shelf, tmp_path: Path) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill", batch=10)
    for number in range(25):
        sink.write(line(number))
    sink.count(b'{"count.value":1}\n')
    sink.close()
    assert sink.stats()["spilled"] == 26
    assert sink.stats()["waiting"] == 0
    assert [path.suffix for path in (tmp_path / "spill").iterdir()] == [".spill"]
    assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == list(range(25))
    assert shelf.counts == [b'{"count.value":1}\n']
    assert shelf.batches == [10, 10, 6]
    assert not any((tmp_path / "spill").iterdir())


@pytest.mark.slow
def test_the_spill_is_brought_home_by_itself(shelf: Shelf, tmp_path: Path) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill", chance=lambda: 0.0)
    sink.write(line(1))
    assert eventually(lambda: sink.stats().get("spilled"))
    sink.write(line(2))
    assert eventually(lambda: sink.stats().get("spilled") == 2)
    shelf.is_down = False
    assert eventually(lambda: sorted(numbers(shelf)) == [1, 2])


def test_a_store_that_goes_away_again_gets_the_rest_of_the_spill_later(shelf: Shelf, tmp_path: Path) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill", batch=1)
    for number in range(3):
        sink.write(line(number))
    sink.close()
    written = shelf.write

    def once(records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        shelf.is_down = bool(shelf.records)
        written(records, counts)

    shelf.write = once  # type: ignore[method-assign]
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == [0]
    shelf.write = written  # type: ignore[method-assign]
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == [0, 1, 2]


def test_what_was_spilled_is_erased_where_it_stands(shelf: Shelf, tmp_path: Path) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill", batch=3)
    for number in range(6):
        sink.write(line(number, "one" if number % 2 else "two"))
    sink.close()
    assert sink.erase("one") == 3
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == [0, 2, 4]
    assert [json.loads(record)["visitor.id"] for record in shelf.records] == ["two"] * 3


def test_a_store_that_cannot_be_asked_is_said_to_keep_its_records_still(shelf: Shelf, tmp_path: Path) -> None:
    sink = sink_to(shelf, tmp_path / "spill")
    shelf.erase = lambda visitor_id: [][1]  # type: ignore[method-assign]
    with pytest.raises(CannotEraseError, match=f"Records may stay in {PLACE}, which cannot be used: list index"):
        sink.erase("one")

    def refuse(visitor_id: str) -> int:
        raise CannotEraseError("it is on paper")

    shelf.erase = refuse  # type: ignore[method-assign]
    with pytest.raises(CannotEraseError, match="it is on paper"):
        sink.erase("one")


def test_what_waits_in_memory_is_not_said_to_be_erased(shelf: Shelf) -> None:
    shelf.is_down = True
    sink = sink_to(shelf)
    sink.write(line(1))
    with pytest.raises(CannotEraseError, match=f"Records may still wait for {PLACE}"):
        sink.erase("one")
    shelf.is_down = False
    assert sink.erase("one") == 1


@pytest.mark.slow
def test_what_is_still_on_its_way_to_a_slow_store_is_not_said_to_be_erased(shelf: Shelf) -> None:
    sink = sink_to(shelf)
    shelf.go_on.clear()
    sink.write(line(1))
    with pytest.raises(CannotEraseError, match=f"Records may still wait for {PLACE}"):
        sink.erase("one")
    shelf.go_on.set()
    assert eventually(lambda: numbers(shelf) == [1])
    assert sink.erase("one") == 1


def test_who_erases_or_reads_does_not_end_the_connection_over_which_others_do(shelf: Shelf) -> None:
    sink = sink_to(shelf)
    sink.write(line(1))
    assert len(list(sink.read("one"))) == 1
    assert sink.erase("one") == 1
    assert shelf.closed == 0
    sink.close()
    assert shelf.closed == 1


def test_a_batch_of_which_all_is_erased_is_none(shelf: Shelf, tmp_path: Path) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill", batch=1)
    sink.write(line(1))
    sink.write(line(2, "two"))
    sink.close()
    sink.erase("one")
    shelf.is_down = False
    sink.close()
    assert shelf.batches == [1]


def test_what_is_old_is_removed_from_where_it_waits_also_in_files_that_others_left(
    shelf: Shelf, tmp_path: Path
) -> None:
    old, new = {"time": "2026-10-26T11:59:59.999Z"}, {"time": "2026-10-26T12:00:00.000Z"}
    (tmp_path / "dead.spill").write_bytes(
        b"r" + line(1, **old) + b"c" + line(2, **old) + b"r" + line(3, **new) + b"\nr" + line(4, **old)[:-9]
    )
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path)
    sink.write(line(5, **old))
    sink.write(line(6, **new))
    sink.close()
    assert sink.purge(NOW, timedelta(days=30), dry_run=True) == 3
    assert sink.purge(NOW, timedelta(days=30)) == 3
    assert not any(old["time"].encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert sink.purge(NOW, timedelta(days=30)) == 0
    shelf.is_down = False
    sink.close()
    assert sorted(numbers(shelf)) == [3, 6]
    assert shelf.counts == []


def test_what_a_kill_has_left_of_a_spilled_record_is_erased_with_the_others(tmp_path: Path) -> None:
    torn = line(2, "one", path="/health")[:-2]
    (tmp_path / "dead.spill").write_bytes(b"r" + line(1, "two") + b"r" + torn)
    spill = Spill(tmp_path)
    assert spill.erase("two") == 1
    assert spill.erase("o") == 0
    assert spill.erase("one") == 1
    assert (tmp_path / "dead.spill").read_bytes().isspace()
    assert list(spill.batches()) == []


def test_a_line_that_a_process_may_go_on_with_is_left_to_it(tmp_path: Path) -> None:
    living = Spill(tmp_path)
    living.add([(True, line(1))])
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b"r" + line(2, "two", path="/health")[:-2])
    before = path.read_bytes()
    assert Spill(tmp_path).erase("two") == 0
    assert living.erase("two") == 0
    assert path.read_bytes() == before


def test_a_full_spill_folder_leaves_the_rest_in_memory(tmp_path: Path) -> None:
    spill = Spill(tmp_path, most_bytes=len(line(1)) + 2)
    spill.add([(True, line(1))])
    with pytest.raises(OSError, match="its files may have 49 bytes, and have them"):
        spill.add([(True, line(2))])
    assert list(spill.batches()) == [[(True, line(1))]]
    spill.add([(True, line(2))])


def test_the_files_of_all_processes_count_together_also_of_those_that_ended(tmp_path: Path) -> None:
    size = len(line(1)) + 2
    for _ in range(2):
        ended = Spill(tmp_path, most_bytes=3 * size)
        assert len(list(itertools.islice(ended.batches(), 1))) <= 1, "a store that is down takes none"
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
from tests.sinks.test_buffered import Shelf, line, sink_to
shelf = Shelf()
shelf.is_down = True
sink = sink_to(shelf, Path(sys.argv[1]), batch=4)
for number in range(int(sys.argv[2]), int(sys.argv[2]) + 10):
    sink.write(line(number))
sink.close()
print(sink.stats()["spilled"], flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_spill_of_a_killed_process_is_brought_home_by_the_next_one_and_no_other(
    shelf: Shelf, tmp_path: Path
) -> None:
    killed, living = (
        subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for first in (0, 100)
    )
    for process in (killed, living):
        assert process.stdout is not None
        assert process.stdout.readline() == b"10\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    for path in tmp_path.iterdir():
        if b'"a-0"' in path.read_bytes():
            with path.open("ab") as file:
                file.write(b'r{"torn')
    sink = sink_to(shelf, tmp_path)
    sink.write(line(50))
    sink.close()
    assert sorted(numbers(shelf)) == [*range(10), 50]
    living.communicate(b"")


def test_files_that_cannot_be_taken_over_are_left(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "folder.spill").mkdir()
    sink = sink_to(shelf, tmp_path)
    sink.write(line(1))
    sink.close()
    assert numbers(shelf) == [1]


@pytest.mark.slow
def test_a_disk_that_is_full_while_spilling_leaves_the_rest_in_memory(tmp_path: Path) -> None:
    full = """
import resource, signal, sys
from pathlib import Path
from tests.sinks.test_buffered import Shelf, line, numbers, sink_to
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
shelf = Shelf()
shelf.is_down = True
sink = sink_to(shelf, Path(sys.argv[1]), batch=2)
for number in range(5):
    sink.write(line(number))
sink.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
shelf.is_down = False
sink.close()
print(sorted(numbers(shelf)), sink.stats()["waiting"])
"""
    done = subprocess.run([sys.executable, "-c", full, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 1, 2, 3, 4] 0\n"


@pytest.mark.logs_an_exception
def test_an_error_that_nobody_thought_of_holds_records_back_loses_none_and_is_said_once(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.is_down = True
    chances: list[float] = []
    sink = sink_to(shelf, chance=chances.pop)
    sink.write(line(1))
    for _ in range(3):
        sink.close()
    assert caplog.text.count("Access records are held back by an error.") == 1
    shelf.is_down = False
    sink.close()
    assert numbers(shelf) == [1]


@pytest.mark.logs_an_exception
def test_a_spill_file_that_cannot_be_removed_loses_nothing_and_that_is_said(
    shelf: Shelf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.is_down = True
    sink = sink_to(shelf, tmp_path / "spill")
    sink.write(line(1))
    sink.close()
    (file,) = (tmp_path / "spill").iterdir()
    file.unlink()
    file.mkdir()  # what stands for a folder that can no longer be written
    shelf.is_down = False
    for _ in range(5):
        sink.close()
    assert numbers(shelf) == [1]
    assert caplog.text.count("held back by an error") == 1


FORKED = """
import os, sys
from cookie_consent.sinks import JsonLinesSink
sink = JsonLinesSink(sys.argv[1])
sink.write(b'{"visitor.id":"parent"}\\n')
if child := os.fork():
    sys.exit(os.waitpid(child, 0)[1])
sink.write(b'{"visitor.id":"child"}\\n')
sink.close()
os._exit(0)
"""


SPILLED_AND_FORKED = """
import os, sys
from pathlib import Path
from tests.sinks.test_buffered import Shelf, line, numbers, sink_to
shelf, folder = Shelf(), Path(sys.argv[1])
(folder / "left.spill").write_bytes(b"r" + line(1) + b"\\n")
shelf.is_down = True
sink = sink_to(shelf, folder)
sink.write(line(2))
sink.close()
sink.close()  # it takes over what was left, but the store takes nothing
child = os.fork()
sink.write(line(3 if child else 4))
sink.close()
if not child:
    shelf.is_down = False
    sink.close()
    print(sorted(numbers(shelf)), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
shelf.is_down = False
sink.close()
print(sorted(numbers(shelf)), sorted(folder.iterdir()), sink.stats()["waiting"])
"""


@pytest.mark.slow
def test_a_fork_spills_to_a_file_of_its_own_and_leaves_its_parents_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPILLED_AND_FORKED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[4]\n[1, 2, 3] [] 0\n"


def test_a_sink_that_has_lost_its_thread_to_a_fork_begins_anew(shelf: Shelf) -> None:
    sink = sink_to(shelf)
    sink.write(line(1))
    sink.close()
    sink.after_fork()
    sink.write(line(2))
    sink.close()
    assert numbers(shelf) == [1, 2]


@pytest.mark.slow
def test_a_process_that_is_forked_while_lines_wait_writes_its_own(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    subprocess.run([sys.executable, "-c", FORKED, str(path)], check=True)
    assert sorted(json.loads(line)["visitor.id"] for line in path.read_bytes().splitlines()) == ["child", "parent"]


def test_a_sink_that_was_never_written_to_has_nothing_to_bring(shelf: Shelf) -> None:
    sink = sink_to(shelf)
    sink.close()
    assert sink.purge(0, timedelta(days=1)) == 0
    assert list(sink.read("one")) == []
    assert shelf.tries == 0


# The files


def test_a_file_of_a_process_that_lives_is_not_taken_over(tmp_path: Path) -> None:
    own, other = Spill(tmp_path), Spill(tmp_path)
    own.add([(True, line(1))])
    assert list(other.batches()) == []
    assert list(own.batches()) == [[(True, line(1))]]
    assert not any(tmp_path.iterdir())


def test_a_torn_batch_comes_back_without_its_torn_line(tmp_path: Path) -> None:
    (tmp_path / "dead.spill").write_bytes(b"r" + line(1) + b"\n" + b"c" + line(2) + b"r" + line(3)[:9])
    spill = Spill(tmp_path)
    assert spill.is_waiting()
    assert list(spill.batches()) == [[(True, line(1))], [(False, line(2))]]
    assert not spill.is_waiting()


def test_a_file_that_is_gone_holds_nobodys_records(tmp_path: Path) -> None:
    (tmp_path / "gone.spill").symlink_to(tmp_path / "nowhere")
    spill = Spill(tmp_path)
    assert spill.erase("one") == 0
    assert list(spill.batches()) == []


def test_a_disk_that_is_full_takes_no_part_of_a_batch(tmp_path: Path) -> None:
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
    assert path.read_bytes() == b"r" + line(1) + b"\n"
