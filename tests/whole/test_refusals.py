"""Tests that a refusal without an earlier consent leaves no identifier, neither in the browser nor in the ledger."""

from __future__ import annotations

import json

import pytest

from cookie_consent.ledgers import MemoryLedger
from cookie_consent.pages.evidence import explain
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PREFIX, Clock, Fields, Visitor, install, policy, run
from tests.support.browsers.browser import forms
from tests.support.ledger_writer import new_id
from tests.support.policies import text_of

KEPT_REFUSAL = text_of(policy(), "en", "kept_refusal")


@pytest.mark.requirement("CK-20")
@pytest.mark.parametrize("headers", [[], [("sec-gpc", "1")], [("dnt", "1")], [("sec-gpc", "1"), ("dnt", "1")]])
def test_refusals_leave_no_id_and_are_not_linked(headers: Fields) -> None:
    clock = Clock()
    ledger = MemoryLedger()
    app = install(ledger=ledger, access_log=MemorySink(), clock=clock)
    visitors = [Visitor(app, headers) for _ in range(3)]
    for days in (0, 1):
        clock.forward(days=days)
        for visitor in visitors:
            visitor.refuse()
            visitor.get("/")
        (cookies,) = {visitor.cookies for visitor in visitors}
        assert cookies.split("~")[5] == ""
    kept = {
        (record["event"], record["consent_id"], record["previous"], record["answered_before"]) for record in ledger.kept
    }
    assert (len(ledger.kept), kept) == (6, {("refused", None, None, None)})


def test_grant_after_refusal_starts_an_unlinked_chain() -> None:
    clock = Clock()
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock), [("accept", "text/html")])
    visitor.refuse()
    clock.forward(days=1)
    visitor.send_form(forms(visitor.get(PREFIX).text)[0].pressed("accept_all"))
    refused, granted = ledger.kept
    assert granted["consent_id"] == visitor.jar["__Host-consent"].split("~")[5] != ""
    assert (granted["event"], granted["previous"], granted["answered_before"]) == ("granted", None, None)
    assert refused["decided_at"] not in json.dumps(granted)
    assert "Answered on …; valid until …." in run(explain(ledger, granted)).html
    export = visitor.get(f"{PREFIX}/export").json
    assert [record["event"] for record in export["consent_records"]] == ["granted"]


def test_withdrawal_and_later_answers_keep_the_consent_id() -> None:
    clock = Clock()
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    for answer in (visitor.accept, visitor.refuse, visitor.refuse, visitor.accept):
        answer()
        clock.forward(days=100)
    assert [record["event"] for record in ledger.kept] == ["granted", "withdrawn", "refused", "granted"]
    assert {record["consent_id"] for record in ledger.kept} == {visitor.jar["__Host-consent"].split("~")[5]}


def test_refusal_after_its_consents_proof_was_removed_has_no_id() -> None:
    clock = Clock()
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    for answer in (visitor.accept, visitor.refuse):
        answer()
        clock.forward(days=1)
    ledger.remove(now=clock() + 10_000 * 86_400, make_id=new_id)
    visitor.refuse()
    assert ledger.kept[-1]["event"] == "refused"
    assert (ledger.kept[-1]["consent_id"], visitor.jar["__Host-consent"].split("~")[5]) == (None, "")


def test_pages_explain_that_the_refusal_record_is_anonymous() -> None:
    visitor = Visitor(install(ledger=MemoryLedger()), [("accept", "text/html")])
    assert KEPT_REFUSAL not in visitor.get(PREFIX).text
    visitor.refuse()
    assert KEPT_REFUSAL in visitor.get(PREFIX).text
    receipt = visitor.get(f"{PREFIX}/receipt").json
    assert (receipt["status"], receipt["consent_id"], receipt["record_id"]) == ("refused", None, None)
    export = visitor.get(f"{PREFIX}/export").json
    assert (export["consent"]["status"], export["consent_records"], export["receipts"]) == ("refused", [], [])
    visitor.accept()
    assert KEPT_REFUSAL not in visitor.get(PREFIX).text


def test_consent_older_than_the_ledger_is_not_called_a_refusal() -> None:
    visitor = Visitor(install(clock=Clock()), [("accept", "text/html")])
    visitor.accept()
    visitor.app = install(ledger=MemoryLedger(), clock=Clock())
    assert KEPT_REFUSAL not in visitor.get(PREFIX).text
