"""Tests of an access log's closed files: names, forms, compression and locks. Readers find each record once."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files import locked_files
from cookie_consent.sinks.files.closed_files import (
    FileFormat,
    Source,
    counts_path,
    live_path,
    parquet_folder,
    path_of,
    retry_if_moved,
    sources,
)
from cookie_consent.sinks.files.locked_files import (
    LiveFile,
    compress_closed,
    exclusive,
    for_each_file,
    replacing,
    temporary_path,
)
from cookie_consent.sinks.files.parquet import failed_checksum
from tests.support.asgi import Clock
from tests.support.servers.processes import kill_process_group, process_group_options
from tests.support.sink_lines import line
from tests.support.waiting import wait_until

DAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 26, 0, 0, 1, tzinfo=UTC).timestamp()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


def write(sink: JsonLinesSink, *numbers: int) -> None:
    for number in numbers:
        sink.write(line(number))
    sink.close()


def set_time_of(path: Path, *when: int) -> None:
    """Set the time (UTC) at which a file was last written."""
    seconds = datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    os.utime(path, (seconds, seconds))


def lines_of(source: Source) -> bytes:
    data = source.path.read_bytes()
    return gzip.decompress(data) if source.file_format is FileFormat.GZIP else data


def numbers_in(found: Sequence[Source]) -> Counter[int]:
    """Count the record of each number in these files, without a line that a writer has not ended, or never will."""
    counted = Counter[int]()
    for source in found:
        for text in lines_of(source).splitlines(keepends=True):
            if text.endswith(b"\n") and text.strip():
                with suppress(ValueError):  # the last line of a killed writer may be cut off
                    counted[int(json.loads(text)["log.record.uid"].partition("-")[2], 16)] += 1
    return counted


def names(path: Path) -> list[str]:
    return [source.path.name for source in sources(path)]


def close_as(path: Path, form: FileFormat, *lines: bytes, day: date = DAY, number: int = 1) -> Path:
    """Write lines to a closed file."""
    place = path_of(path, day, number, form)
    data = b"".join(lines)
    place.write_bytes(gzip.compress(data) if form is FileFormat.GZIP else data)
    return place


# Closing and naming


@pytest.mark.parametrize(("form", "ending"), [(FileFormat.PLAIN, ""), (FileFormat.GZIP, ".gz")])
def test_purge_redates_files_of_the_future_to_today(
    form: FileFormat, ending: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a new date, the files of a host whose clock was a year ahead would stay a year longer."""
    close_as(path, form, line(1), day=date(2027, 11, 26))
    close_as(path, form, line(2), day=date(2026, 11, 26), number=4)
    path.write_bytes(line(3))
    set_time_of(path, 2027, 11, 26)
    clock = Clock(NOW)
    sink = JsonLinesSink(path, clock=clock, compress=None)
    assert sink.purge(clock(), timedelta(days=30)) == 0
    assert names(path) == [
        f"access-2026-11-26-{number}.jsonl{end}" for number, end in (("0004", ending), ("0005", ending), ("0006", ""))
    ]
    assert retry_if_moved(path, numbers_in) == Counter((1, 2, 3))
    (said,) = caplog.messages
    assert "access-2027-11-26-0001.jsonl" in said
    assert said.endswith(f"access-2026-11-26-0005.jsonl{ending} now.")
    clock.forward(days=31)
    assert sink.purge(clock(), timedelta(days=30)) == 3
    assert names(path) == []


def test_large_live_file_is_closed(path: Path) -> None:
    sink = JsonLinesSink(path, rotate_size=2000, compress=None)
    for number in range(7):
        write(sink, number)
    sink.count(b'{"count.value": 1}\n')
    sink.close()
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    assert names(path) == [f"access-{day}-{number:04}.jsonl" for number in range(1, len(names(path)))] + [path.name]
    assert len(names(path)) > 3
    assert all(source.path.stat().st_size <= 2000 for source in sources(path))
    assert numbers_in(sources(path)) == Counter(range(7))
    assert names(counts_path(path)) == ["access.counts.jsonl"]


def test_batch_larger_than_rotate_size_is_written_whole(path: Path) -> None:
    sink = JsonLinesSink(path, rotate_size=1, compress=None)
    write(sink, 1, 2, 3)
    write(sink, 4)
    assert [len(lines_of(source).splitlines()) for source in sources(path)] == [3, 1]


@pytest.mark.parametrize(
    ("data", "written", "name"),
    [
        (line(1), (2026, 11, 25, 23, 59, 59), "access-2026-11-25-0003.jsonl"),
        (line(1), (2027, 11, 26), "access-2026-11-26-0001.jsonl"),
        (line(1), (2026, 11, 26), "access.jsonl"),
        (b"", (2026, 11, 25), "access.jsonl"),
    ],
    ids=["yesterday", "by a clock that was ahead", "today", "empty"],
)
def test_live_file_is_closed_under_the_next_number_once_its_day_is_over(
    data: bytes, written: Sequence[int], name: str, path: Path
) -> None:
    live = LiveFile(path, clock=lambda: NOW)
    live.close_due()  # there is none
    close_as(path, FileFormat.GZIP, number=1)
    close_as(path, FileFormat.PLAIN, number=2)
    path.write_bytes(data)
    set_time_of(path, *written)
    live.close_due()
    assert names(path)[2:] == [name]


@pytest.mark.parametrize("is_link", [False, True], ids=["no number can be had", "symbolic link"])
def test_live_file_grows_while_it_cannot_be_closed(is_link: bool, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = path.with_name(".access.jsonl.lock")
    lock.mkdir()
    if is_link:
        path.symlink_to(path.with_name("elsewhere.jsonl"))
    sink = JsonLinesSink(path, rotate_size=1, compress=None)
    for number in range(3):
        write(sink, number)
    assert names(path) == ["access.jsonl"]
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "cannot be closed and grows on: " in caplog.text
    assert ("symbolic link" in caplog.text) is path.is_symlink() is is_link
    lock.rmdir()
    write(sink, 3)
    assert len(names(path)) == (1 if is_link else 2)
    assert numbers_in(sources(path)) == Counter(range(4))


# Sources


def test_earlier_form_counts_while_a_file_has_two(path: Path) -> None:
    for form in (FileFormat.PARQUET, FileFormat.GZIP, FileFormat.PLAIN):
        place = path_of(path, DAY, 1, form)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        assert sources(path) == [Source(place, form, DAY, 1)]


def test_sources_are_in_order_with_live_file_last_and_leave_out_other_files(path: Path) -> None:
    for other in (
        "access-2026-11-25-0001.jsonl.part",
        ".access-2026-11-25-0001.jsonl.gz.part",
        "access-2026-13-25-0001.jsonl",
        "access-2026-11-25-001.jsonl",
        "access.counts-2026-11-25-0001.jsonl",
        "other-2026-11-25-0001.jsonl",
        "access.jsonl.1",
        "access/day=2026-11-25/other-2026-11-25-0001.parquet",
    ):
        (path.parent / other).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / other).touch()
    path_of(path, DAY, 2, FileFormat.PLAIN).mkdir()
    path_of(path, DAY, 3, FileFormat.PLAIN).symlink_to("nowhere")
    assert sources(path) == []
    path.touch()
    for day, number in ((26, 1), (25, 10_000), (25, 9999)):
        path_of(path, date(2026, 11, day), number, FileFormat.PLAIN).touch()
    found = [(source.day and source.day.day, source.number) for source in sources(path)]
    assert found == [(25, 9999), (25, 10_000), (26, 1), (None, 0)]


def test_parquet_folder_differs_from_the_log() -> None:
    assert parquet_folder(Path("logs/access.jsonl")) == Path("logs/access")
    assert parquet_folder(Path("logs/access")) == Path("logs/access.parquet")
    counts = path_of(counts_path(Path("logs/access.jsonl")), DAY, 1, FileFormat.PARQUET)
    assert counts == Path("logs/access.counts/written=2026-11-25/access.counts-2026-11-25-0001.parquet")


# Readers


def _replace(path: Path) -> None:
    """Replace the first file, and fail as a reader does that has read a part of the old one."""
    new = path.with_name("new")
    place = sources(path)[0].path
    new.write_bytes(place.read_bytes())
    new.rename(place)
    raise ValueError("invalid data")


@pytest.mark.parametrize(
    "disturb",
    [compress_closed, lambda path: write(JsonLinesSink(path, rotate_size=1, compress=None), 3), _replace],
    ids=["changes its form", "is closed", "is replaced, and the reader fails"],
)
def test_reader_starts_again_when_a_file(disturb: Callable[[Path], object], path: Path) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    write(JsonLinesSink(path), 2)
    tries = []

    def read(found: list[Source]) -> Counter[int]:
        tries.append(found)
        if len(tries) == 1:
            disturb(path)
        return numbers_in(found)

    assert retry_if_moved(path, read)[2] == 1
    assert retry_if_moved(path, numbers_in)[1] == 1
    assert len(tries) == 2


def test_error_of_a_reader_is_raised(path: Path) -> None:
    path.touch()
    with pytest.raises(ZeroDivisionError):
        retry_if_moved(path, lambda found: 1 // 0)


def test_reader_gives_up_when_files_keep_changing(path: Path) -> None:
    numbers = iter(range(1, 1000))
    pauses: list[float] = []
    with pytest.raises(OSError, match="move faster than they can be read"):
        retry_if_moved(path, lambda found: close_as(path, FileFormat.PLAIN, number=next(numbers)), pauses.append)
    assert pauses == sorted(pauses)
    assert sum(pauses) > 15, "long enough for the compaction of many files"


def test_file_that_is_compressed_just_before_it_is_opened_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = close_as(path, FileFormat.PLAIN, line(1))
    opened = Path.open

    def open_late(self: Path, *args: Any, **more: Any) -> Any:
        if self == plain and plain.exists():
            close_as(path, FileFormat.GZIP, line(1))
            plain.unlink()
        return opened(self, *args, **more)

    monkeypatch.setattr(Path, "open", open_late)
    assert len(list(JsonLinesSink(path).read("one"))) == 1
    assert not plain.exists()


def test_file_that_is_gone_is_not_damaged_but_one_that_cannot_be_opened_is(path: Path) -> None:
    source = Source(path.with_name("closed"), FileFormat.GZIP, DAY, 1)
    assert failed_checksum(source) is None
    source.path.symlink_to(source.path)
    found = failed_checksum(source)
    assert found is not None
    assert (found.path, found.problem) == (source.path, os.strerror(errno.ELOOP))


# Compression


def test_closed_files_are_compressed_and_read_and_erased_from(path: Path) -> None:
    sink = JsonLinesSink(path, rotate_size=1)
    for number in range(3):
        write(sink, number)
        sink.count(b'{"log.record.uid": "c-1"}\n')
        sink.close()
    for log in (path, counts_path(path)):
        formats = [FileFormat.GZIP, FileFormat.GZIP, FileFormat.LIVE]
        wait_until(lambda log=log, formats=formats: [source.file_format for source in sources(log)] == formats)  # type: ignore[misc]
    assert numbers_in(sources(path)) == Counter(range(3))
    assert not [name for name in os.listdir(path.parent) if name.endswith(".part")]
    assert [record["log.record.uid"][-1] for record in sink.read("one")] == ["0", "1", "2"]
    assert sink.erase("one") == 3
    assert numbers_in(sources(path)) == Counter()


def test_compressed_file_keeps_mode_and_owner(path: Path) -> None:
    place = close_as(path, FileFormat.PLAIN, line(1))
    place.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(place, 1234, 1234)
    before = place.stat()
    assert compress_closed(path) == []
    after = path_of(path, DAY, 1, FileFormat.GZIP).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_leftovers_of_killed_compression_are_removed(path: Path) -> None:
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    close_as(path, FileFormat.GZIP, line(1), line(2))  # complete, but the kill came before the plain file was removed
    left = temporary_path(path_of(path, DAY, 1, FileFormat.GZIP))
    left.write_bytes(b"half")
    assert numbers_in(sources(path)) == Counter([1, 2])
    assert JsonLinesSink(path).erase("one") == 2
    assert set(os.listdir(path.parent)) - {".access.jsonl.lock"} == {
        "access-2026-11-25-0001.jsonl",
        "access.jsonl.erased",
    }
    assert compress_closed(path) == []
    assert names(path) == ["access-2026-11-25-0001.jsonl.gz"]


def test_file_that_cannot_be_compressed_is_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    path_of(path, DAY, 1, FileFormat.GZIP).mkdir()
    sink = JsonLinesSink(path, rotate_size=1)
    write(sink, 2)
    write(sink, 3)
    wait_until(lambda: "stays as it is" in caplog.text)
    assert numbers_in(sources(path)[:1]) == Counter([1])


def test_replacing_leaves_no_half_written_file(path: Path) -> None:
    like = close_as(path, FileFormat.PLAIN, line(1))
    with pytest.raises(ZeroDivisionError), replacing(path.with_name("new"), like) as new:
        new.write_bytes(b"half" * (1 // 0))
    assert os.listdir(path.parent) == [like.name]


# Locks


def test_closed_file_has_one_holder_at_a_time(path: Path) -> None:
    source = Source(close_as(path, FileFormat.PLAIN, line(1)), FileFormat.PLAIN, DAY, 1)
    with exclusive(path, source) as file:
        assert file is not None
        with pytest.raises(TimeoutError), exclusive(path, source, wait=0.1):
            pytest.fail("two hold the file")
        ((trouble, error),) = compress_closed(path)
        assert (trouble, type(error)) == (source, TimeoutError)
    assert names(path) == ["access-2026-11-25-0001.jsonl"]
    assert compress_closed(path) == []


def times_open(path: Path) -> int:
    """Return how often this process has a file open."""
    places = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return sum(place.exists() and place.samefile(path) for place in places)


def test_file_that_vanishes_while_somebody_waits_for_it_cannot_be_held(path: Path) -> None:
    source = Source(close_as(path, FileFormat.PLAIN, line(1)), FileFormat.PLAIN, DAY, 1)
    found: list[object] = []

    def wait() -> None:
        with exclusive(path, source, wait=30) as file:
            found.append(file)

    waits = threading.Thread(target=wait)
    with exclusive(path, source):
        waits.start()
        wait_until(lambda: times_open(source.path) == 2, ignoring=(OSError,))
        source.path.rename(path.with_name("elsewhere"))
    waits.join(60)
    wait()
    assert found == [None, None]


def test_each_closed_file_is_processed_once_though_its_form_changes(path: Path) -> None:
    for number in (1, 2, 3):
        close_as(path, FileFormat.PLAIN, line(number), number=number)
    worked = []

    def work(source: Source, file: object) -> None:
        worked.append((source.number, source.file_format))
        if source.number == 1:
            path_of(path, DAY, 2, FileFormat.PLAIN).rename(path_of(path, DAY, 2, FileFormat.GZIP))
        if source.number == 3:
            raise ValueError("3")

    ((trouble, error),) = for_each_file(path, lambda source: True, work)
    assert worked == [(1, FileFormat.PLAIN), (3, FileFormat.PLAIN), (2, FileFormat.GZIP)]
    assert (trouble.number, str(error)) == (3, "3")


def test_live_file_that_is_gone_meanwhile_is_not_processed(path: Path) -> None:
    places = {path, live_path(path, 2)}
    for place in places:
        place.write_bytes(line(1))
    worked = []

    def work(source: Source, file: object) -> None:
        worked.append(source.path)
        for other in places - {source.path}:
            other.unlink()

    assert for_each_file(path, lambda source: True, work) == []
    assert len(worked) == 1


def test_interruption_ends_the_work_on_all_files(path: Path) -> None:
    for number in (1, 2):
        close_as(path, FileFormat.PLAIN, line(number), number=number)
    worked = []

    def work(source: Source, file: object) -> None:
        worked.append(source.number)
        raise RuntimeError("Query interrupted")  # as DuckDB says it

    with pytest.raises(RuntimeError):
        for_each_file(path, lambda source: True, work)
    assert worked == [1]


def test_writer_gives_up_when_every_live_file_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked_files, "_TURN", 0.0)
    with ExitStack() as stack:
        for number in range(1, 100):
            file = stack.enter_context(live_path(path, number).open("wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="is locked by another program"):
            LiveFile(path).append([line(1)], list)
    LiveFile(path).append([line(1)], list)
    assert path.read_bytes() == line(1)


def test_writer_takes_another_file_when_the_first_is_full_again_and_again(path: Path) -> None:
    def fill() -> None:
        path.write_bytes(line(1))

    fill()
    LiveFile(path, size=1, closed=fill).append([line(2)], list)
    assert live_path(path, 2).read_bytes() == line(2)


def test_writer_takes_another_file_while_somebody_is_stopped_with_the_first(path: Path) -> None:
    sink = JsonLinesSink(path)
    write(sink, 1)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write(sink, 2)
        assert names(path) == ["access.jsonl", "access.2.jsonl"]
    write(sink, 3)
    assert numbers_in(sources(path)) == Counter([1, 2, 3])
    assert len([*sink.read("one")]) == 3
    assert sink.erase("one") == 3
    assert numbers_in(sources(path)) == Counter()
    for live in (path, live_path(path, 2)):
        live.write_bytes(line(4))
        set_time_of(live, 2026, 11, 25)
    LiveFile(path, clock=lambda: NOW).close_due()
    assert names(path) == ["access-2026-11-25-0001.jsonl", "access-2026-11-25-0002.jsonl"]


def test_suspended_rotation_blocks_no_writer(path: Path) -> None:
    sink = JsonLinesSink(path, rotate_size=1, compress=None)
    write(sink, 1)
    with path.with_name(".access.jsonl.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write(sink, 2)
        assert numbers_in(sources(path)) == Counter([1, 2])
        assert names(path) == ["access.jsonl"]
    write(sink, 3)
    assert len(names(path)) == 2


# Real processes


_WRITER = """
import itertools, sys, time
from cookie_consent.sinks import JsonLinesSink
from tests.support.sink_lines import line
path, size, first, step, count = sys.argv[1], *map(int, sys.argv[2:])
sink = JsonLinesSink(path, rotate_size=size)
numbers = range(first, first + step * count, step) if count else itertools.count(first, step)
for number in numbers:
    sink.write(line(number))
    if number // step % 50 == 0:
        sink.close()
        time.sleep(0 if count else 0.01)
sink.close()
assert not any(name.startswith("dropped") for name in sink.stats()), sink.stats()
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start a writer: with the size of a file, its first number, the step, and how many records; 0 for no end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_writer(*numbers: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _WRITER, str(path), *map(str, numbers)]
        processes.append(subprocess.Popen(command, **process_group_options()))
        return processes[-1]

    yield start_writer
    for process in processes:
        kill_process_group(process)
        process.wait(60)


@pytest.fixture
def rounds(pytestconfig: pytest.Config) -> int:
    """How often to stop or kill a process."""
    return 5 if pytestconfig.getoption("--full-matrix") else 2


def wait_for_closed_files(path: Path, more: int = 1) -> None:
    before = len(sources(path))
    wait_until(lambda: len(sources(path)) >= before + more)


@pytest.mark.slow
def test_reader_finds_each_record_once_during_writing_and_compression(path: Path, start: Start) -> None:
    started = [start(100_000, number, 3, 600) for number in range(3)]
    seen: set[int] = set()
    while any(process.poll() is None for process in started):
        found = retry_if_moved(path, numbers_in)
        assert set(found.values()) <= {1}
        assert seen <= set(found)
        seen = set(found)
    assert [process.returncode for process in started] == [0, 0, 0]
    assert numbers_in(sources(path)) == Counter(range(1800))
    assert len(sources(path)) > 5


@pytest.mark.slow
def test_suspended_writer_blocks_no_other_and_loses_nothing(path: Path, start: Start, rounds: int) -> None:
    stopped = start(60_000, 0, 2, 0)
    for turn in range(rounds):
        wait_for_closed_files(path)
        stopped.send_signal(signal.SIGSTOP)
        number = 1_000_001 + 1000 * turn
        assert start(60_000, number, 2, 200).wait(60) == 0
        assert {number, number + 398} <= set(numbers_in(sources(path)))
        stopped.send_signal(signal.SIGCONT)
    stopped.send_signal(signal.SIGKILL)
    stopped.wait(60)
    found = retry_if_moved(path, numbers_in)
    assert set(found.values()) == {1}
    own = sorted(number for number in found if number < 1_000_000)
    assert own == list(range(0, 2 * len(own), 2)), "the records of the suspended writer have no gap"


@pytest.mark.slow
def test_killed_writers_leave_each_record_once(path: Path, start: Start, rounds: int) -> None:
    for first in range(0, rounds * 1_000_000, 1_000_000):
        process = start(60_000, first, 1, 0)
        wait_for_closed_files(path, 2)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        found = retry_if_moved(path, numbers_in)
        assert set(found.values()) == {1}
        own = [each for each in sorted(found) if each >= first]
        assert own == list(range(first, first + len(own))), "the records have no gap"
    assert compress_closed(path) == []
    assert numbers_in(sources(path)) == found
    assert {source.file_format for source in sources(path)} - {FileFormat.LIVE} == {FileFormat.GZIP}
    assert not [name for name in os.listdir(path.parent) if name.endswith(".part")]
