"""Tests of the stores of requests: the behaviour that all share, and what databases add."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from cookie_consent.ledgers import Ledger, Requests, open_ledger
from cookie_consent.ledgers.requests import DeskRequest
from cookie_consent.policy.parts import RequestRules
from tests.support.desk import DAY, help_desk_request
from tests.support.policies import NOW

RULES = RequestRules(keep_address=timedelta(days=30), keep=timedelta(days=100))


@pytest.fixture
def store(each_ledger: Ledger) -> Requests:
    return each_ledger.requests


def kept(store: Requests, **changes: Any) -> DeskRequest:
    """Keep a request, and return it."""
    request = help_desk_request(**changes)
    store.add(request)
    return request


def test_request_and_answer_are_kept_unchanged(store: Requests) -> None:
    for text in ("'; DROP TABLE consent_requests; --", "訪問 🧑‍🚀", "100 % {x} \\ :y", "a\n\tb", "a" * 4000):
        request = kept(store, text=text, consent_id=text, address="me@home.example", kind="complain", language="ja")
        assert store.listed(text) == [request]
        assert store.end(request.reference, NOW + 1.9, text)
        assert store.listed(text) == [replace(request, answer=text, ended_at=NOW + 1)]


def test_requests_of_a_visitor_are_only_their_own(store: Requests) -> None:
    own = kept(store, consent_id="a")
    kept(store, consent_id="b")
    kept(store)
    assert store.listed("a") == [own]
    assert (store.listed("c"), store.listed(""), store.listed("\0")) == ([], [], [])


def test_same_reference_is_kept_once(store: Requests) -> None:
    request = kept(store)
    store.add(replace(request, text="Another."))
    assert store.listed() == [request]


def test_open_requests_are_listed_first_by_due_date(store: Requests) -> None:
    closed = kept(store, due_at=NOW - 9 * DAY)
    answered = kept(store, due_at=NOW - 8 * DAY)
    later = kept(store, due_at=NOW + DAY)
    overdue = kept(store, due_at=NOW - DAY)
    store.end(closed.reference, NOW)
    store.end(answered.reference, NOW, "This.")
    assert [(request.reference, request.document()["state"]) for request in store.listed()] == [
        (overdue.reference, "open"),
        (later.reference, "open"),
        (closed.reference, "closed"),
        (answered.reference, "answered"),
    ]


@pytest.mark.parametrize("answer", ["This.", None])
def test_request_ends_once(store: Requests, answer: str | None) -> None:
    request = kept(store)
    other = kept(store, due_at=NOW)
    assert store.end(request.reference, NOW, answer)
    assert not store.end(request.reference, NOW + 2, "That.")
    assert not store.end(request.reference, NOW + 2)
    assert not store.end("R-2222", NOW, "That.")
    assert store.listed() == [other, replace(request, answer=answer, ended_at=NOW)]


def test_requests_of_a_visitor_can_be_erased(store: Requests) -> None:
    store.end(kept(store, consent_id="a").reference, NOW, "This.")
    kept(store, consent_id="a")
    others = {kept(store, consent_id="b").reference, kept(store).reference}
    assert store.erase("a") == 2
    assert (store.erase("a"), store.erase("\0")) == (0, 0)
    assert {request.reference for request in store.listed()} == others


@pytest.mark.parametrize("answer", ["This.", None])
def test_address_and_request_are_purged_after_their_retention(store: Requests, answer: str | None) -> None:
    request = kept(store, address="me@home.example")
    store.end(request.reference, NOW, answer)
    assert store.purge(now=NOW + 30 * DAY - 1, rules=RULES) == {"requests": 0, "addresses": 0}
    assert store.listed()[0].address == "me@home.example"
    for addresses in (1, 0):
        assert store.purge(now=NOW + 30 * DAY, rules=RULES) == {"requests": 0, "addresses": addresses}
    assert store.listed()[0].address is None
    assert store.purge(now=NOW + 100 * DAY, rules=RULES) == {"requests": 1, "addresses": 0}
    assert store.listed() == []


def test_open_request_is_never_purged(store: Requests) -> None:
    request = kept(store, address="me@home.example")
    assert store.purge(now=NOW + 9999 * DAY, rules=RULES) == {"requests": 0, "addresses": 0}
    assert store.listed() == [request]


def test_dry_run_reports_purge_without_deleting(store: Requests) -> None:
    for ended_at in (NOW, NOW + 90 * DAY, NOW + 199 * DAY):
        store.end(kept(store, address="me@home.example").reference, ended_at, "This.")
    before = store.listed()
    then = NOW + 150 * DAY
    would = store.purge(now=then, rules=RULES, dry_run=True)
    assert store.listed() == before
    assert store.purge(now=then, rules=RULES) == would == {"requests": 1, "addresses": 1}


# Databases.


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(open_ledger(url)) as ledger:
        yield ledger


def test_concurrent_answers_keep_one(url: str, ledger: Ledger) -> None:
    request = kept(ledger.requests)
    with closing(open_ledger(url)) as other, ThreadPoolExecutor() as threads:
        ends = [one.requests.end for one in (ledger, other)]
        first = list(threads.map(lambda n: ends[n](request.reference, NOW, f"By {n}."), (0, 1)))
    assert sorted(first) == [False, True]
    assert ledger.requests.listed()[0].answer == f"By {first.index(True)}."


def test_database_error_keeps_no_request(ledger: Ledger) -> None:
    with pytest.raises(DBAPIError):
        ledger.requests.add(help_desk_request(text=None))
    assert ledger.requests.listed() == []
