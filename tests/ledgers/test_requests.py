"""Tests of the stores of requests: the behaviour that all share, and what databases add."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError

from cookie_consent.base.clock import HOUR
from cookie_consent.ledgers import Ledger, MemoryLedger, Purged, Requests, open_ledger
from cookie_consent.ledgers.desk_request import DeskRequest, NotStored
from cookie_consent.ledgers.requests import (
    MAX_BEFORE_STRANGERS_WAIT,
    MAX_OPEN,
    MAX_PER_DAY,
    MAX_PER_HOUR,
)
from cookie_consent.ledgers.tables import REQUESTS
from cookie_consent.policy.declarations import RequestRules
from tests.support.asgi import run
from tests.support.desk import DAY, help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.policies import NOW
from tests.support.servers.postgres import PrivateServer

RULES = RequestRules(keep_address=timedelta(days=30), keep=timedelta(days=100))
Opened = Callable[[], Ledger]


@pytest.fixture
def open_database(url: str) -> Iterator[Opened]:
    """A function that opens another ledger on the database."""
    opened: list[Ledger] = []

    def open_again() -> Ledger:
        opened.append(open_ledger(url))
        return opened[-1]

    yield open_again
    for ledger in opened:
        ledger.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Requests]:
    ledger: Ledger = MemoryLedger()
    if request.param == "sqlite":
        ledger = open_ledger(ledger_url(tmp_path))
    elif request.param == "postgresql":
        ledger = open_ledger(request.getfixturevalue("postgres_url"))
    yield ledger.requests
    ledger.close()


def kept(store: Requests, **changes: Any) -> DeskRequest:
    """Keep a request, and return it."""
    request = help_desk_request(**changes)
    assert run(store.add(request)) is None
    return request


# All stores.


def test_request_is_found_unchanged(store: Requests) -> None:
    request = kept(store, address="me@home.example", consent_id="c", kind="complain", language="ja")
    assert run(store.find(request.reference)) == request
    assert run(store.find("R-2222-2222")) is None
    assert run(store.find("")) is None


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE consent_requests; --", "訪問 🧑‍🚀", "100 % {x} \\ :y", "a\n\tb", "a" * 4000]
)
def test_special_characters_are_kept_unchanged(store: Requests, text: str) -> None:
    request = kept(store, text=text, consent_id=text)
    assert run(store.of(text)) == [request]
    assert store.answer(request.reference, text, NOW)
    found = run(store.find(request.reference))
    assert (found.text, found.answer) == (text, text)


def test_requests_of_visitor_are_listed_newest_first(store: Requests) -> None:
    first = kept(store, consent_id="a")
    kept(store, consent_id="b")
    kept(store)
    second = kept(store, consent_id="a", created_at=NOW + 1)
    assert run(store.of("a")) == [second, first]
    assert run(store.of("c")) == []
    assert run(store.of("\0")) == []
    assert store.export("a") == [second.document(), first.document()]


def test_duplicate_reference_is_rejected(store: Requests) -> None:
    request = kept(store)
    with pytest.raises((KeyError, DBAPIError)):
        run(store.add(help_desk_request(reference=request.reference, text="Another.")))
    assert run(store.find(request.reference)) == request


def test_form_makes_only_one_request(store: Requests) -> None:
    request = kept(store)
    assert run(store.add(help_desk_request(form=request.form))) == NotStored(0)
    assert len(store.listed()) == 1


def test_open_requests_of_visitor_are_limited(store: Requests) -> None:
    requests = [kept(store, consent_id="a") for _ in range(MAX_OPEN)]
    assert run(store.add(help_desk_request(consent_id="a"))) == NotStored(DAY)
    kept(store, consent_id="b")
    kept(store)
    store.close(requests[0].reference, NOW)
    kept(store, consent_id="a")
    assert run(store.add(help_desk_request(consent_id="a", created_at=NOW + 300 * DAY))) == NotStored(DAY)


def test_requests_of_visitor_are_limited_per_day(store: Requests) -> None:
    for number in range(MAX_PER_DAY):
        store.answer(kept(store, consent_id="a", created_at=NOW + number).reference, "This.", NOW)
    late = NOW + 100
    assert run(store.add(help_desk_request(consent_id="a", created_at=late))) == NotStored(DAY - 100)
    kept(store, consent_id="b", created_at=late)
    assert run(store.add(help_desk_request(consent_id="a", created_at=NOW + DAY - 1))) == NotStored(1)
    kept(store, consent_id="a", created_at=NOW + DAY)


@pytest.mark.each_value(at_most=1)
@pytest.mark.slow
def test_hourly_limit_is_lower_for_new_visitors(store: Requests) -> None:
    for number in range(MAX_BEFORE_STRANGERS_WAIT):
        kept(store, created_at=NOW + number, consent_id=f"c{number}")
    late = NOW + 500
    for consent_id in (None, "new"):
        assert run(store.add(help_desk_request(consent_id=consent_id, created_at=late))) == NotStored(HOUR - 500)
    for number in range(MAX_BEFORE_STRANGERS_WAIT, MAX_PER_HOUR):
        request = help_desk_request(created_at=NOW + number, consent_id=f"c{number}")
        assert run(store.add(request, age=7 * DAY)) is None
    assert run(store.add(help_desk_request(consent_id="known", created_at=late), age=7 * DAY)) == NotStored(HOUR - 500)
    assert run(store.add(help_desk_request(consent_id="known", created_at=NOW + HOUR), age=7 * DAY)) is None
    then = NOW + HOUR + MAX_PER_HOUR - MAX_BEFORE_STRANGERS_WAIT
    assert run(store.add(help_desk_request(created_at=then))) == NotStored(1)
    assert run(store.add(help_desk_request(created_at=then + 1))) is None


@pytest.mark.each_value(at_most=1)
@pytest.mark.slow
def test_hourly_limit_grows_with_age_of_consent(store: Requests) -> None:
    """Consents of each age can fill only their own share of the limit."""
    count = 0
    for age in (0, 600, DAY, 7 * DAY, 30 * DAY):
        share = 0
        while run(store.add(help_desk_request(created_at=NOW + count, consent_id=f"c{count}"), age=age)) is None:
            count, share = count + 1, share + 1
        assert share == {0: 100, 600: 40, DAY: 30, 7 * DAY: 30, 30 * DAY: 0}[age]
        assert run(
            store.add(help_desk_request(created_at=NOW + count, consent_id="another"), age=age - 1 if age else 0)
        )


@pytest.mark.slow
def test_requests_dated_in_future_do_not_count_towards_limits(store: Requests) -> None:
    for number in range(MAX_BEFORE_STRANGERS_WAIT):
        answered = kept(store, created_at=NOW + 365 * DAY, consent_id=f"c{number % 20}")
        store.answer(answered.reference, "This.", NOW)
    for consent_id in (None, *["c1"] * MAX_OPEN):
        assert run(store.add(help_desk_request(consent_id=consent_id))) is None


def test_limits_of_visitor_apply_at_any_age_of_consent(store: Requests) -> None:
    for _ in range(MAX_OPEN):
        assert run(store.add(help_desk_request(consent_id="a"), age=DAY)) is None
    assert run(store.add(help_desk_request(consent_id="a"), age=DAY)) == NotStored(DAY)


def test_desk_lists_open_requests_first_by_due_date(store: Requests) -> None:
    closed = kept(store, due_at=NOW - 9 * DAY)
    answered = kept(store, due_at=NOW - 8 * DAY)
    later = kept(store, due_at=NOW + DAY)
    overdue = kept(store, due_at=NOW - DAY)
    store.close(closed.reference, NOW)
    store.answer(answered.reference, "This.", NOW)
    order = [overdue, later, answered, closed]
    assert [request.reference for request in store.listed()] == [request.reference for request in order]


def test_request_is_answered_once(store: Requests) -> None:
    request, other = kept(store), kept(store)
    assert store.answer(request.reference, "This.", NOW + 1.9)
    assert not store.answer(request.reference, "That.", NOW + 2)
    assert not store.answer("R-2222-2222", "That.", NOW)
    assert run(store.find(request.reference)) == replace(request, answer="This.", answered_at=NOW + 1)
    assert run(store.find(other.reference)) == other


@pytest.mark.slow
def test_request_is_closed_once(store: Requests) -> None:
    request, answered = kept(store), kept(store)
    store.answer(answered.reference, "This.", NOW)
    assert store.close(request.reference, NOW + 1)
    assert store.close(answered.reference, NOW + 1)
    assert not store.close(request.reference, NOW + 2)
    assert not store.close("R-2222-2222", NOW)
    assert not store.answer(request.reference, "Too late.", NOW + 2)
    assert run(store.find(request.reference)) == replace(request, closed_at=NOW + 1)
    assert run(store.find(answered.reference)) == replace(answered, answer="This.", answered_at=NOW, closed_at=NOW + 1)


def test_requests_of_visitor_can_be_erased(store: Requests) -> None:
    store.answer(kept(store, consent_id="a").reference, "This.", NOW)
    kept(store, consent_id="a")
    others = {kept(store, consent_id="b").reference, kept(store).reference}
    assert store.erase("a") == 2
    assert (store.erase("a"), store.erase("\0")) == (0, 0)
    assert {request.reference for request in store.listed()} == others


@pytest.mark.parametrize("by_closing", [False, True])
def test_address_and_request_are_purged_after_their_retention(store: Requests, by_closing: bool) -> None:
    request = kept(store, address="me@home.example")
    if by_closing:
        store.close(request.reference, NOW)
    else:
        store.answer(request.reference, "This.", NOW)
        store.close(request.reference, NOW + 50 * DAY)
    assert store.purge(now=NOW + 30 * DAY - 1, rules=RULES) == Purged(requests=0, addresses=0)
    assert run(store.find(request.reference)).address == "me@home.example"
    for left in (Purged(requests=0, addresses=1), Purged(requests=0, addresses=0)):
        assert store.purge(now=NOW + 30 * DAY, rules=RULES) == left
    assert run(store.find(request.reference)).address is None
    assert store.purge(now=NOW + 100 * DAY, rules=RULES) == Purged(requests=1, addresses=0)
    assert store.listed() == []


def test_open_request_is_never_purged(store: Requests) -> None:
    request = kept(store, address="me@home.example")
    assert store.purge(now=NOW + 9999 * DAY, rules=RULES) == Purged(requests=0, addresses=0)
    assert store.listed() == [request]


def test_dry_run_reports_purge_without_deleting(store: Requests) -> None:
    for answered_at in (NOW, NOW + 90 * DAY, NOW + 199 * DAY):
        store.answer(kept(store, address="me@home.example").reference, "This.", answered_at)
    before, then = store.listed(), NOW + 150 * DAY
    would = store.purge(now=then, rules=RULES, dry_run=True)
    assert store.listed() == before
    assert store.purge(now=then, rules=RULES) == would == Purged(requests=1, addresses=1)


# Databases.


def test_request_is_found_by_another_ledger_on_same_database(open_database: Opened) -> None:
    request = kept(open_database().requests, consent_id="a")
    assert run(open_database().requests.of("a")) == [request]


@pytest.mark.slow
def test_limit_holds_for_concurrent_requests(open_database: Opened) -> None:
    stores = [open_database().requests for _ in range(3)]

    async def send() -> list[NotStored | None]:
        return await asyncio.gather(
            *(store.add(help_desk_request(consent_id="a")) for store in stores for _ in range(5))
        )

    answers = run(send())
    assert answers.count(None) == MAX_OPEN
    assert set(answers) == {None, NotStored(DAY)}
    assert len(stores[0].listed()) == MAX_OPEN


@pytest.mark.slow
def test_form_sent_concurrently_makes_one_request(open_database: Opened) -> None:
    stores = [open_database().requests for _ in range(2)]

    async def send() -> list[NotStored | None]:
        return await asyncio.gather(
            *(store.add(help_desk_request(form="the same")) for store in stores for _ in range(3))
        )

    assert run(send()).count(None) == 1


def test_concurrent_answers_to_request_keep_one(open_database: Opened) -> None:
    stores = [open_database().requests for _ in range(2)]
    request = kept(stores[0])

    async def answer() -> list[bool]:
        given = (asyncio.to_thread(stores[n].answer, request.reference, f"By {n}.", NOW) for n in (0, 1))
        return await asyncio.gather(*given)

    first = run(answer())
    assert sorted(first) == [False, True]
    assert run(stores[0].find(request.reference)).answer == f"By {first.index(True)}."


def test_database_holds_only_hash_of_secret(url: str, open_database: Opened) -> None:
    request = kept(open_database().requests)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        row = connection.execute(select(REQUESTS)).mappings().one()
    engine.dispose()
    assert {**row} == {name: getattr(request, name) for name in row}
    assert row["secret_hash"] == request.secret_hash


def test_database_error_keeps_no_request(open_database: Opened) -> None:
    store = open_database().requests
    with pytest.raises(DBAPIError):
        run(store.add(help_desk_request(text=None)))
    assert store.listed() == []


def test_request_tables_are_created_once_postgresql_starts(
    private_postgres: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = private_postgres.new_database()
    private_postgres.stop()
    ledger = open_ledger(url)
    with pytest.raises(DBAPIError):
        run(ledger.requests.add(help_desk_request()))
    private_postgres.start()
    request = kept(ledger.requests)
    assert ledger.requests.listed() == [request]
    ledger.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_requests_work_after_postgresql_restart(private_postgres: PrivateServer) -> None:
    ledger = open_ledger(private_postgres.new_database())
    request = kept(ledger.requests)
    private_postgres.stop()
    with pytest.raises(DBAPIError):
        run(ledger.requests.find(request.reference))
    private_postgres.start()
    assert run(ledger.requests.find(request.reference)) == request
    ledger.close()


def test_database_of_earlier_version_gets_request_table(open_database: Opened, url: str) -> None:
    open_database()
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE consent_requests"))
        connection.execute(text("UPDATE consent_schema_version SET version_num = '0001'"))
    engine.dispose()
    kept(open_database().requests)
