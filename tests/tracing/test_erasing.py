"""Tests of erasing access records after a withdrawal: retries, notes on disk, and the end of a process."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.sinks import JsonLinesSink, MemorySink, Sink
from cookie_consent.sinks.erased import ErasedVisitors, hash_of
from cookie_consent.tracing import erasing as erasing_module
from cookie_consent.tracing.erasing import Erasing, Notes
from tests.sinks.test_buffered import MemoryStore, sink_to
from tests.support.asgi import PHONE, SITE, Clock, Visitor, install
from tests.support.waiting import eventually
from tests.tracing.test_counts import drive_lifespan

ERASE_ON_WITHDRAWAL = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
RESEARCH = """
[purposes.research]
title = { en = "Research", ja = "調査" }
description = { en = "We do research.", ja = "調査をします。" }
retention = "30 days"
traces = true
"""


class Erased(MemorySink):
    """A sink that lists the visitors whose records were erased. It can hold back erasures, and fail.

    Args:
        failures: how many erasures fail.
        error: with what.
    """

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self.failures = failures
        self.error = error or OSError("nobody answers")
        self.asked: list[str] = []
        self.erased: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def erase(self, visitor_id: str) -> int:
        self.asked.append(visitor_id)
        self.go_on.wait(60)
        if self.failures:
            self.failures -= 1
            raise self.error
        self.erased.append(visitor_id)
        return super().erase(visitor_id)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back erasures for the duration of a with block."""
        self.go_on.clear()
        try:
            yield
        finally:
            self.go_on.set()

    def sleep(self, _: float) -> None:
        """Sleep until the sink goes on, in place of a pause between two tries."""
        self.go_on.wait(60)


@pytest.fixture
def sink() -> Erased:
    return Erased()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the notes."""
    return tmp_path / "notes"


def notes(folder: Path) -> list[str]:
    """Return the visitors who have a note."""
    return sorted(path.name.removesuffix(".id") for path in folder.glob("*"))


def traced(sink: Erased, text: str = ERASE_ON_WITHDRAWAL, **options: Any) -> Visitor:
    """Return a visitor who granted all and has one access record."""
    visitor = Visitor(install(text=text, access_log=sink, **options), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    assert len(sink.records) == 1
    return visitor


def wait_for_erasures(visitor: Visitor) -> None:
    """Wait until the site has erased what it began to erase."""
    app: Any = visitor.app
    app._site.access_log.erasing.close()


# Which answers erase.


@pytest.mark.requirement("TR-09")
@pytest.mark.parametrize(
    ("text", "withdraw"),
    [
        (ERASE_ON_WITHDRAWAL, Visitor.refuse),
        (ERASE_ON_WITHDRAWAL, lambda visitor: visitor.save(media=True)),
        (ERASE_ON_WITHDRAWAL, lambda visitor: visitor.post({"choice": "refuse_all"}, [("dnt", "1")])),
        (ERASE_ON_WITHDRAWAL + RESEARCH, Visitor.refuse),
    ],
    ids=["refuse all", "refuse tracing", "refuse all with a signal", "one of two purposes promises it"],
)
def test_withdrawal_erases_access_records(text: str, withdraw: Callable[[Visitor], object], sink: Erased) -> None:
    visitor = traced(sink, text)
    withdraw(visitor)
    wait_for_erasures(visitor)
    assert "__Host-visitor" not in visitor.jar
    assert len(sink.erased) == 1
    assert sink.records == []


def _lose_visitor_id(visitor: Visitor) -> None:
    del visitor.jar["__Host-visitor"]
    visitor.refuse()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (SITE, Visitor.refuse),
        (ERASE_ON_WITHDRAWAL, _lose_visitor_id),
        (ERASE_ON_WITHDRAWAL + RESEARCH, lambda visitor: visitor.save(research=True)),
        (ERASE_ON_WITHDRAWAL, lambda visitor: visitor.post({"choice": "accept_all", "service": "whois"})),
        (
            ERASE_ON_WITHDRAWAL,
            lambda visitor: visitor.post({"choice": "save", "purposes": {"media": True}, "service": "whois"}),
        ),
    ],
    ids=["no promise", "no visitor id", "another tracing purpose", "service without tracing", "save on that service"],
)
def test_answer_erases_nothing(text: str, answer: Callable[[Visitor], object], sink: Erased) -> None:
    visitor = traced(sink, text)
    answer(visitor)
    wait_for_erasures(visitor)
    assert (len(sink.records), sink.erased) == (1, [])


def test_refusal_after_consent_expired_is_no_withdrawal(sink: Erased) -> None:
    clock = Clock()
    visitor = traced(sink, ERASE_ON_WITHDRAWAL + RESEARCH, clock=clock)
    clock.forward(days=200)
    assert visitor.refuse().status == 200
    wait_for_erasures(visitor)
    assert sink.erased == []


def test_withdrawal_without_access_log_succeeds() -> None:
    visitor = Visitor(install(text=ERASE_ON_WITHDRAWAL))
    visitor.accept()
    assert visitor.refuse().status == 200


@pytest.mark.parametrize(
    "log_at", [Path, JsonLinesSink, lambda path: sink_to(MemoryStore(), path)], ids=["path", "files", "spill"]
)
def test_erasure_notes_are_kept_beside_local_access_log(log_at: Callable[[Path], Path | Sink], tmp_path: Path) -> None:
    """The first answer continues with the notes that another process left there."""
    folder = tmp_path / "log.to-erase"
    Notes(folder).add("left")
    Visitor(install(text=ERASE_ON_WITHDRAWAL, access_log=log_at(tmp_path / "log"))).accept()
    assert eventually(lambda: notes(folder) == [])
    assert ErasedVisitors(tmp_path / "log.erased").hashes() == {hash_of("left")}


@pytest.mark.parametrize("is_late", [False, True], ids=["not written yet", "held by another process"])
def test_withdrawal_that_does_not_erase_keeps_earlier_records_and_no_late_ones(is_late: bool, tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    listed = ErasedVisitors(tmp_path / "access.jsonl.erased")
    visitor = Visitor(install(text=SITE, access_log=path, clock=time.time), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/just-before")
    if is_late:
        assert eventually(path.is_file)
    visitor.refuse()
    assert eventually(listed.path.is_file)
    (line,) = path.read_bytes().splitlines(keepends=True)
    other = JsonLinesSink(path)
    other.write(line)
    other.close()
    assert path.read_bytes() == line, "the earlier record stays, and the late one is not written"
    assert hash_of(json.loads(line)["visitor.id"]) not in listed.hashes()


# The queue.


def test_one_thread_erases_each_visitor_once(sink: Erased) -> None:
    before = {*threading.enumerate()}
    erasing = Erasing(sink)
    with sink.held():
        for number in [*range(100), *range(50, 100)]:
            erasing.start(str(number))
        threads = [thread.name for thread in {*threading.enumerate()} - before]
    erasing.close()
    assert sorted(map(int, {*sink.erased})) == list(range(100))
    assert len(sink.erased) <= 101, "who was in work when they came again is erased twice"
    assert threads.count("consent-erasing") == 1


@pytest.mark.logs_an_exception
def test_failed_erasure_is_logged_with_visitor_id_and_retried_after_the_others(
    sink: Erased, caplog: pytest.LogCaptureFixture
) -> None:
    sink.failures = 1
    erasing = Erasing(sink, sleep=lambda _: None)
    with sink.held():
        erasing.start("one")
        assert eventually(lambda: sink.asked == ["one"])
        erasing.start("two")
    assert eventually(lambda: sink.erased == ["two", "one"])
    assert "of visitor one, who withdrew, could not all be erased" in caplog.text


@pytest.mark.logs_an_exception
def test_failing_sink_is_retried_with_growing_pauses(sink: Erased, folder: Path) -> None:
    slept: list[float] = []
    erasing = Erasing(sink, folder, sleep=slept.append, jitter=lambda: 1.0)
    sink.failures = 10
    erasing.start("one")
    assert eventually(lambda: sink.erased == ["one"])
    assert slept == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert eventually(lambda: notes(folder) == [])
    sink.failures = 1
    erasing.start("two")
    assert eventually(lambda: sink.erased == ["one", "two"])
    assert slept[-1] == 5, "pauses start again after a success"


class FewThreads(threading.Thread):
    """A thread that cannot start, unless its name is allowed."""

    allowed = ("consent-erasing-notes",)

    def start(self) -> None:
        if self.name not in self.allowed:
            raise RuntimeError("can't start new thread")
        super().start()


@pytest.mark.logs_an_exception
@pytest.mark.parametrize("has_notes", [False, True])
def test_erasure_without_thread_runs_with_next_withdrawal(
    has_notes: bool, sink: Erased, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasing = Erasing(sink, folder if has_notes else None, new_thread=FewThreads, sleep=sink.sleep)
    erasing.start("one")
    assert "are erased later: no thread can be started" in caplog.text
    assert eventually(lambda: notes(folder) == ["one"] * has_notes)
    erasing.close()
    is_reported = "visitor one, who withdrew, are not all erased: the process ends" in caplog.text
    assert is_reported is not has_notes, "the next process finishes what is noted"
    monkeypatch.setattr(FewThreads, "allowed", ("consent-erasing-notes", "consent-erasing"))
    erasing.start("two")
    assert eventually(lambda: sorted(sink.erased) == ["one", "two"])


def test_withdrawal_beyond_queue_limit_is_logged(
    sink: Erased, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing_module, "MOST", 3)
    erasing = Erasing(sink)
    with sink.held():
        erasing.start("in work")
        assert eventually(lambda: sink.asked == ["in work"])
        for visitor in ("one", "two", "three", "three", "four"):
            erasing.start(visitor)
    erasing.close()
    assert sink.erased == ["in work", "one", "two", "three"]
    (said,) = caplog.messages
    assert "visitor four, who withdrew, are not all erased: too many others wait" in said


# The notes on disk.


def test_next_process_finishes_noted_erasures(sink: Erased, folder: Path) -> None:
    down = Erased()
    down.go_on.clear()
    ended = Erasing(down, folder)
    ended.start("one")
    ended.start("../two/\xe9")
    assert eventually(lambda: notes(folder) == ["..%2Ftwo%2F%C3%A9", "one"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(note.stat().st_mode) for note in folder.iterdir()] == [0o600] * 2
    (folder / "settled.id").write_bytes(b"settled\n")  # as an earlier version noted
    Erasing(sink, folder).run_if_due(1e9)
    assert eventually(lambda: sorted(sink.erased) == ["../two/\xe9", "one", "settled"])
    assert eventually(lambda: notes(folder) == [])
    down.go_on.set()


def test_erasure_done_by_another_process_is_not_repeated(sink: Erased, folder: Path) -> None:
    noted = Notes(folder)
    for visitor in ("one", "two"):
        noted.add(visitor)
    with sink.held():
        Erasing(sink, folder, jitter=lambda: 0.5).run_if_due(1e9)
        assert eventually(lambda: sink.asked)
        noted.remove({"one": "two", "two": "one"}[sink.asked[0]])
    assert eventually(lambda: notes(folder) == [])
    assert sink.erased == sink.asked


def test_unwritable_notes_give_one_warning_and_erasing_continues(
    sink: Erased, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("no folder")
    erasing = Erasing(sink, folder)
    erasing.run_if_due(1e9)
    with sink.held():
        erasing.start("one")
        erasing.start("two")
        assert eventually(lambda: "cannot be noted in" in caplog.text)
    assert eventually(lambda: sorted(sink.erased) == ["one", "two"])
    assert caplog.text.count("cannot be noted in") == 1


def test_number_of_notes_is_limited(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    noted = Notes(folder, most=2)
    for visitor in ("one", "two", "three"):
        noted.add(visitor)
    assert notes(folder) == ["one", "two"]
    assert "it holds 2 notes, which is the most that it may" in caplog.text


def test_note_remains_while_a_visitor_who_withdrew_again_waits(sink: Erased, folder: Path) -> None:
    erasing = Erasing(sink, folder)
    with sink.held():
        erasing.start("one")
        assert eventually(lambda: sink.asked == ["one"])
        erasing.start("one")
        assert eventually(lambda: notes(folder) == ["one"])
    assert eventually(lambda: sink.erased == ["one", "one"])
    assert eventually(lambda: notes(folder) == [])


def test_no_note_remains_that_is_written_while_the_erasure_ends(
    sink: Erased, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasing = Erasing(sink, folder)
    is_adding, is_removed, is_noted = threading.Event(), threading.Event(), threading.Event()

    class SlowNotes(Notes):
        def add(self, visitor_id: str) -> None:
            is_adding.set()
            is_removed.wait(20)
            super().add(visitor_id)

        def remove(self, visitor_id: str) -> None:
            super().remove(visitor_id)
            is_removed.set()
            if threading.current_thread().name == "consent-erasing":
                is_noted.wait(20)

    monkeypatch.setattr(erasing, "_notes", SlowNotes(folder))
    with sink.held():
        erasing.start("one")
        assert is_adding.wait(20)
    assert is_removed.wait(20)
    erasing._noting.wait(time.monotonic() + 20)
    is_noted.set()
    assert notes(folder) == []


def test_interrupted_erasure_keeps_its_note_and_logs_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Erased(1, duckdb.InterruptException("INTERRUPT Error: Interrupted!"))
    slept = threading.Event()
    go_on = threading.Event()

    def sleep(_: float) -> None:
        slept.set()
        go_on.wait(60)

    Erasing(sink, folder, sleep=sleep).start("one")
    assert slept.wait(20)
    assert eventually(lambda: notes(folder) == ["one"])
    assert caplog.text == ""
    go_on.set()
    assert eventually(lambda: notes(folder) == [])
    assert sink.erased == ["one"]


# The end of the process.


def run(script: str, *arguments: str | Path) -> tuple[str, str]:
    """Run a script in a process of its own, and return its output and its errors."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


ENDING = """
import sys, threading
from cookie_consent.tracing import erasing as erasing_module
from tests.tracing.test_erasing import Erased
erasing_module._CLOSE_TIMEOUT = 1
sink = Erased()
sink.go_on.clear()
erasing = erasing_module.Erasing(sink, sys.argv[1])
for number in range(40):
    erasing.start(str(number))
print("started", flush=True)
"""
GOING_ON = """
threading.Timer(0.2, sink.go_on.set).start()
erasing.close()
print(len(sink.erased))
"""
IN_DUCKDB = """
import sys, threading
from cookie_consent.tracing import erasing
from cookie_consent.sinks import MemorySink
from cookie_consent.sinks.files.parquet import engine

erasing._CLOSE_TIMEOUT = 0.1
started = threading.Event()

class Endless(MemorySink):
    def erase(self, visitor_id):
        with engine() as connection:
            while True:
                connection.execute("CREATE OR REPLACE TABLE t AS SELECT range AS x FROM range(20000)")
                started.set()
                connection.execute("SELECT count(*) FROM t WHERE x % 7 = 3").fetchall()

all_of_them = erasing.Erasing(Endless(), sys.argv[1])
for number in range(8):
    all_of_them.start(str(number))
started.wait()
"""
FORKED = """
import os
from cookie_consent.tracing.erasing import Erasing
from tests.tracing.test_erasing import Erased

sink = Erased()
sink.go_on.clear()
erasing = Erasing(sink)
for number in range(6):
    erasing.start(str(number))
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
    sink.go_on.set()
else:
    sink = erasing._sink = Erased()
    erasing.start("child")
    erasing.close()
    print(sorted({*sink.erased}), flush=True)
    os._exit(0)
"""


@pytest.mark.slow
def test_blocked_erasures_do_not_hold_up_process_exit(folder: Path) -> None:
    assert run(ENDING, folder) == ("started\n", "")
    assert sorted(map(int, notes(folder))) == list(range(40))


@pytest.mark.slow
def test_process_exit_during_duckdb_erasure_succeeds(folder: Path) -> None:
    output, errors = run(IN_DUCKDB, folder)
    assert output == ""
    assert "InterruptException" not in errors
    assert len(notes(folder)) == 8


@pytest.mark.slow
def test_close_waits_for_running_erasures(folder: Path) -> None:
    assert run(f"{ENDING}{GOING_ON}", folder)[0] == "started\n40\n"


@pytest.mark.slow
def test_forked_process_erases_only_for_its_own_withdrawals() -> None:
    assert run(FORKED)[0] == "['child']\n"


def test_server_shutdown_waits_for_running_erasures(sink: Erased) -> None:
    visitor = traced(sink)
    app: Any = visitor.app
    sink.go_on.clear()
    visitor.refuse()
    assert len(sink.records) == 1
    threading.Timer(0.2, sink.go_on.set).start()
    drive_lifespan(app)
    assert sink.records == []
