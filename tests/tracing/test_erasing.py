"""Tests of erasing access records after a withdrawal: retries, notes on disk, and the end of a process."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import JsonLinesSink, MemorySink, Sink
from cookie_consent.sinks.erased import ErasedVisitors, hash_of
from cookie_consent.tracing.erasing import Erasing, Notes
from tests.sinks.test_buffered import MemoryStore, sink_to
from tests.support.asgi import PHONE, SITE, Clock, Visitor, install
from tests.support.waiting import LONGEST_WAIT, eventually
from tests.tracing.test_counts import drive_lifespan

ERASE_ON_WITHDRAWAL = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
RESEARCH = """
[purposes.research]
title = { en = "Research", ja = "調査" }
description = { en = "We do research.", ja = "調査をします。" }
retention = "30 days"
traces = true
"""
FOR_WHOIS = {"service": "whois"}  # a service that always refuses tracing


class Erased(MemorySink):
    """A sink that lists the visitors whose records were erased."""

    def __init__(self) -> None:
        super().__init__()
        self.erased: list[str] = []
        self._others = {*threading.enumerate()}

    def erase(self, visitor_id: str) -> int:
        self.erased.append(visitor_id)
        return super().erase(visitor_id)

    def all_erased(self) -> list[str]:
        """Return the visitors whose records were erased, once the threads that erase them have ended."""
        for thread in {*threading.enumerate()} - self._others:
            if thread.name == "consent-erasing":
                thread.join(60)
        return self.erased


def traced(text: str = ERASE_ON_WITHDRAWAL) -> tuple[Visitor, Erased]:
    """Return a visitor who granted all and has one access record."""
    sink = Erased()
    visitor = Visitor(install(text=text, access_log=sink), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    assert len(sink.records) == 1
    return visitor, sink


@pytest.mark.parametrize(
    "withdraw",
    [
        Visitor.refuse,
        lambda visitor: visitor.save(media=True),
        lambda visitor: visitor.post({"choice": "refuse_all"}, [("dnt", "1")]),
    ],
    ids=["refuse all", "refuse tracing", "refuse all with a signal"],
)
def test_withdrawal_erases_access_records(withdraw: Callable[[Visitor], object]) -> None:
    visitor, sink = traced()
    withdraw(visitor)
    assert "__Host-visitor" not in visitor.jar
    assert sink.all_erased()
    assert sink.records == []


@pytest.mark.parametrize("answer", [{"choice": "accept_all"}, {"choice": "save", "purposes": {"media": True}}])
def test_answer_for_service_without_tracing_erases_nothing(answer: dict[str, object]) -> None:
    visitor, sink = traced()
    visitor.post(answer | FOR_WHOIS)
    visitor.get("/")
    assert (len(sink.records), sink.all_erased()) == (2, [])


def test_visitor_with_another_tracing_purpose_keeps_records() -> None:
    visitor, sink = traced(ERASE_ON_WITHDRAWAL + RESEARCH)
    visitor.save(research=True)
    visitor.get("/")
    assert (len(sink.records), sink.all_erased()) == (2, [])


def test_nothing_is_erased_without_policy_option_or_visitor_id() -> None:
    visitor, sink = traced(SITE)
    visitor.refuse()
    assert (len(sink.records), sink.all_erased()) == (1, [])
    visitor, sink = traced()
    del visitor.jar["__Host-visitor"]
    visitor.refuse()
    assert sink.all_erased() == []


def test_withdrawing_the_only_purpose_that_promises_erasure_erases_records() -> None:
    visitor, sink = traced(ERASE_ON_WITHDRAWAL + RESEARCH)
    visitor.refuse()
    assert sink.all_erased()
    assert sink.records == []


def test_refusal_after_consent_expired_is_no_withdrawal() -> None:
    clock, sink = Clock(), Erased()
    visitor = Visitor(
        install(text=ERASE_ON_WITHDRAWAL + RESEARCH, access_log=sink, clock=clock), [("user-agent", PHONE)]
    )
    visitor.accept()
    visitor.get("/")
    clock.forward(days=200)
    assert visitor.refuse().status == 200
    assert sink.all_erased() == []


class Held(Erased):
    """A sink that blocks each erasure until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.is_asked, self.asked = threading.Event(), threading.Event(), ""

    def erase(self, visitor_id: str) -> int:
        self.asked = visitor_id
        self.is_asked.set()
        self.go_on.wait(60)
        return super().erase(visitor_id)


def test_one_thread_erases_each_visitor_once() -> None:
    sink, others = Held(), {*threading.enumerate()}
    erasing = Erasing(sink)
    for number in [*range(100), *range(50, 100)]:
        erasing.start(str(number))
    threads = sum(thread.name == "consent-erasing" for thread in {*threading.enumerate()} - others)
    sink.go_on.set()
    assert sorted(map(int, {*sink.all_erased()})) == list(range(100))
    assert len(sink.erased) <= 101, "who was in work when they came again is erased twice"
    assert threads == 1


@pytest.mark.logs_an_exception
def test_failed_erasure_is_logged_with_visitor_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Torn(Erased):
        is_over = threading.Event()

        def erase(self, visitor_id: str) -> int:
            if visitor_id == "one" and not self.is_over.is_set():
                raise OSError("the disk is torn")
            return super().erase(visitor_id)

    sink = Torn()

    def sleep(_: float) -> None:
        sink.is_over.wait(60)

    erasing = Erasing(sink, sleep=sleep)
    erasing.start("one")
    erasing.start("two")
    assert eventually(lambda: "of visitor one, who withdrew" in caplog.text)
    assert sink.erased == []
    sink.is_over.set()
    assert eventually(lambda: sorted(sink.erased) == ["one", "two"])
    assert "of visitor one, who withdrew, could not all be erased" in caplog.text


@pytest.mark.logs_an_exception
def test_erasure_without_thread_runs_with_next_withdrawal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = [True]

    class Thread(threading.Thread):
        def start(self) -> None:
            if full:
                raise RuntimeError("can't start new thread")
            super().start()

    sink = Erased()
    erasing = Erasing(sink, new_thread=Thread, sleep=lambda seconds: None)
    erasing.start("one")
    assert "are erased later: no thread can be started" in caplog.text
    erasing.close()
    assert "visitor one, who withdrew, are not all erased: the process ends" in caplog.text
    full.clear()
    erasing.start("two")
    assert eventually(lambda: sorted(sink.erased) == ["one", "two"])


def test_withdrawal_without_access_log_succeeds() -> None:
    app: ConsentMiddleware = install(text=ERASE_ON_WITHDRAWAL)
    visitor = Visitor(app)
    visitor.accept()
    assert visitor.refuse().status == 200


# Retries.


class Down(Erased):
    """A sink whose first tries to erase fail."""

    def __init__(self, tries: int) -> None:
        super().__init__()
        self.tries = tries

    def erase(self, visitor_id: str) -> int:
        self.tries -= 1
        if self.tries >= 0:
            raise OSError("nobody answers")
        return super().erase(visitor_id)


@pytest.mark.logs_an_exception
def test_failing_sink_is_retried_with_growing_pauses(tmp_path: Path) -> None:
    sink, slept = Down(10), list[float]()
    erasing = Erasing(sink, tmp_path / "notes", sleep=slept.append, jitter=lambda: 1.0)
    erasing.start("one")
    assert eventually(lambda: sink.erased == ["one"])
    assert slept == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert eventually(lambda: notes(tmp_path) == [])
    sink.tries = 1
    erasing.start("two")
    assert eventually(lambda: sink.erased == ["one", "two"])
    assert slept[-1] == 5, "pauses start again after a success"


# The notes on disk.


def notes(folder: Path) -> list[str]:
    """Return the visitors who have a note."""
    return sorted(path.name.removesuffix(".id") for path in folder.glob("notes/*"))


def never(_: float) -> None:
    """Sleep until the tests end."""
    threading.Event().wait()


@pytest.mark.logs_an_exception
def test_next_process_finishes_noted_erasures(tmp_path: Path) -> None:
    ended = Erasing(Down(1000), tmp_path / "notes", sleep=never)
    ended.start("one")
    ended.start("../two/\xe9")
    assert eventually(lambda: notes(tmp_path) == ["..%2Ftwo%2F%C3%A9", "one"])
    assert stat.S_IMODE((tmp_path / "notes").stat().st_mode) == 0o700
    assert [stat.S_IMODE(note.stat().st_mode) for note in (tmp_path / "notes").iterdir()] == [0o600] * 2
    (tmp_path / "notes" / "settled.id").write_bytes(b"settled\n")  # as an earlier version noted
    sink = Erased()
    Erasing(sink, tmp_path / "notes").run_if_due(1e9)
    assert eventually(lambda: sorted(sink.erased) == ["../two/\xe9", "one", "settled"])
    assert eventually(lambda: notes(tmp_path) == [])


def test_erasure_done_by_another_process_is_not_repeated(tmp_path: Path) -> None:
    noted, sink = Notes(tmp_path / "notes"), Held()
    for visitor in ("one", "two"):
        noted.add(visitor)
    erasing = Erasing(sink, tmp_path / "notes", jitter=lambda: 0.5)
    erasing.run_if_due(1e9)
    assert eventually(lambda: sink.is_asked.is_set())
    noted.remove({"one": "two", "two": "one"}[sink.asked])
    sink.go_on.set()
    assert eventually(lambda: notes(tmp_path) == [])
    assert sink.erased == [sink.asked]


def test_unwritable_notes_give_one_warning_and_erasing_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "notes").write_text("no folder")
    sink = Held()
    erasing = Erasing(sink, tmp_path / "notes", sleep=lambda seconds: None)
    erasing.run_if_due(1e9)
    erasing.start("one")
    erasing.start("two")
    assert eventually(lambda: "cannot be noted in" in caplog.text)
    sink.go_on.set()
    assert eventually(lambda: sorted(sink.erased) == ["one", "two"])
    assert caplog.text.count("cannot be noted in") == 1


def test_number_of_notes_is_limited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    noted = Notes(tmp_path / "notes", most=2)
    for visitor in ("one", "two", "three"):
        noted.add(visitor)
    assert notes(tmp_path) == ["one", "two"]
    assert "it holds 2 notes, which is the most that it may" in caplog.text


@pytest.mark.slow
def test_withdrawal_beyond_queue_limit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = Held()
    erasing = Erasing(sink)
    for number in range(10_100):  # the threads take a few of them
        erasing.start(str(number))
    assert "visitor 10099, who withdrew, are not all erased: too many others wait" in caplog.text
    assert erasing._noting.wait(time.monotonic() + LONGEST_WAIT) == []  # only a fork may come while a thread works
    erasing.after_fork()
    sink.go_on.set()


def test_note_remains_while_a_visitor_who_withdrew_again_waits(tmp_path: Path) -> None:
    sink = Held()
    erasing = Erasing(sink, tmp_path / "notes")
    erasing.start("one")
    assert sink.is_asked.wait(20)
    erasing.start("one")
    assert eventually(lambda: notes(tmp_path) == ["one"])
    sink.go_on.set()
    assert eventually(lambda: sink.erased == ["one", "one"])
    assert eventually(lambda: notes(tmp_path) == [])


def test_interrupted_erasure_keeps_its_note_and_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Interrupted(Erased):
        def erase(self, visitor_id: str) -> int:
            super().erase(visitor_id)
            raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")

    sink = Interrupted()
    Erasing(sink, tmp_path / "notes", sleep=never).start("one")
    assert eventually(lambda: (sink.erased, notes(tmp_path)) == (["one"], ["one"]))
    assert caplog.text == ""


# The end of the process.


def run(script: str, *arguments: str | Path) -> tuple[str, str]:
    """Run a script in a process of its own, and return its output and its errors."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


ENDING = """
import sys, threading
from cookie_consent.tracing.erasing import Erasing
from tests.tracing.test_erasing import Held
sink = Held()
erasing = Erasing(sink, sys.argv[1])
for number in range(40):
    erasing.start(str(number))
print("started", flush=True)
"""


@pytest.mark.slow
def test_blocked_erasures_do_not_hold_up_process_exit(tmp_path: Path) -> None:
    assert run(ENDING, tmp_path / "notes") == ("started\n", "")
    assert sorted(map(int, notes(tmp_path))) == list(range(40))


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


@pytest.mark.slow
def test_process_exit_during_duckdb_erasure_succeeds(tmp_path: Path) -> None:
    output, errors = run(IN_DUCKDB, tmp_path / "notes")
    assert output == ""
    assert "InterruptException" not in errors
    assert len(notes(tmp_path)) == 8


@pytest.mark.logs_an_exception
def test_noted_visitor_is_not_reported_as_unerased(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class NotesAlone(threading.Thread):
        def start(self) -> None:
            if self.name != "consent-erasing-notes":
                raise RuntimeError("can't start new thread")
            super().start()

    erasing = Erasing(Erased(), tmp_path / "notes", new_thread=NotesAlone)
    erasing.start("one")
    assert eventually(lambda: notes(tmp_path) == ["one"])
    erasing.close()
    assert "the process ends" not in caplog.text


@pytest.mark.slow
def test_close_waits_for_running_erasures(tmp_path: Path) -> None:
    script = f"{ENDING}\nthreading.Timer(0.2, sink.go_on.set).start()\nerasing.close()\nprint(len(sink.erased))"
    assert run(script, tmp_path / "notes")[0] == "started\n40\n"


def test_server_shutdown_waits_for_running_erasures() -> None:
    sink = Held()
    site = install(text=ERASE_ON_WITHDRAWAL, access_log=sink)
    visitor = Visitor(site, [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    visitor.refuse()
    assert len(sink.records) == 1
    threading.Timer(0.2, sink.go_on.set).start()
    drive_lifespan(site)
    assert sink.records == []


FORKED = """
import os
from cookie_consent.tracing.erasing import Erasing
from tests.tracing.test_erasing import Erased

class Parents(Erased):
    def erase(self, visitor_id):
        if os.getpid() == parent:
            os.read(to_read, 1)
        return super().erase(visitor_id)

parent, (to_read, to_write), sink = os.getpid(), os.pipe(), Parents()
erasing = Erasing(sink, sleep=lambda seconds: None)
for number in range(6):
    erasing.start(str(number))
child = os.fork()
if not child:
    erasing.start("child")
    erasing.close()
    print(sorted({*sink.erased}), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
os.close(to_write)
"""


@pytest.mark.slow
def test_forked_process_erases_only_for_its_own_withdrawals() -> None:
    assert run(FORKED)[0] == "['child']\n"


@pytest.mark.parametrize(
    "log_at", [Path, JsonLinesSink, lambda path: sink_to(MemoryStore(), path)], ids=["path", "files", "spill"]
)
def test_erasure_notes_are_kept_beside_local_access_log(log_at: Callable[[Path], Path | Sink], tmp_path: Path) -> None:
    site = install(text=ERASE_ON_WITHDRAWAL, access_log=log_at(tmp_path / "log"))
    (tmp_path / "log.to-erase").touch()  # a file in place of the folder: the note fails, and says where
    visitor = Visitor(site, [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    visitor.refuse()
    assert eventually(lambda: [*tmp_path.glob("log.erased")] != [])


def test_withdrawal_that_does_not_erase_keeps_what_its_process_had_not_written_yet(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    visitor = Visitor(install(text=SITE, access_log=path, clock=time.time), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/just-before")
    visitor.refuse()
    assert eventually(path.with_name("access.jsonl.erased").is_file)
    assert [json.loads(line)["url.path"] for line in path.read_bytes().splitlines()] == ["/just-before"]


def test_withdrawal_that_does_not_erase_keeps_late_records_of_other_processes_out(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    visitor = Visitor(install(text=SITE, access_log=path, clock=time.time), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    assert eventually(path.is_file)
    (line,) = path.read_bytes().splitlines(keepends=True)
    visitor.refuse()
    assert eventually(path.with_name("access.jsonl.erased").is_file)
    other = JsonLinesSink(path)
    other.write(line)
    other.close()
    assert path.read_bytes() == line, "the earlier record stays, and the late one is not written"
    assert hash_of(json.loads(line)["visitor.id"]) not in ErasedVisitors(tmp_path / "access.jsonl.erased").hashes()
