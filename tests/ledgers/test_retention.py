"""Tests of retention: due records are removed once a day, by the first process that looks."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from cookie_consent.base.clock import Daily
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.background import remove_due
from cookie_consent.policy.parts import RequestRules
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_log import purge
from tests.support.asgi import NOW, PHONE, PREFIX, SITE, Clock, Visitor, install, run
from tests.support.desk import help_desk_request
from tests.support.faulty_ledger import FaultyLedger
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import entry, new_id
from tests.support.waiting import eventually

HOUR, DAY = 3600, 86_400
FAR = 730 * DAY


def retention(ledger: Ledger) -> Daily:
    return Daily(partial(remove_due, ledger, RequestRules()))


def run_if_due(job: Daily, now: float) -> None:
    job.run_if_due(now)
    job.wait()


def left(ledger: Ledger) -> int:
    """Return the number of records that are left, without removal records."""
    return sum(1 for link in ledger.links() if link.document and '"event":"removed"' not in link.document)


@pytest.mark.parametrize(
    ("calls", "runs"),
    [
        (
            [0, 1, DAY - 1, DAY, DAY + HOUR - 1, DAY + HOUR, 2 * DAY, 9 * DAY, 9 * DAY + 1, 15 * DAY],
            [0, DAY + HOUR, 15 * DAY],
        ),
        # A clock that is far ahead for less than an hour.
        (
            [0, 730 * DAY, 730 * DAY + HOUR - 1, 60, DAY, 730 * DAY, DAY + HOUR, 730 * DAY, 2 * DAY, 3 * DAY],
            [0, 3 * DAY],
        ),
        ([299, 0, -1], [299]),  # clocks differ by some minutes
    ],
)
def test_retention_runs_once_a_day(calls: list[int], runs: list[int]) -> None:
    ledger = FaultyLedger()
    job = retention(ledger)
    job.wait()
    for seconds in calls:
        run_if_due(job, NOW + seconds)
    assert [int(now - NOW) for now in ledger.arguments("remove")] == runs
    run_if_due(retention(ledger), NOW + calls[-1])
    assert len(ledger.arguments("remove")) == len(runs), "another process need not run it again"


def test_retention_waits_a_day_after_run_of_another_process(ledger: Ledger) -> None:
    for consent_id in "ab":
        run(ledger.append(entry(consent_id, keep_until=int(NOW))))
    ledger.remove(now=NOW - DAY + 1, make_id=new_id)
    ledger.remove(now=NOW, make_id=new_id, consent_id="b")  # an erasure is no such run
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
    assert left(ledger) == 0
    assert caplog.messages == [
        "The clock was set back by 31532400 seconds: what is done once a day is done again.",
        "Records were removed from the ledger at 2026-06-15T15:06:40Z: a host's clock was ahead, or the one here is "
        "behind. It counts as not done; records that were not due may be gone.",
    ]


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
    old, answered, waiting = (help_desk_request(address="a@site.example") for _ in range(3))
    for request, days in ((old, 2000), (answered, 40), (waiting, 0)):
        ledger.requests.add(request)
        if days:
            ledger.requests.end(request.reference, NOW - days * DAY, "Here it is.")
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


# Sites.


def wait_for_retention() -> None:
    for thread in threading.enumerate():
        if thread.name == "consent-retention":
            thread.join(60)


@pytest.mark.parametrize("path", ["/", PREFIX, None])
def test_visits_and_answers_begin_retention(ledger: Ledger, path: str | None) -> None:
    clock = Clock()
    app = install(text=SITE + '\n[records]\nkeep = "10 days"\n', ledger=ledger, clock=clock)
    Visitor(app).accept()
    answered = help_desk_request(address="a@site.example")
    ledger.requests.add(answered)
    ledger.requests.end(answered.reference, NOW, "Here it is.")

    def left_after(days: int) -> tuple[int, list[str | None]]:
        clock.forward(days=days)
        for seconds in (HOUR, 0):
            visitor = Visitor(app)
            visitor.get(path) if path else visitor.refuse()
            clock.forward(seconds=seconds)
        wait_for_retention()
        return left(ledger), [request.address for request in ledger.requests.listed()]

    answers = 0 if path else 2
    assert left_after(29) == (1 + answers, ["a@site.example"])
    assert left_after(1) == (1 + 2 * answers, [None])
    assert left_after(163) == (1 + 3 * answers, [None])
    assert left_after(1) == (4 * answers, [None])


def test_answer_is_kept_when_retention_fails() -> None:
    ledger = FaultyLedger(OSError("disk"), {"remove"})
    assert Visitor(install(ledger=ledger)).accept().status == 200
    wait_for_retention()
    assert (len(ledger.arguments("remove")), left(ledger)) == (1, 1)


@pytest.mark.requirement("LP-07")
def test_traced_visits_begin_the_purge_of_access_records() -> None:
    sink, clock = MemorySink(), Clock()
    visitor = Visitor(install(access_log=sink, clock=clock), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/first")
    for seconds in (31 * DAY, HOUR):
        clock.forward(seconds=seconds)
        visitor.get("/later")
    assert eventually(lambda: [record["url.path"] for record in sink.records] == ["/later"] * 2)


def test_failed_sink_purge_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = MemorySink()
    sink.records = None  # type: ignore[assignment]
    purge(sink, timedelta(days=1), NOW)
    assert "The access records that are due could not be removed: " in caplog.text
