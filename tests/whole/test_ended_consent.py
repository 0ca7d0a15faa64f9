"""Tests that a consent which has ended leaves nothing that it allowed, over the life of the cookies."""

from __future__ import annotations

import pytest

from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, PREFIX, Clock, Fields, Visitor, install, page_app

LIFE = 184
KEEPS = pytest.mark.parametrize("keeps", [True, False], ids=["browser keeps the cookie", "browser drops it"])
"""Whether the browser still sends the consent cookie. Browsers drop it at its end, unless their clock is behind."""


def consenting(clock: Clock, sink: MemorySink, **purposes: bool) -> Visitor:
    """Return a visitor who consented, and whose browser has the cookies that this allows."""
    site = install(page_app(), ledger=MemoryLedger(), access_log=sink, clock=clock)
    visitor = Visitor(site, [("user-agent", PHONE), ("accept", "text/html")])
    visitor.save(**(purposes or {"analytics": True, "media": True}))
    visitor.jar |= {"session": "1", "_ga": "1", "player": "1"}
    return visitor


def end(visitor: Visitor, clock: Clock, *, keeps: bool, days: float = LIFE) -> None:
    """Let the consent end."""
    clock.forward(days=days)
    if not keeps:
        visitor.jar.pop("__Host-consent")


@KEEPS
@pytest.mark.parametrize("days", [LIFE, LIFE + 100])
def test_page_after_end_of_consent_expires_what_it_allowed(keeps: bool, days: int) -> None:
    clock = Clock()
    sink = MemorySink()
    visitor = consenting(clock, sink)
    clock.forward(days=LIFE - 0.001)
    assert visitor.get().all("set-cookie") == [], "it holds until its last minute"
    traced = len(sink.records)
    assert traced == 1
    end(visitor, clock, keeps=keeps, days=days - LIFE + 0.001)
    reply = visitor.get()
    assert b"refuse_all" in reply.body, "the question comes again"
    assert visitor.jar.keys() - {"__Host-consent"} == {"session"}
    assert visitor.get().all("set-cookie") == []
    assert len(sink.records) == traced


@KEEPS
@pytest.mark.parametrize("headers", [[], [("sec-gpc", "1"), ("dnt", "1")]], ids=["no signal", "signals"])
def test_any_endpoint_expires_it_too(keeps: bool, headers: Fields) -> None:
    clock = Clock()
    visitor = consenting(clock, MemorySink())
    end(visitor, clock, keeps=keeps)
    visitor.get(f"{PREFIX}/state", headers)
    assert visitor.jar.keys() - {"__Host-consent"} == {"session", "__Secure-visitor-erasure"}


@KEEPS
def test_settings_page_keeps_the_id_to_erase_by(keeps: bool) -> None:
    clock = Clock()
    sink = MemorySink()
    visitor = consenting(clock, sink)
    visitor.get()
    assert sink.records
    end(visitor, clock, keeps=keeps)
    page = visitor.get(PREFIX)
    assert f'action="{PREFIX}/erase?language=en"' in page.text
    assert visitor.get(PREFIX).all("set-cookie") == []
    visitor.send_form("", path=f"{PREFIX}/erase")
    assert sink.records == []
    assert visitor.jar.keys() - {"__Host-consent"} == {"session"}


def test_consent_without_tracing_that_is_still_sent_expires_too() -> None:
    clock = Clock()
    visitor = consenting(clock, MemorySink(), media=True)
    end(visitor, clock, keeps=True)
    visitor.get()
    assert visitor.jar.keys() - {"__Host-consent"} == {"session"}


@pytest.mark.parametrize("cookies", [{}, {"__Host-consent": "forged"}, {"__Host-visitor": "forged"}])
def test_cookies_of_who_has_not_answered_yet_are_only_withheld(cookies: dict[str, str]) -> None:
    visitor = Visitor(install(page_app(), access_log=MemorySink()), [("accept", "text/html")])
    visitor.jar |= {"session": "1", "_ga": "1", "player": "1", **cookies}
    assert visitor.get().all("set-cookie") == []
    assert visitor.get(PREFIX).all("set-cookie") == []


@pytest.mark.parametrize(("days", "cookies"), [(-1, {}), (0, {"__Host-consent": "of another key"})])
def test_nothing_expires_before_the_answer_or_beside_an_unreadable_one(days: int, cookies: dict[str, str]) -> None:
    clock = Clock()
    visitor = consenting(clock, MemorySink())
    clock.forward(days=days)
    visitor.jar |= cookies
    assert visitor.get().all("set-cookie") == []
