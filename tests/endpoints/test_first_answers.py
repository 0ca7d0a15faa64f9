"""Tests of the limit on first answers from one network: grants wait, refusals are honoured without a record."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.endpoints.answer_proof import count_first_answer
from cookie_consent.http.site import make_limits
from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import NOW, Clock, Reply, Visitor, install

PUBLIC = ("198.41.0.4", 50_000)
ACCEPT, REFUSE = {"choice": "accept_all"}, {"choice": "refuse_all"}


@pytest.mark.requirement("CS-05")
@pytest.mark.parametrize(
    ("client", "same", "other", "most", "whence"),
    [
        (PUBLIC, ("198.41.0.250", 2), ("198.41.1.4", 3), 600, "one public network"),
        (("2001:503:ba3e::2:30", 1), ("2001:503:ba3e:ffff::1", 2), ("2001:503:ba3f::1", 3), 600, "one public network"),
        (("::ffff:198.41.0.4", 1), ("198.41.0.5", 2), ("::ffff:198.41.1.4", 3), 600, "one public network"),
        *(
            (client, ("192.168.0.1", 5), PUBLIC, 100_000, "addresses that are not public")
            for client in (None, ("127.0.0.1", 1), ("fd00::1", 1), ("", 0), ("testclient", 1), ("::1", 1), [None, 0])
        ),
    ],
)
def test_each_network_has_its_own_limit_and_all_that_are_not_public_share_one(
    client: Any, same: Any, other: Any, most: int, whence: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = make_limits()
    limit = limits[f"first answers from {whence}"]
    assert (limit.most, limit.seconds) == (most, 3600)
    limit.most = 2
    assert [count_first_answer(limits, client, NOW) for _ in range(2)] == [0, 0]
    assert caplog.messages == []
    assert [count_first_answer(limits, one, NOW + 600) for one in (client, same)] == [3000, 3000]
    assert count_first_answer(limits, other, NOW) == 0
    assert count_first_answer(limits, same, NOW + 3600) == 0
    (warning,) = caplog.messages
    for words in (f"Over 2 first answers came within an hour from {whence}", "--forwarded-allow-ips"):
        assert words in warning
    assert "198.41" not in warning


class Site:
    """A site with a ledger and a low limit for one network."""

    def __init__(self) -> None:
        self.clock, self.ledger = Clock(), MemoryLedger()
        self.app = install(ledger=self.ledger, clock=self.clock)
        self.app._site.limits["first answers from one public network"].most = 3

    def answer(self, data: object, visitor: Visitor | None = None, client: Any = PUBLIC) -> Reply:
        return (visitor or Visitor(self.app)).post(data, client=client)


@pytest.fixture
def site() -> Site:
    return Site()


def test_grant_over_network_limit_gets_429_and_refusal_leaves_no_record(site: Site) -> None:
    assert [site.answer(ACCEPT).status for _ in range(3)] == [200] * 3
    reply = site.answer(ACCEPT)
    assert (reply.status, reply.get("retry-after"), reply.all("set-cookie")) == (429, "3600", [])
    visitor = Visitor(site.app)
    assert site.answer(REFUSE, visitor).json["status"] == "refused"
    assert visitor.state()["status"] == "refused"
    assert visitor.state()["should_ask"] is False
    assert len(site.ledger.kept) == 3
    assert site.answer(ACCEPT, client=("203.0.112.1", 1)).status == 200
    site.clock.forward(seconds=3600)
    assert site.answer(ACCEPT).status == 200
    assert len(site.ledger.kept) == 5


def test_refusals_count_towards_network_limit(site: Site) -> None:
    for _ in range(5):
        assert site.answer(REFUSE).status == 200
    assert len(site.ledger.kept) == 3
    assert site.answer(ACCEPT).status == 429


def test_known_visitor_can_change_answer_despite_network_limit(site: Site) -> None:
    visitor = Visitor(site.app)
    site.answer(ACCEPT, visitor)
    for _ in range(5):
        site.answer(REFUSE)
    for number, data in enumerate((REFUSE, ACCEPT, {"choice": "save", "purposes": {"media": True}})):
        assert site.answer(data, visitor).status == 200
        assert len(site.ledger.kept) == 4 + number


def test_withdrawal_over_limit_after_proof_was_erased_keeps_consent_id(site: Site) -> None:
    visitor = Visitor(site.app)
    site.answer(ACCEPT, visitor)
    consent_id = visitor.jar["__Host-consent"].split("~")[5]
    site.ledger.remove(now=0, make_id=lambda: "removal", consent_id=consent_id)
    for _ in range(5):
        site.answer(REFUSE)
    assert site.answer(REFUSE, visitor).json["status"] == "refused"
    assert visitor.jar["__Host-consent"].split("~")[5] == consent_id


def test_network_limit_does_not_apply_without_ledger() -> None:
    app = install()
    app._site.limits["first answers from one public network"].most = 0
    assert Visitor(app).post(ACCEPT, client=PUBLIC).status == 200
