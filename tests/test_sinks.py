"""Where access records flow: what every sink does, and what the file does when it is in trouble."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cookie_consent.sinks import JsonLinesSink, MemorySink, Sink, open_sink
from cookie_consent.sinks.batch import BatchWriter


def line(visitor: str, **more: object) -> bytes:
    return json.dumps({"visitor.id": visitor, **more}, ensure_ascii=False).encode() + b"\n"


def records(path: Path) -> list[dict[str, object]]:
    """Read a file as any reader does: lines of spaces are no records."""
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines() if text.strip()]


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what another thread or process does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


# What every sink does.


@pytest.fixture(params=["memory", "jsonl"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return MemorySink() if request.param == "memory" else JsonLinesSink(tmp_path / "a" / "b" / "access.jsonl", _no_wait)


def _no_wait(_: float) -> None:
    """No other process writes here."""


def test_a_sink_is_one(sink: Sink) -> None:
    assert isinstance(sink, Sink)


def test_what_is_written_can_be_read_for_each_visitor_in_order(sink: Sink) -> None:
    for number in range(600):
        sink.write(line(f"visitor-{number % 2}", number=number, text="訪問 \u2028 \"'\\"))
    found = list(sink.read("visitor-1"))
    assert [record["number"] for record in found] == list(range(1, 600, 2))
    assert found[0]["text"] == "訪問 \u2028 \"'\\"
    assert list(sink.read("visitor-3")) == []
    assert list(sink.read("visitor-")) == []


def test_closing_brings_all_to_its_place_and_writing_may_go_on(sink: Sink) -> None:
    sink.close()
    sink.write(line("a"))
    sink.close()
    sink.close()
    assert sink.stats()["written"] == 1
    sink.write(line("a"))
    sink.close()
    assert sink.stats()["written"] == 2
    assert len(list(sink.read("a"))) == 2


def test_a_visitors_records_can_be_erased_and_no_others(sink: Sink) -> None:
    for visitor in ("a", "b", "a", "ab", "b"):
        sink.write(line(visitor, said="a"))
    assert sink.erase("a") == 2
    assert sink.erase("a") == 0
    assert list(sink.read("a")) == []
    assert len(list(sink.read("b"))) == 2
    assert len(list(sink.read("ab"))) == 1
    sink.write(line("a", said="later"))
    assert [record["said"] for record in sink.read("a")] == ["later"]


def test_a_sink_without_records_has_none(sink: Sink) -> None:
    assert list(sink.read("a")) == []
    assert sink.erase("a") == 0
    assert sink.stats().get("written", 0) == 0


@pytest.mark.parametrize("target", ["{}/access.jsonl", "file://{}/access.jsonl"])
def test_a_sink_is_opened_by_path_or_url(target: str, tmp_path: Path) -> None:
    opened = open_sink(target.format(tmp_path))
    opened.write(line("a"))
    opened.close()
    assert records(tmp_path / "access.jsonl") == [{"visitor.id": "a"}]


@pytest.mark.parametrize("target", ["http://site.example/log", "kafka://x", "memory://"])
def test_a_url_that_no_sink_is_for_is_refused_at_the_start(target: str) -> None:
    with pytest.raises(ValueError, match="there is no sink for"):
        open_sink(target)


# The file.


def test_a_record_reaches_the_file_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    for number in range(3):
        sink.write(line("a", number=number))
        until(lambda number=number: path.exists() and len(records(path)) == number + 1)  # type: ignore[misc]
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_several_processes_share_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    writing = [subprocess.Popen([sys.executable, "-c", _WRITER, path, str(number), "3000"]) for number in range(3)]
    assert [process.wait(60) for process in writing] == [0, 0, 0]
    found = records(path)
    assert len(found) == 9000
    for number in range(3):
        assert [record["n"] for record in found if record["visitor.id"] == str(number)] == list(range(3000))


_WRITER = """
import json, sys
from cookie_consent.sinks import JsonLinesSink
sink, visitor, count = JsonLinesSink(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for n in range(count):
    sink.write(json.dumps({"visitor.id": visitor, "n": n, "x": "x" * (n * 7 % 900)}).encode() + b"\\n")
    if n % 1000 == 0:
        sink.close()
"""


def test_a_writer_that_is_killed_costs_at_most_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    endless = _WRITER.replace("range(count)", "iter(int, 1)").replace("sink.close()", "pass")
    with subprocess.Popen([sys.executable, "-c", endless, path, "killed", "0"]) as process:
        until(lambda: path.exists() and path.stat().st_size > 100_000)
        process.send_signal(signal.SIGKILL)
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    assert all(json.loads(text)["visitor.id"] == "killed" for text in whole.splitlines())
    sink = JsonLinesSink(path)
    sink.write(line("after"))
    sink.close()
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"visitor.id": "after"}


@pytest.mark.parametrize("running", [False, True])
def test_a_torn_last_line_spoils_no_record_that_follows(running: bool, tmp_path: Path) -> None:
    """Whether the writer starts after another one was torn from its line, or was at work all the time."""
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    if running:
        sink.write(line("before"))
        sink.close()
    with path.open("ab") as file:
        file.write(line("torn", path="/x")[:20])
    sink.write(line("after"))
    sink.write(line("after"))
    sink.close()
    lines = path.read_bytes().splitlines()
    assert lines[-3:] == [line("torn", path="/x")[:20], *[line("after").strip()] * 2]
    assert len(list(sink.read("after"))) == 2
    assert list(sink.read("torn")) == []


def test_an_empty_file_and_a_whole_last_line_are_not_torn(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.touch()
    JsonLinesSink(path).close()
    for _ in range(2):
        sink = JsonLinesSink(path)
        sink.write(line("a"))
        sink.close()
    assert path.read_bytes() == line("a") * 2


def test_a_file_that_is_renamed_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path, rotated = tmp_path / "access.jsonl", tmp_path / "access.jsonl.1"
    sink = JsonLinesSink(path)
    sink.write(line("a", n=1))
    sink.close()
    path.rename(rotated)
    sink.write(line("a", n=2))
    sink.close()
    assert [record["n"] for record in records(rotated)] == [1]
    assert [record["n"] for record in records(path)] == [2]
    path.rename(rotated)
    path.touch()
    sink.write(line("a", n=3))
    sink.close()
    assert [record["n"] for record in records(path)] == [3]


def test_a_file_or_folder_that_is_removed_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    sink = JsonLinesSink(path)
    for _ in range(2):
        sink.write(line("a"))
        sink.close()
        assert len(records(path)) == 1
        path.unlink()
    path.parent.rmdir()
    sink.write(line("a"))
    sink.close()
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
def test_an_unwritable_place_costs_records_counted_and_one_warning(
    trouble: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "access.jsonl"
    trouble(path)
    sink = JsonLinesSink(path, _no_wait)
    for _ in range(3):
        sink.write(line("a"))
        sink.close()
    assert sink.stats() == {"dropped_unwritable": 3}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(path) in record.getMessage()
    assert list(sink.read("a")) == []
    assert sink.erase("a") == 0
    path.rmdir() if trouble is _directory else path.unlink()
    sink.write(line("b"))
    sink.close()
    assert sink.stats() == {"dropped_unwritable": 3, "written": 1}
    assert records(path) == [{"visitor.id": "b"}]


def test_each_new_trouble_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    for _ in range(2):
        path.mkdir()
        for _ in range(2):
            sink.write(line("a"))
            sink.close()
        path.rmdir()
        sink.write(line("a"))
        sink.close()
        path.unlink()
    assert len(caplog.records) == 2
    assert sink.stats() == {"dropped_unwritable": 4, "written": 2}


def test_a_path_that_no_file_can_have_costs_records_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    sink = JsonLinesSink("access\0.jsonl")
    for _ in range(2):
        sink.write(line("a"))
        sink.close()
    assert sink.stats() == {"dropped_unwritable": 2}
    assert len(caplog.records) == 1


def test_a_pipe_whose_reader_stalls_costs_records_and_goes_on_with_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "access.fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        sink = JsonLinesSink(path, _no_wait)
        sent = 0
        while not sink.stats().get("dropped_unwritable"):
            for _ in range(10):  # more than a pipe takes at once or not at all
                sink.write(line("a", n=sent, x="x" * 997))
                sent += 1
            sink.close()
        assert sent < 1000  # a pipe holds 64 KiB
        read = os.read(reader, 1_000_000)
        assert not read.endswith(b"\n")
        sink.write(line("b"))
        sink.write(line("b"))
        sink.close()
        read += os.read(reader, 1_000_000)
    finally:
        os.close(reader)
    *whole, torn, first, second = read.splitlines()
    assert [json.loads(text)["n"] for text in whole] == list(range(len(whole)))
    assert line("a", n=len(whole), x="x" * 997).startswith(torn)
    assert [json.loads(first), json.loads(second)] == [{"visitor.id": "b"}] * 2


def test_a_pipe_that_lost_its_reader_fails_no_writer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "access.fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = JsonLinesSink(path)
    sink.write(line("a"))
    sink.close()
    assert os.read(reader, 1000) == line("a")
    os.close(reader)
    sink.write(line("a"))
    sink.close()
    assert sink.stats() == {"written": 1, "dropped_unwritable": 1}
    assert len(caplog.records) == 1


# Erasing in a shared file.


def test_what_another_process_still_held_is_erased_too(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    other = JsonLinesSink(path)
    waited: list[float] = []

    def others_write(seconds: float) -> None:
        waited.append(seconds)
        other.write(line("a", n=2))
        other.write(line("b", n=2))
        other.close()

    sink = JsonLinesSink(path, others_write)
    sink.write(line("a", n=1))
    sink.write(line("b", n=1))
    assert sink.erase("a") == 2
    assert waited[0] >= 1
    assert records(path) == [{"visitor.id": "b", "n": 1}, {"visitor.id": "b", "n": 2}]
    other.write(line("c"))
    other.close()
    assert len(records(path)) == 3


def test_lines_that_are_no_records_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    others = b'not json a\n["a"]\n{"visitor.id": "b", "x": "a"}\n\n   \n\xff a\n' + b'{"visitor.id": "a", "torn'
    path.write_bytes(others)
    sink = JsonLinesSink(path, _no_wait)
    assert sink.erase("a") == 0
    assert list(sink.read("a")) == []
    assert path.read_bytes() == others


def test_a_file_that_is_renamed_while_records_are_erased_is_not_mixed_up_with_the_new_one(tmp_path: Path) -> None:
    path, rotated = tmp_path / "access.jsonl", tmp_path / "access.jsonl.1"

    def rotate(_: float) -> None:
        path.rename(rotated)
        path.write_bytes(line("b") * 2 + line("a"))

    sink = JsonLinesSink(path, rotate)
    sink.write(line("a"))
    sink.write(line("b"))
    assert sink.erase("a") >= 1
    assert records(rotated) == [{"visitor.id": "b"}]
    assert [record for record in records(path) if record["visitor.id"] == "b"] == [{"visitor.id": "b"}] * 2


# The batches.


class Slow:
    """A place that takes batches only as long as it is let."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.open, self.asked = threading.Event(), threading.Event()

    def __call__(self, batch: list[bytes]) -> None:
        self.asked.set()
        self.open.wait()
        self.batches.append(batch)


def test_lines_go_in_batches_and_in_order() -> None:
    slow = Slow()
    slow.open.set()
    writer = BatchWriter(slow, "somewhere")
    lines = [b"%d\n" % number for number in range(5000)]
    for text in lines:
        writer.put(text)
    writer.close()
    assert [text for batch in slow.batches for text in batch] == lines
    assert max(map(len, slow.batches)) <= 256
    assert len(slow.batches) <= 500
    assert writer.counts == {"written": 5000}


def test_a_full_batch_is_not_waited_with() -> None:
    slow = Slow()
    writer = BatchWriter(slow, "somewhere")
    for _ in range(257):
        writer.put(b"x\n")
    assert slow.asked.wait(20)
    slow.open.set()
    writer.close()
    assert writer.counts == {"written": 257}


def test_a_place_that_stalls_makes_nobody_wait_and_costs_what_is_too_much() -> None:
    slow = Slow()
    writer = BatchWriter(slow, "somewhere")
    writer.put(b"first\n")
    assert slow.asked.wait(20)
    for _ in range(12_000):
        writer.put(b"x\n")
    assert writer.counts == {"dropped_full": 2000}
    slow.open.set()
    writer.close()
    assert writer.counts == {"dropped_full": 2000, "written": 10_001}
    writer.put(b"later\n")
    writer.close()
    assert slow.batches[-1] == [b"later\n"]


def test_closing_ends_though_the_place_stalls() -> None:
    slow = Slow()
    writer = BatchWriter(slow, "somewhere")
    writer.put(b"x\n")
    assert slow.asked.wait(20)
    writer.close()
    assert writer.counts == {}
    slow.open.set()
    writer.close()
    assert writer.counts == {"written": 1}


def test_many_threads_may_write() -> None:
    slow = Slow()
    slow.open.set()
    writer = BatchWriter(slow, "somewhere")

    def put_many() -> None:
        for _ in range(500):
            writer.put(b"x\n")

    threads = [threading.Thread(target=put_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    until(lambda: writer.counts["written"] == 4000)


def test_a_process_that_ends_writes_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    program = 'import sys; from cookie_consent.sinks import open_sink; open_sink(sys.argv[1]).write(b"{}\\n")'
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=60)
    assert path.read_bytes() == b"{}\n"
