"""Tests that a refusal without an earlier consent leaves no identifier, neither in the browser nor in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.pages.evidence import explain
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PREFIX, Clock, Fields, Visitor, install, policy, run
from tests.support.browsers.browser import forms
from tests.support.ledger_files import ledger_url
from tests.support.policies import text_of

EXPORT = f"{PREFIX}/export"


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    ledger: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(ledger_url(tmp_path))
    yield ledger
    ledger.close()


def kept_records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(link.document) for link in ledger.links() if link.document]


def ids(ledger: Ledger) -> list[str | None]:
    return [record["consent_id"] for record in kept_records(ledger)]


def consent_id(visitor: Visitor) -> str:
    """Return the consent id in the visitor's cookie."""
    return visitor.jar["__Host-consent"].split("~")[5]


def words(key: str) -> str:
    return text_of(policy(), "en", key)


# Consent ids.


@pytest.mark.parametrize("headers", [[], [("sec-gpc", "1")], [("dnt", "1")], [("sec-gpc", "1"), ("dnt", "1")]])
def test_refusal_leaves_no_id_in_browser_or_ledger(ledger: Ledger, headers: Fields) -> None:
    clock = Clock()
    app = install(ledger=ledger, access_log=MemorySink(), clock=clock)
    visitors = [Visitor(app, headers) for _ in range(3)]
    for visitor in visitors:
        visitor.refuse()
        visitor.get("/")
    assert len({tuple(visitor.jar.items()) for visitor in visitors}) == 1
    assert consent_id(visitors[0]) == ""
    assert [(kept["event"], kept["previous"]) for kept in kept_records(ledger)] == [("refused", None)] * 3
    assert ids(ledger) == [None] * 3


def test_repeated_refusals_are_not_linked(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    for _ in range(3):
        visitor.refuse()
        clock.forward(days=1)
    for record in kept_records(ledger):
        assert (record["event"], record["previous"], record["answered_before"]) == ("refused", None, None)
    assert ids(ledger) == [None] * 3


@pytest.mark.parametrize(("seconds", "records"), [(0, 1), (60, 1), (61, 2)])
@pytest.mark.slow
def test_same_refusal_within_a_minute_keeps_one_record(ledger: Ledger, seconds: int, records: int) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.refuse()
    decided_at = visitor.state()["decided_at"]
    clock.forward(seconds=seconds)
    assert visitor.refuse().status == 200
    assert len(kept_records(ledger)) == records
    assert (visitor.state()["decided_at"] == decided_at) == (records == 1)


def test_grant_after_refusal_starts_an_unlinked_chain(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock), [("accept", "text/html")])
    visitor.refuse()
    refused = kept_records(ledger)[0]
    clock.forward(days=1)
    visitor.send_form(forms(visitor.get(PREFIX).text)[0].pressed("accept_all"))
    _, granted = kept_records(ledger)
    assert granted["consent_id"] == consent_id(visitor) != ""
    assert (granted["event"], granted["previous"], granted["answered_before"]) == ("granted", None, None)
    assert refused["decided_at"] not in json.dumps(granted)
    explained = run(explain(ledger, granted))
    assert "Answered on …; valid until …." in explained.html
    assert [record["event"] for record in visitor.get(EXPORT).json["consent_records"]] == ["granted"]


def test_withdrawal_and_later_answers_keep_the_consent_id(ledger: Ledger) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.accept()
    first = consent_id(visitor)
    for _ in range(3):
        clock.forward(days=100)
        visitor.refuse()
    assert consent_id(visitor) == first
    assert set(ids(ledger)) == {first}
    assert [kept["event"] for kept in kept_records(ledger)] == ["granted", "withdrawn", "refused", "refused"]
    clock.forward(days=1)
    visitor.accept()
    assert set(ids(ledger)) == {first}


# Repeated answers.


def test_double_click_on_refuse_keeps_one_record(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    visitor = Visitor(app)
    pressed = forms(visitor.get(PREFIX).text)[0].pressed("refuse_all")
    first, second = Visitor(app).send_form(pressed), Visitor(app).send_form(pressed)
    assert first.set_cookies == second.set_cookies
    assert len(kept_records(ledger)) == 1


# Pages.


def test_pages_explain_that_the_refusal_record_is_anonymous(ledger: Ledger) -> None:
    visitor = Visitor(install(ledger=ledger), [("accept", "text/html")])
    assert words("kept_refusal") not in visitor.get(PREFIX).text
    visitor.refuse()
    text = visitor.get(PREFIX).text
    assert words("kept_refusal") in text
    receipt = visitor.get(f"{PREFIX}/receipt").json
    assert (receipt["status"], receipt["consent_id"], receipt["record_id"]) == ("refused", None, None)
    export = visitor.get(EXPORT).json
    assert (export["consent"]["status"], export["consent_records"], export["receipts"]) == ("refused", [], [])
    visitor.accept()
    assert words("kept_refusal") not in visitor.get(PREFIX).text


def test_consent_older_than_the_ledger_is_not_called_a_refusal() -> None:
    before, clock = Visitor(install(clock=Clock())), Clock()
    before.accept()
    visitor = Visitor(install(ledger=MemoryLedger(), clock=clock), [("accept", "text/html")])
    visitor.jar = before.jar
    assert words("kept_refusal") not in visitor.get(PREFIX).text
