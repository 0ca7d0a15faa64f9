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
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import CannotEraseError, JsonLinesSink
from cookie_consent.sinks.files import sink
from tests.support.waiting import wait_until

NOW = 1_795_608_000.0
"""2026-11-25T12:00:00Z"""


def line(visitor: str, **more: object) -> bytes:
    return json.dumps({"visitor.id": visitor, **more}, ensure_ascii=False).encode() + b"\n"


def records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file. Lines of spaces are no records."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text.strip()]


def write(sink: JsonLinesSink, *lines: bytes) -> None:
    """Write lines and close the sink, which stores them if it can."""
    for each in lines:
        sink.write(each)
    sink.close()


def no_wait(_: float) -> None:
    """Do not sleep: no other process writes here."""


def run(script: str, *arguments: object) -> str:
    """Run a script in a process of its own, check that it exits with 0, and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_record_reaches_private_file_without_close(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    for number in range(3):
        sink.write(line("a", number=number))
        wait_until(lambda number=number: len(records(path)) == number + 1, ignoring=(OSError, ValueError))  # type: ignore[misc]
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_counts_are_written_to_their_own_file(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "access.jsonl")
    sink.count(b'{"count.value": 1}\n')
    write(sink, line("a"))
    assert records(tmp_path / "access.jsonl") == [{"visitor.id": "a"}]
    assert records(tmp_path / "access.counts.jsonl") == [{"count.value": 1}]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rotate_size": 0}, "rotate_size is a number of bytes, 1 at least, not 0"),
        ({"compress": "bzip2"}, "compress is \"gzip\" or None, not 'bzip2'"),
    ],
)
def test_wrong_argument_is_refused(wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        JsonLinesSink(tmp_path / "access.jsonl", **wrong)


# Several processes


@pytest.mark.slow
def test_ending_process_writes_waiting_records(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    program = 'import sys; from cookie_consent.sinks import open_sink; open_sink(sys.argv[1]).write(b"{}\\n")'
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=60)
    assert path.read_bytes() == b"{}\n"


_WRITER = """
import json, sys
from cookie_consent.sinks import JsonLinesSink
sink, visitor, count = JsonLinesSink(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for n in range(count):
    sink.write(json.dumps({"visitor.id": visitor, "n": n, "x": "x" * (n * 7 % 900)}).encode() + b"\\n")
    if n % 1000 == 0:
        sink.close()
"""


@pytest.mark.slow
def test_several_processes_share_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    writing = [subprocess.Popen([sys.executable, "-c", _WRITER, path, str(number), "3000"]) for number in range(3)]
    assert [process.wait(60) for process in writing] == [0, 0, 0]
    found = records(path)
    assert len(found) == 9000
    for number in range(3):
        assert [record["n"] for record in found if record["visitor.id"] == str(number)] == list(range(3000))


@pytest.mark.slow
def test_parent_and_forked_child_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    script = """
import os, sys
from cookie_consent.sinks import JsonLinesSink
sink = JsonLinesSink(sys.argv[1])
sink.write(b'{"visitor.id": "before"}\\n')
sink.close()
child = os.fork()
sink.write(b'{"visitor.id": "%s"}\\n' % (b"parent" if child else b"child"))
sink.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    run(script, path)
    assert sorted(record["visitor.id"] for record in records(path)) == ["before", "child", "parent"]


@pytest.mark.slow
def test_next_writer_starts_a_new_line_after_killed_writer(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    endless = _WRITER.replace("range(count)", "iter(int, 1)").replace("sink.close()", "pass")
    with subprocess.Popen([sys.executable, "-c", endless, path, "killed", "0"]) as process:
        try:
            wait_until(lambda: path.stat().st_size > 100_000, ignoring=(FileNotFoundError,))
        finally:
            process.kill()
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    assert all(json.loads(text)["visitor.id"] == "killed" for text in whole.splitlines())
    sink = JsonLinesSink(path)
    write(sink, line("after"))
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"visitor.id": "after"}


@pytest.mark.parametrize("running", [False, True])
def test_record_after_torn_line_is_whole(running: bool, tmp_path: Path) -> None:
    """The torn line comes before this writer starts, or while it runs."""
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    if running:
        write(sink, line("before"))
    with path.open("ab") as file:
        file.write(line("torn", path="/x")[:20])
    write(sink, line("after"), line("after"))
    lines = path.read_bytes().splitlines()
    assert lines[-3:] == [line("torn", path="/x")[:20], *[line("after").strip()] * 2]
    assert len(list(sink.read("after"))) == 2
    assert list(sink.read("torn")) == []


def test_writer_adds_no_newline_to_empty_or_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.touch()
    JsonLinesSink(path).close()
    for _ in range(2):
        sink = JsonLinesSink(path)
        write(sink, line("a"))
    assert path.read_bytes() == line("a") * 2


# Missing, unwritable and locked files


def test_writer_starts_new_file_after_rename(tmp_path: Path) -> None:
    path, rotated = tmp_path / "access.jsonl", tmp_path / "access.jsonl.1"
    sink = JsonLinesSink(path)
    write(sink, line("a", n=1))
    path.rename(rotated)
    write(sink, line("a", n=2))
    assert [record["n"] for record in records(rotated)] == [1]
    assert [record["n"] for record in records(path)] == [2]
    path.rename(rotated)
    path.touch()
    write(sink, line("a", n=3))
    assert [record["n"] for record in records(path)] == [3]


def test_removed_file_or_folder_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    sink = JsonLinesSink(path)
    for _ in range(2):
        write(sink, line("a"))
        assert len(records(path)) == 1
        path.unlink()
    path.parent.rmdir()
    write(sink, line("a"))
    assert len(records(path)) == 1


def _directory(path: Path) -> None:
    path.mkdir()


def _full_disk(path: Path) -> None:
    path.symlink_to("/dev/full")


def _pipe_without_reader(path: Path) -> None:
    os.mkfifo(path)


def _under_a_file(path: Path) -> None:
    path.symlink_to(path.parent / "file" / "x")
    (path.parent / "file").touch()


@pytest.mark.parametrize("trouble", [_directory, _full_disk, _pipe_without_reader, _under_a_file])
def test_records_wait_for_unwritable_path_with_one_warning(
    trouble: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "access.jsonl"
    trouble(path)
    sink = JsonLinesSink(path, sleep=no_wait)
    for number in range(3):
        write(sink, line("a", n=number))
    assert sink.stats()["waiting"] == 3
    assert "written" not in sink.stats()
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert str(path) in warning.getMessage()
    path.rmdir() if trouble is _directory else path.unlink()
    write(sink, line("a", n=3))
    assert [record["n"] for record in records(path)] == [0, 1, 2, 3]
    assert {name: number for name, number in sink.stats().items() if name != "retried"} == {"written": 4, "waiting": 0}


def test_records_wait_in_memory_for_impossible_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = JsonLinesSink(tmp_path / "access\0.jsonl")
    for _ in range(2):
        write(sink, line("a"))
    assert sink.stats()["waiting"] == 2
    assert len(caplog.records) == 1


def test_unwritable_counts_file_duplicates_no_record(tmp_path: Path) -> None:
    path, counts = tmp_path / "access.jsonl", tmp_path / "access.counts.jsonl"
    counts.mkdir()
    sink = JsonLinesSink(path)
    for number in range(3):
        sink.write(line("a", same="as the others"))
        sink.count(b'{"count.value": %d}\n' % number)
    sink.close()
    sink.close()
    assert len(records(path)) == 3
    counts.rmdir()
    write(sink, line("a", same="as the others"))
    assert records(path) == [{"visitor.id": "a", "same": "as the others"}] * 4
    assert [count["count.value"] for count in records(counts)] == [0, 1, 2]


@pytest.mark.slow
def test_batch_cut_by_full_disk_continues_where_it_stopped(tmp_path: Path) -> None:
    """A limit on file sizes replaces a full disk: a part of a batch is written, and even half a line."""
    script = """
import json, resource, sys
from cookie_consent.sinks import JsonLinesSink
sink = JsonLinesSink(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (10_000, 10_000, 10_010, 25_000, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    for n in range(40):
        sink.write(json.dumps({"visitor.id": "a", "n": [limit, n], "x": "x" * 150}).encode() + b"\\n")
    sink.close()
    print(json.dumps(dict(sink.stats())))
"""
    path = tmp_path / "access.jsonl"
    *stats, last = map(json.loads, run(script, path).splitlines())
    assert [stat["waiting"] > 0 for stat in stats] == [False, True, True, True]
    assert last["waiting"] == 0
    assert last["written"] == 200
    lines = path.read_bytes().splitlines()
    whole = [json.loads(text)["n"] for text in lines if text.endswith(b"}")]
    assert whole == [[limit, n] for limit in (10_000, 10_000, 10_010, 25_000, -1) for n in range(40)]
    assert len(lines) == len(whole), "what the disk took of a batch was taken back"


@pytest.mark.slow
def test_records_wait_for_unwritable_folder(tmp_path: Path) -> None:
    """The script gives up root, which may write everywhere."""
    script = """
import os, sys
from cookie_consent.sinks import JsonLinesSink
folder = sys.argv[1]
if os.geteuid() == 0:
    os.setuid(65534)
sink = JsonLinesSink(folder + "/access.jsonl")
sink.write(b'{"visitor.id": "a"}\\n')
sink.close()
print(sink.stats())
os.chmod(folder, 0o700)
sink.write(b'{"visitor.id": "a"}\\n')
sink.close()
print(sink.stats())
"""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        os.chmod(folder, 0o500)
        first, second = run(script, folder).splitlines()
        assert "'waiting': 1" in first
        assert "'written': 2" in second
        assert records(Path(folder) / "access.jsonl") == [{"visitor.id": "a"}] * 2


# Erasing and purging in the live file


def timed(visitor: str, time: float, **more: object) -> bytes:
    """Return the line of a record with a time."""
    text = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": text, "visitor.id": visitor, **more}).encode() + b"\n"


def test_late_record_of_an_erased_visitor_is_not_written(tmp_path: Path) -> None:
    """Another process holds it in memory, or the request still runs. What the visitor asks for later is written."""
    path, now = tmp_path / "access.jsonl", time.time()
    other, sink = JsonLinesSink(path), JsonLinesSink(path)
    write(sink, timed("a", now - 9, n=1), timed("b", now - 9, n=2))
    assert sink.erase("a") == 1
    for _ in range(2):
        write(other, timed("a", now - 1, n=3), timed("b", now - 1, n=4), timed("a", now + 9, n=5))
        other = JsonLinesSink(path)
    assert [record["n"] for record in records(path)] == [2, 4, 5, 4, 5]
    assert sink.erase("a") == 2
    write(other, timed("a", now - 1, n=6), timed("c", now - 1, n=7))
    assert [record["n"] for record in records(path)] == [2, 4, 4, 7]


def test_record_that_waits_for_the_file_during_an_erasure_is_not_written(tmp_path: Path) -> None:
    path, now = tmp_path / "access.jsonl", time.time()
    other, sink = JsonLinesSink(path), JsonLinesSink(path)
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


def test_erase_and_purge_leave_lines_that_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    others = (
        b'not json a\n["a"]\n{"visitor.id": "b", "x": {"visitor.id": "a"}}\n\n   \n\xff a\n{"time": 1}\n'
        b'{"visitor.id": "b", "x": "\\"visitor.id\\": \\"a\\"", "torn\n{"visitor.id": "a'
    )
    path.write_bytes(others)
    sink = JsonLinesSink(path, sleep=no_wait)
    assert sink.erase("a") == 0
    assert list(sink.read("a")) == []
    assert sink.purge(NOW, timedelta(0)) == 0
    assert path.read_bytes() == others


TORN = b'{"time":"2026-11-23T11:59:59.999Z","url.path":"/health","visitor.id":"a","client.addr'


@pytest.mark.parametrize(
    "end", [b"\n", b"", b"\n" + line("b")], ids=["newline follows", "end of file", "record follows"]
)
def test_torn_record_in_live_file_is_erased(end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.write_bytes(line("a") + line("b") + TORN + end)
    sink = JsonLinesSink(path, sleep=no_wait)
    assert sink.erase("a") == 2
    assert b"health" not in path.read_bytes()
    write(sink, line("c"))
    assert {record["visitor.id"] for record in records(path)} == {"b", "c"}


def test_torn_record_in_closed_file_is_erased(tmp_path: Path) -> None:
    plain, packed = tmp_path / "access-2026-11-23-0001.jsonl", tmp_path / "access-2026-11-23-0002.jsonl.gz"
    plain.write_bytes(line("b") + TORN)
    packed.write_bytes(gzip.compress(TORN + b"\n" + line("b")))
    sink = JsonLinesSink(tmp_path / "access.jsonl", sleep=no_wait)
    assert sink.erase("a") == 2
    assert plain.read_bytes() == line("b")
    assert gzip.decompress(packed.read_bytes()) == line("b")


def test_old_torn_record_is_purged(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.write_bytes(TORN + b"\n" + TORN[:20] + b"\n" + line("b", time="2026-11-23T12:00:00.000Z"))
    sink = JsonLinesSink(path)
    assert sink.purge(NOW, timedelta(days=3)) == 0
    assert sink.purge(NOW, timedelta(days=2)) == 1
    assert path.read_bytes().split(b"\n", 1)[0].isspace()
    assert path.read_bytes().split(b"\n", 1)[1].startswith(TORN[:20])


@pytest.mark.slow
def test_large_file_is_searched_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    filler = line("b", x="x" * 990) * 3000
    path.write_bytes(line("a", n=0) + filler + line("a", n=1) + filler + line("a", n=2))
    sink = JsonLinesSink(path, sleep=no_wait)
    assert [record["n"] for record in sink.read("a")] == [0, 1, 2]
    assert sink.erase("a") == 3
    assert {record["visitor.id"] for record in records(path)} == {"b"}
    assert len(records(path)) == 6000


def test_log_that_was_never_written_has_nothing_to_purge(tmp_path: Path) -> None:
    assert JsonLinesSink(tmp_path / "later" / "access.jsonl").purge(NOW, timedelta(days=3)) == 0


def test_purge_removes_old_records_and_dry_run_only_counts_them(tmp_path: Path) -> None:
    path, counts = tmp_path / "access.jsonl", tmp_path / "access.counts.jsonl"
    times = ["2026-11-23T11:59:59.999Z", "2026-11-23T12:00:00.000Z", "2026-11-25T12:00:00.000Z"]
    sink = JsonLinesSink(path)
    for moment in times:
        sink.write(line("a", time=moment))
        sink.count(json.dumps({"time": moment}).encode() + b"\n")
    sink.close()
    before = (path.read_bytes(), counts.read_bytes())
    assert sink.purge(NOW, timedelta(days=2), dry_run=True) == 1
    assert (path.read_bytes(), counts.read_bytes()) == before
    assert sink.purge(NOW, timedelta(days=2)) == 1
    assert [record["time"] for record in records(path)] == times[1:]
    assert [count["time"] for count in records(counts)] == times[1:]
    assert sink.purge(NOW, timedelta(days=2)) == 0


def test_purge_closes_file_of_past_day_and_dry_run_does_not(tmp_path: Path) -> None:
    path, day_before = tmp_path / "access.jsonl", NOW - 86_400
    now = [day_before]
    sink = JsonLinesSink(path, compress=None, clock=lambda: now[0])
    sink.write(line("a", time="2026-11-24T12:00:00.000Z"))
    sink.count(b'{"time": "2026-11-24T12:00:00.000Z"}\n')
    sink.close()
    now[0] = NOW
    for log in (path, tmp_path / "access.counts.jsonl"):
        os.utime(log, (day_before, day_before))
    assert sink.purge(NOW, timedelta(days=1, seconds=1), dry_run=True) == 0
    assert sorted(file.name for file in tmp_path.glob("*.jsonl")) == ["access.counts.jsonl", "access.jsonl"]
    assert sink.purge(NOW, timedelta(days=1, seconds=1)) == 0
    closed = sorted(file.name for file in tmp_path.glob("*-2026-11-24-*.jsonl"))
    assert closed == ["access-2026-11-24-0001.jsonl", "access.counts-2026-11-24-0001.jsonl"]


def test_erasing_from_locked_file_raises_cannot_erase_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "_PATIENCE", 0.1)
    path = tmp_path / "access.jsonl"
    path.write_bytes(line("a"))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CannotEraseError, match="in use by another process"):
            JsonLinesSink(path, sleep=no_wait).erase("a")
    assert JsonLinesSink(path, sleep=no_wait).erase("a") == 1
