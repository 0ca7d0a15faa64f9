"""Tests of retention: due records are removed once a day, by the first process that looks."""

from __future__ import annotations

import logging
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.background import Retention
from cookie_consent.ledgers.chain import verify
from cookie_consent.policy.parts import RequestRules
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_log import purge
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Clock, Visitor, install, run
from tests.support.browsers.browser import forms
from tests.support.desk import help_desk_request
from tests.support.faulty_ledger import FaultyLedger
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import entry, new_id
from tests.support.waiting import eventually

HOUR, DAY = 3600, 86_400
RULES = RequestRules()
REMOVAL = '"event":"removed"'


def retention(ledger: Ledger) -> Retention:
    return Retention(ledger, RULES)


def run_if_due(job: Retention, now: float) -> None:
    job.run_if_due(now)
    job.wait()


def left(ledger: Ledger) -> int:
    """Return the number of records that are left, without removal records."""
    return sum(1 for link in ledger.links() if link.document and REMOVAL not in link.document)


def removals(ledger: Ledger) -> int:
    """Return the number of removal records."""
    return sum(1 for link in ledger.links() if link.document and REMOVAL in link.document)


def test_retention_runs_once_a_day() -> None:
    ledger = FaultyLedger()
    job = retention(ledger)
    job.wait()
    for seconds in (0, 1, DAY - 1, DAY, DAY + HOUR - 1, DAY + HOUR, 2 * DAY, 9 * DAY, 9 * DAY + 1, 15 * DAY):
        run_if_due(job, NOW + seconds)
    assert [int(now - NOW) for now in ledger.arguments("remove")] == [0, DAY + HOUR, 15 * DAY]


def test_clock_that_was_far_ahead_for_less_than_an_hour_removes_nothing() -> None:
    ledger = FaultyLedger()
    job = retention(ledger)
    for seconds in (0, 730 * DAY, 730 * DAY + HOUR - 1, 60, DAY, 730 * DAY, DAY + HOUR, 730 * DAY, 2 * DAY, 3 * DAY):
        run_if_due(job, NOW + seconds)
    assert [int(now - NOW) for now in ledger.arguments("remove")] == [0, 3 * DAY]


def test_retention_waits_a_day_after_run_of_another_process(ledger: Ledger) -> None:
    run(ledger.append(entry(keep_until=int(NOW))))
    ledger.remove(now=NOW - DAY + 1, make_id=new_id)
    run_if_due(retention(ledger), NOW)
    assert left(ledger) == 1
    run_if_due(retention(ledger), NOW + 1)
    assert left(ledger) == 0


def test_retention_runs_after_clock_was_ahead(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    job = retention(ledger)
    run_if_due(job, NOW + 365 * DAY)
    run(ledger.append(entry(keep_until=int(NOW))))
    run_if_due(job, NOW)
    run_if_due(job, NOW + HOUR)
    run_if_due(retention(ledger), NOW + HOUR)
    assert (left(ledger), removals(ledger)) == (0, 1)
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [
        "The clock was set back by 31532400 seconds: what is done once a day is done again.",
        *["Records were removed from the ledger at 2026-06-15T15:06:40Z: a host's clock was ahead, or the one here is "
          "behind. It counts as not done; records that were not due may be gone."] * 2,
    ]  # fmt: skip
    assert (ledger.last_removal(), ledger.last_removal(NOW + HOUR)) == (int(NOW) + 365 * DAY, int(NOW) + HOUR)


def test_processes_that_find_it_due_at_different_times_run_it_once(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = retention(ledger), retention(ledger)
    for job, seconds in ((first, 0), (second, 0), (first, DAY), (second, DAY + HOUR / 2)):
        run_if_due(job, NOW + seconds)
    run(ledger.append(entry(keep_until=int(NOW))))
    for job, seconds in ((second, DAY + HOUR * 3 / 2), (first, DAY + HOUR * 2)):
        run_if_due(job, NOW + seconds)
    assert (ledger.last_removal(), left(ledger), caplog.messages) == (int(NOW + DAY + HOUR * 3 / 2), 0, [])


def test_retention_tolerates_clock_skew() -> None:
    ledger = FaultyLedger()
    job, elsewhere = retention(ledger), retention(ledger)
    run_if_due(job, NOW + 299)
    run_if_due(job, NOW)
    run_if_due(elsewhere, NOW)
    assert len(ledger.arguments("remove")) == 1


def test_altered_record_is_not_removed_but_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cookie_consent")
    with closing(open_ledger(ledger_url(tmp_path))) as ledger:
        run(ledger.append(entry(keep_until=int(NOW))))
        with closing(sqlite3.connect(tmp_path / "consent.db")) as connection:
            connection.execute("DROP TRIGGER consent_records_stay")
            connection.execute("UPDATE consent_records SET decided_at = 1")
            connection.commit()
        run_if_due(retention(ledger), NOW)
        assert left(ledger) == 1
    assert [record.getMessage() for record in caplog.records if record.module == "background"] == [
        "Removed what is due from the ledger: 0 records, 0 texts, 0 policies, 0 requests, 0 addresses.",
        "Records that are due stay, since they are not as they were recorded: 1. Run: cookie-consent verify",
    ]


def test_erasure_does_not_count_as_retention_run(ledger: Ledger) -> None:
    run(ledger.append(entry("a", keep_until=int(NOW))))
    run(ledger.append(entry("b", keep_until=int(NOW))))
    ledger.remove(now=NOW - 1, make_id=new_id, consent_id="b")
    run_if_due(retention(ledger), NOW)
    assert left(ledger) == 0


@pytest.mark.slow
def test_concurrent_runs_remove_each_record_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    first = open_ledger(url)
    for number in range(50):
        run(first.append(entry(f"v-{number}", keep_until=int(NOW) + (number % 2) * 1_000_000)))
    ledgers = [first, *(open_ledger(url) for _ in range(3))]
    with ThreadPoolExecutor(len(ledgers)) as threads:
        list(threads.map(lambda ledger: retention(ledger).run(NOW), ledgers))
    assert left(first) == 25
    verified = verify(first.links())
    assert (verified.wrong, verified.removed) == (None, 25)
    assert removals(first) == 1
    for ledger in ledgers:
        ledger.close()


def test_run_if_due_does_not_wait_for_removal() -> None:
    goes_on, begun = threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        assert goes_on.wait(30)

    ledger = FaultyLedger(slowly, {"remove"})
    run(ledger.append(entry(keep_until=int(NOW))))
    job = retention(ledger)
    job.run_if_due(NOW)
    assert begun.wait(30)
    assert left(ledger) == 1
    goes_on.set()
    job.wait()
    assert left(ledger) == 0


def test_requests_are_purged_though_another_process_removed_records(ledger: Ledger) -> None:
    long_ago, lately = NOW - 2000 * DAY, NOW - 40 * DAY
    old, answered, waiting = (help_desk_request(created_at=int(long_ago), address="a@site.example") for _ in range(3))
    for request in (old, answered, waiting):
        ledger.requests.add(request)
    ledger.requests.end(old.reference, long_ago, "Here it is.")
    ledger.requests.end(answered.reference, lately, "Here it is.")
    ledger.remove(now=NOW - 1, make_id=new_id)
    run_if_due(retention(ledger), NOW)
    listed = {request.reference: request.address for request in ledger.requests.listed()}
    assert listed == {answered.reference: None, waiting.reference: "a@site.example"}


def test_failed_run_is_told_in_a_line_and_repeated_next_day(caplog: pytest.LogCaptureFixture) -> None:
    failures = [OSError("disk"), KeyError("bug")]

    def failing() -> None:
        if failures:
            raise failures.pop(0)

    ledger = FaultyLedger(failing, {"remove"})
    run(ledger.append(entry(keep_until=int(NOW))))
    job = retention(ledger)
    for seconds, records in ((0, 1), (60, 1), (DAY, 1), (3 * DAY, 0)):
        run_if_due(job, NOW + seconds)
        run_if_due(job, NOW + seconds + HOUR)
        assert left(ledger) == records
    assert caplog.messages == [
        f"What is due could not be removed from the ledger: {why}" for why in ("OSError disk", "KeyError 'bug'")
    ]


def retention_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "consent-retention"]


@pytest.mark.slow
def test_answer_triggers_removal_of_due_records(ledger: Ledger) -> None:
    clock = Clock()
    app = install(text=SITE + '\n[records]\nkeep = "10 days"\n', ledger=ledger, clock=clock)

    def answer() -> Visitor:
        visitor = Visitor(app)
        visitor.get(PREFIX)
        clock.forward(seconds=HOUR)
        visitor.send_form(forms(visitor.get(PREFIX).text)[0].pressed("accept_all"))
        for thread in retention_threads():
            thread.join(60)
        return visitor

    answer()
    clock.forward(days=193)
    answer()
    assert left(ledger) == 2
    clock.forward(days=1)
    answer()
    assert left(ledger) == 2
    assert verify(ledger.links()).wrong is None
    assert len([kind for kind, _, _ in ledger.cited() if kind == "texts"]) == 1


@pytest.mark.parametrize("path", ["/", PREFIX])
def test_visit_without_answer_triggers_retention(ledger: Ledger, path: str) -> None:
    clock = Clock()
    app = install(text=SITE + '\n[records]\nkeep = "10 days"\n', ledger=ledger, clock=clock)
    Visitor(app).accept()
    answered = help_desk_request(address="a@site.example")
    ledger.requests.add(answered)
    ledger.requests.end(answered.reference, NOW, "Here it is.")

    def left_after_a_visit(days: int) -> tuple[int, list[str | None]]:
        clock.forward(days=days)
        Visitor(app).get(path)
        clock.forward(seconds=HOUR)
        Visitor(app).get(path)
        for thread in retention_threads():
            thread.join(60)
        return left(ledger), [request.address for request in ledger.requests.listed()]

    assert left_after_a_visit(29) == (1, ["a@site.example"])
    assert left_after_a_visit(1) == (1, [None])
    assert left_after_a_visit(163) == (1, [None])
    assert left_after_a_visit(1) == (0, [None])


def test_answer_is_kept_when_retention_fails() -> None:
    def failing() -> None:
        raise OSError("disk")

    ledger = FaultyLedger(failing, {"remove"})
    assert Visitor(install(ledger=ledger)).accept().status == 200
    for thread in retention_threads():
        thread.join(60)
    assert len(ledger.arguments("remove")) == 1
    assert left(ledger) == 1


def test_traced_visits_trigger_sink_purge_once_a_day() -> None:
    sink, clock = CountingSink(), Clock()
    visitor = Visitor(install(access_log=sink, clock=clock), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    assert eventually(lambda: len(sink.times) == 1)
    clock.forward(days=1)
    visitor.get("/")
    clock.forward(seconds=HOUR)
    visitor.get("/")
    assert eventually(lambda: len(sink.times) == 2)
    visitor.get("/")
    assert sink.times[1] - sink.times[0] == DAY + HOUR


class CountingSink(MemorySink):
    """A sink that remembers the times of its purges."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        self.times.append(now)
        return super().purge(now, keep, dry_run=dry_run)


def test_failed_sink_purge_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = CountingSink()
    sink.records = None  # type: ignore[assignment]
    purge(sink, timedelta(days=1), NOW)
    assert "The access records that are due could not be removed: " in caplog.text
