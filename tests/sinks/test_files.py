"""Tests of the JSON Lines sink: processes share a live file, and each record is in it once."""

from __future__ import annotations

import fcntl
import gzip
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import CannotEraseError, JsonLinesSink
from cookie_consent.sinks.files import sink as sink_module
from tests.support.waiting import wait_until

NOW = 1_795_608_000.0
"""2026-11-25T12:00:00Z"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


@pytest.fixture
def sink(path: Path) -> JsonLinesSink:
    return JsonLinesSink(path)


def line(visitor: str, **more: object) -> bytes:
    return json.dumps({"visitor.id": visitor, **more}, ensure_ascii=False).encode() + b"\n"


def timed(visitor: str, time: float, **more: object) -> bytes:
    """Return the line of a record with a time."""
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": text, "visitor.id": visitor, **more}).encode() + b"\n"


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file. Lines of spaces are no records."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text.strip()]


def numbers(path: Path) -> list[int]:
    return [record["n"] for record in records(path)]


def write(sink: JsonLinesSink, *lines: bytes) -> None:
    """Write lines and close the sink, which stores them if it can."""
    for each in lines:
        sink.write(each)
    sink.close()


def run(script: str, path: Path) -> str:
    """Run a script that has the path of a log in a process of its own, and return its output."""
    head = "import json, os, resource, sys\nfrom cookie_consent.sinks import open_sink\nsink = open_sink(sys.argv[1])\n"
    command = [sys.executable, "-c", f"{head}{script}", str(path)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


def test_record_reaches_private_file_without_close(path: Path, sink: JsonLinesSink) -> None:
    for number in range(2):
        sink.write(line("a", n=number))
        wait_until(lambda number=number: numbers(path) == [*range(number + 1)], ignoring=(OSError, ValueError))  # type: ignore[misc]
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rotate_size": 0}, "rotate_size is a number of bytes, 1 at least, not 0"),
        ({"compress": "bzip2"}, "compress is \"gzip\" or None, not 'bzip2'"),
    ],
)
def test_wrong_argument_is_refused(wrong: dict[str, Any], said: str, path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        JsonLinesSink(path, **wrong)


# Several processes


FORKED = """
sink.write(b'{"n": 0}\\n')
sink.close()
child = os.fork()
sink.write(b'{"n": %d}\\n' % (1 if child else 2))
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
def test_ending_process_and_its_forked_child_write_waiting_records(path: Path) -> None:
    run(FORKED, path)
    assert sorted(numbers(path)) == [0, 1, 2]


@pytest.mark.parametrize("before", [b"", line("before")], ids=["before the writer starts", "while it runs"])
def test_record_after_torn_line_is_whole(before: bytes, path: Path, sink: JsonLinesSink) -> None:
    if before:
        write(sink, before)
    with path.open("ab") as file:
        file.write(line("torn", path="/x")[:20])
    write(sink, line("after"), line("after"))
    assert path.read_bytes() == before + line("torn", path="/x")[:20] + b"\n" + line("after") * 2
    assert len(list(sink.read("after"))) == 2
    assert list(sink.read("torn")) == []


def test_writer_adds_no_newline_to_empty_or_whole_file(path: Path) -> None:
    path.touch()
    for _ in range(2):
        write(JsonLinesSink(path), line("a"))
    assert path.read_bytes() == line("a") * 2


# Missing, unwritable and locked files


def test_renamed_or_removed_file_and_folder_are_created_again(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    rotated = path.with_name("access.jsonl.1")
    sink = JsonLinesSink(path)
    write(sink, line("a", n=1))
    path.rename(rotated)
    write(sink, line("a", n=2))
    assert (numbers(rotated), numbers(path)) == ([1], [2])
    path.rename(rotated)
    path.touch()
    write(sink, line("a", n=3))
    assert numbers(path) == [3]
    path.unlink()
    rotated.unlink()
    path.parent.rmdir()
    write(sink, line("a", n=4))
    assert numbers(path) == [4]


def _under_a_file(path: Path) -> None:
    path.symlink_to(path.parent / "file" / "x")
    (path.parent / "file").touch()


@pytest.mark.parametrize(
    "break_path",
    [Path.mkdir, lambda path: path.symlink_to("/dev/full"), os.mkfifo, _under_a_file],
    ids=["folder", "full disk", "pipe without reader", "under a file"],
)
def test_records_wait_for_unwritable_path_with_one_warning(
    break_path: Callable[[Path], object], path: Path, sink: JsonLinesSink, caplog: pytest.LogCaptureFixture
) -> None:
    break_path(path)
    for number in range(3):
        write(sink, line("a", n=number))
    assert sink.stats()["waiting"] == 3
    assert "written" not in sink.stats()
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(path) in warning.getMessage()
    path.rmdir() if path.is_dir() else path.unlink()
    write(sink, line("a", n=3))
    assert numbers(path) == [0, 1, 2, 3]
    assert (sink.stats()["written"], sink.stats()["waiting"]) == (4, 0)


def test_records_wait_in_memory_for_impossible_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = JsonLinesSink(tmp_path / "access\0.jsonl")
    for _ in range(2):
        write(sink, line("a"))
    assert sink.stats()["waiting"] == 2
    assert len(caplog.records) == 1


def test_unwritable_counts_file_duplicates_no_record(path: Path, sink: JsonLinesSink) -> None:
    counts = path.with_name("access.counts.jsonl")
    counts.mkdir()
    for number in range(3):
        sink.write(line("a", same="as the others"))
        sink.count(b'{"n": %d}\n' % number)
    sink.close()
    sink.close()
    assert len(records(path)) == 3
    counts.rmdir()
    write(sink, line("a", same="as the others"))
    assert records(path) == [{"visitor.id": "a", "same": "as the others"}] * 4
    assert numbers(counts) == [0, 1, 2]


FULL_DISK = """
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (10_000, 10_000, 10_010, 25_000, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    for n in range(40):
        sink.write(json.dumps({"visitor.id": "a", "n": [limit, n], "x": "x" * 150}).encode() + b"\\n")
    sink.close()
    print(json.dumps(dict(sink.stats())))
"""
"""A limit on file sizes replaces a full disk: a part of a batch is written, and even half a line."""


@pytest.mark.slow
def test_batch_cut_by_full_disk_continues_where_it_stopped(path: Path) -> None:
    *stats, last = map(json.loads, run(FULL_DISK, path).splitlines())
    assert [stat["waiting"] > 0 for stat in stats] == [False, True, True, True]
    assert (last["waiting"], last["written"]) == (0, 200)
    whole = [record["n"] for record in records(path)]
    assert whole == [[limit, n] for limit in (10_000, 10_000, 10_010, 25_000, -1) for n in range(40)]
    assert len(path.read_bytes().splitlines()) == len(whole), "what the disk took of a batch was taken back"


def test_erasing_from_locked_file_raises_cannot_erase_error(
    path: Path, sink: JsonLinesSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "_PATIENCE", 0.1)
    path.write_bytes(line("a"))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CannotEraseError, match="in use by another process"):
            sink.erase("a")
    assert sink.erase("a") == 1


# Erasing and purging in the live file


def test_late_record_of_an_erased_visitor_is_not_written(path: Path, sink: JsonLinesSink) -> None:
    """Another process holds it in memory, or the request still runs. What the visitor asks for later is written."""
    now = time.time()
    other = JsonLinesSink(path)
    write(sink, timed("a", now - 9, n=1), timed("b", now - 9, n=2))
    assert sink.erase("a") == 1
    for _ in range(2):
        write(other, timed("a", now - 1, n=3), timed("b", now - 1, n=4), timed("a", now + 9, n=5))
        other = JsonLinesSink(path)
    assert numbers(path) == [2, 4, 5, 4, 5]
    assert sink.erase("a") == 2
    write(other, timed("a", now - 1, n=6), timed("c", now - 1, n=7))
    assert numbers(path) == [2, 4, 4, 7]


def test_record_that_waits_for_the_file_during_an_erasure_is_not_written(path: Path, sink: JsonLinesSink) -> None:
    now = time.time()
    other = JsonLinesSink(path)
    path.touch()
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other.write(timed("a", now - 1))
        writing = threading.Thread(target=other.close)
        writing.start()
        assert sink.erased_visitors is not None
        sink.erased_visitors.add("a", now)
    writing.join(60)
    assert records(path) == []
    assert other.stats()["waiting"] == 0


def test_erase_and_purge_leave_lines_that_are_no_records(path: Path, sink: JsonLinesSink) -> None:
    others = (
        b'not json a\n["a"]\n{"visitor.id": "b", "x": {"visitor.id": "a"}}\n\n   \n\xff a\n{"time": 1}\n'
        b'{"visitor.id": "b", "x": "\\"visitor.id\\": \\"a\\"", "torn\n{"visitor.id": "a'
    )
    path.write_bytes(others)
    assert sink.erase("a") == 0
    assert list(sink.read("a")) == []
    assert sink.purge(NOW, timedelta(0)) == 0
    assert path.read_bytes() == others


TORN = b'{"time":"2026-11-23T11:59:59.999Z","url.path":"/health","visitor.id":"a","client.addr'


@pytest.mark.parametrize(
    "end", [b"\n", b"", b"\n" + line("b")], ids=["newline follows", "end of file", "record follows"]
)
def test_torn_record_in_live_file_is_erased(end: bytes, path: Path, sink: JsonLinesSink) -> None:
    path.write_bytes(line("a") + line("b") + TORN + end)
    assert sink.erase("a") == 2
    assert b"health" not in path.read_bytes()
    write(sink, line("c"))
    assert {record["visitor.id"] for record in records(path)} == {"b", "c"}


def test_torn_record_in_closed_file_is_erased(path: Path, sink: JsonLinesSink) -> None:
    plain = path.with_name("access-2026-11-23-0001.jsonl")
    packed = path.with_name("access-2026-11-23-0002.jsonl.gz")
    plain.write_bytes(line("b") + TORN)
    packed.write_bytes(gzip.compress(TORN + b"\n" + line("b")))
    assert sink.erase("a") == 2
    assert plain.read_bytes() == line("b")
    assert gzip.decompress(packed.read_bytes()) == line("b")


def test_old_torn_record_is_purged(path: Path, sink: JsonLinesSink) -> None:
    rest = TORN[:20] + b"\n" + line("b", time="2026-11-23T12:00:00.000Z")
    path.write_bytes(TORN + b"\n" + rest)
    assert sink.purge(NOW, timedelta(days=3)) == 0
    assert sink.purge(NOW, timedelta(days=2)) == 1
    assert path.read_bytes() == b" " * len(TORN) + b"\n" + rest


def test_large_file_is_searched_to_its_end(path: Path, sink: JsonLinesSink) -> None:
    filler = line("b", x="x" * 990) * 1500
    path.write_bytes(line("a", n=0) + filler + line("a", n=1) + filler + line("a", n=2))
    assert [record["n"] for record in sink.read("a")] == [0, 1, 2]
    assert sink.erase("a") == 3
    assert [record["visitor.id"] for record in records(path)] == ["b"] * 3000


def test_purge_removes_old_records_and_counts_and_dry_run_neither(path: Path, sink: JsonLinesSink) -> None:
    counts = path.with_name("access.counts.jsonl")
    times = ["2026-11-23T11:59:59.999Z", "2026-11-23T12:00:00.000Z", "2026-11-25T12:00:00.000Z"]
    for moment in times:
        sink.write(line("a", time=moment))
        sink.count(json.dumps({"time": moment}).encode() + b"\n")
    sink.close()
    for dry_run, left in ((True, times), (False, times[1:])):
        assert sink.purge(NOW, timedelta(days=2), dry_run=dry_run) == 1
        assert [[each["time"] for each in records(log)] for log in (path, counts)] == [left, left]
    assert sink.purge(NOW, timedelta(days=2)) == 0


def test_purge_closes_files_of_past_days_and_dry_run_does_not(path: Path) -> None:
    sink = JsonLinesSink(path, compress=None, clock=lambda: NOW)
    for log in (path, path.with_name("access.counts.jsonl")):
        log.write_bytes(line("a", time="2026-11-24T12:00:00.000Z"))
        os.utime(log, (NOW - 86_400, NOW - 86_400))
    for dry_run, end in ((True, ""), (False, "-2026-11-24-0001")):
        assert sink.purge(NOW, timedelta(days=1, seconds=1), dry_run=dry_run) == 0
        left = sorted(file.name for file in path.parent.glob("*.jsonl"))
        assert left == sorted([f"access{end}.jsonl", f"access.counts{end}.jsonl"])
