"""Tests of repeated answers: a double click leaves one record, each change a record of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from starlette.types import ASGIApp

from cookie_consent.ledgers import Ledger, MemoryLedger
from tests.support.asgi import PREFIX, ROBOT, Clock, Fields, Reply, Visitor, bodies, install, response_to, scope
from tests.support.browsers.browser import forms

FORM = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")]
ACCEPT, REFUSE = {"choice": "accept_all", "once": "f-1"}, {"choice": "refuse_all", "once": "f-1"}


def events(ledger: Ledger) -> list[str]:
    return [record["event"] for record in all_records(ledger)]


def all_records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(link.document or "{}") for link in ledger.links()]


def simultaneous_replies(app: ASGIApp, body: bytes, headers: Fields) -> Sequence[Reply]:
    """Return the responses to two identical requests that arrive at the same time."""

    async def all_of_them() -> list[Reply]:
        requests = (response_to(app, scope("POST", PREFIX, headers), bodies(body)) for _ in range(2))
        return await asyncio.gather(*requests)

    return asyncio.run(all_of_them())


def consent_id(reply: Reply) -> str:
    return reply.set_cookies["__Host-consent"].split("~")[5]


@pytest.mark.parametrize("surface", ["banner", "settings"])
def test_simultaneous_double_click_leaves_one_record(ledger: Ledger, surface: str) -> None:
    app = install(ledger=ledger)
    html = Visitor(app).get(PREFIX if surface == "settings" else f"{PREFIX}/question").text
    replies = simultaneous_replies(app, forms(html)[0].pressed("accept_all").encode(), FORM)
    assert [reply.status for reply in replies] == [303, 303]
    (record,) = all_records(ledger)
    assert {consent_id(reply) for reply in replies} == {record["consent_id"]}
    assert len({reply.set_cookies["__Host-consent"] for reply in replies}) == 1


def test_double_click_across_hosts_with_late_clock_leaves_one_record(ledger: Ledger) -> None:
    clock, late = Clock(), Clock()
    late.forward(seconds=-3)
    first = Visitor(install(ledger=ledger, clock=clock)).post(ACCEPT)
    second = Visitor(install(ledger=ledger, clock=late)).post(ACCEPT)
    assert first.json == second.json
    assert first.json["status"] == "granted"
    assert first.set_cookies["__Host-consent"] == second.set_cookies["__Host-consent"]
    assert events(ledger) == ["granted"]


def test_retry_with_old_cookie_within_a_minute_is_same_answer(ledger: Ledger) -> None:
    """The first response was lost, or the second of two clicks was processed later."""
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.accept()
    clock.forward(days=1)
    before = dict(visitor.jar)
    first = visitor.post(REFUSE).set_cookies
    for seconds in (1, 58, 1):
        clock.forward(seconds=seconds)
        visitor.jar = dict(before)
        assert visitor.post(REFUSE).set_cookies == first
    assert events(ledger) == ["granted", "withdrawn"]
    clock.forward(seconds=1)
    visitor.jar = dict(before)
    visitor.post(REFUSE)
    assert events(ledger) == ["granted", "withdrawn", "withdrawn"]


def test_new_answer_with_outdated_cookie_is_recorded(ledger: Ledger) -> None:
    """The browser does not always have the newest answer. The ledger has."""
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.post(ACCEPT)
    before = dict(visitor.jar)
    clock.forward(seconds=5)
    visitor.post(REFUSE)
    visitor.jar = before
    clock.forward(seconds=5)
    visitor.post(ACCEPT)
    assert [record["status"] for record in all_records(ledger)] == ["granted", "refused", "granted"]
    assert visitor.state()["decided_at"] == all_records(ledger)[-1]["decided_at"]


@pytest.mark.parametrize("answer", [Visitor.accept, Visitor.refuse])
@pytest.mark.parametrize(("seconds", "records"), [(0, 1), (59, 1), (60, 1), (61, 2), (120, 2)])
def test_same_answer_within_a_minute_leaves_one_record(
    ledger: Ledger, answer: Callable[[Visitor], Reply], seconds: int, records: int
) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    decided_at = answer(visitor).json["decided_at"]
    clock.forward(seconds=seconds)
    again = answer(visitor).json["decided_at"]
    kept = all_records(ledger)
    assert len(kept) == records
    assert again == kept[-1]["decided_at"]
    assert (again == decided_at) == (records == 1)


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.parametrize("once", [{}, {"once": "the-same-form"}])
def test_accept_refuse_accept_in_quick_order_leaves_three_records(
    ledger: Ledger, seconds: int, once: dict[str, str]
) -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    for choice in ("accept_all", "refuse_all", "accept_all"):
        assert visitor.post({"choice": choice, **once}).status == 200
        clock.forward(seconds=seconds)
    assert events(ledger) == ["granted", "withdrawn", "granted"]
    first, second, third = all_records(ledger)
    assert (second["previous"], third["previous"]) == (first["record_id"], second["record_id"])
    assert visitor.state()["status"] == "granted"


@pytest.mark.parametrize(
    "once", ["", "x" * 65, "a b", "ä", "\0", "\ud800", "<script>", "a\n", "../../etc", "' OR 1=1 --"]
)
def test_malformed_form_id_is_ignored(once: str) -> None:
    ledger = MemoryLedger()
    app = install(ledger=ledger)
    replies = [Visitor(app).post({"choice": "accept_all", "once": once}) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    assert len(ledger.kept) == 2
    assert len({consent_id(reply) for reply in replies}) == 2


@pytest.mark.parametrize("send", [Visitor.accept, Visitor.refuse, lambda robot: robot.send_form("choice=accept_all")])
def test_answer_from_robot_is_refused(send: Any) -> None:
    ledger = MemoryLedger()
    robot = Visitor(install(ledger=ledger), [("user-agent", ROBOT)])
    reply = send(robot)
    assert (reply.status, reply.all("set-cookie")) == (403, [])
    assert ledger.kept == []


def test_answer_after_proof_was_erased_starts_new_chain(ledger: Ledger) -> None:
    visitor = Visitor(install(ledger=ledger, clock=Clock()))
    visitor.accept()
    (record,) = all_records(ledger)
    ledger.remove(now=0, make_id=lambda: "removal", consent_id=record["consent_id"])
    visitor.refuse()
    assert all_records(ledger)[-1]["event"] == "withdrawn"
    assert all_records(ledger)[-1]["previous"] is None
