"""Tests of the settings page, and of the endpoints state and policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cookie_consent.ledgers import MemoryLedger, open_ledger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PREFIX, SITE, Clock, Visitor, call, install, policy
from tests.support.faulty_ledger import FaultyLedger
from tests.support.ledger_files import ledger_url
from tests.support.policies import text_of

# The settings page.


@pytest.mark.requirement("EU-08")
def test_settings_page_is_strict_and_lists_the_cookies_that_the_site_needs() -> None:
    reply = call(install(access_log=MemorySink()), path=PREFIX)
    assert "<script" not in reply.text
    policy_of_page = reply.get("content-security-policy")
    assert ("default-src 'none'" in policy_of_page, "script-src" in policy_of_page) == (True, False)
    assert (reply.get("referrer-policy"), reply.all("set-cookie")) == ("same-origin", [])
    assert "__Host-visitor" in reply.text
    assert "__Host-visitor" not in call(install(), path=PREFIX).text


@pytest.mark.requirement("UI-07")
def test_settings_page_shows_saved_answer() -> None:
    visitor = Visitor(install(clock=Clock()))
    visitor.save(media=True)
    text = visitor.get(PREFIX).text
    assert text_of(policy(), "en", "status_partial") in text
    assert 'value="media" aria-describedby="pchoice-about-media" checked' in text
    assert 'aria-describedby="pchoice-about-analytics" checked' not in text
    assert '<time datetime="2025-12-16">' in text


def test_settings_page_links_back_only_within_the_site() -> None:
    assert 'href="/there?a=b"' in call(install(), path=PREFIX, query=b"next=/there%3Fa=b").text
    assert "evil" not in call(install(), path=PREFIX, query=b"next=//evil.example").text
    assert "evil" not in call(install(), path=PREFIX, query=b"next=javascript:evil()").text


# The state.


def test_state_before_answer_is_unknown() -> None:
    assert call(install(), path=f"{PREFIX}/state").json == {
        "status": "unknown",
        "purposes": {"necessary": True, "analytics": False, "media": False},
        "outcome": "unknown",
        "should_ask": True,
        "asked": ["analytics", "media"],
        "policy": policy().version,
        "decided_at": None,
        "expires_at": None,
        "source": None,
        "signals": [],
        "features": {"map": False},
        "reloads": False,
        "honours_gpc": False,
        "opted_out": False,
        "overruled": [],
    }


@pytest.mark.requirement("SG-07")
def test_state_lists_signals() -> None:
    state = call(install(), path=f"{PREFIX}/state", headers=[("dnt", "1"), ("sec-gpc", "1")]).json
    assert (state["signals"], state["source"], state["status"]) == (["dnt", "gpc"], "signal", "unknown")
    assert state["should_ask"] is False


@pytest.mark.parametrize(
    ("query", "analytics"),
    [(b"", True), (b"page=/whois/x", False), (b"page=/whoisx", True), (b"page=whois", True), (b"page=%00&page", True)],
)
def test_state_of_service_page_follows_service_conditions(query: bytes, analytics: bool) -> None:
    visitor = Visitor(install())
    visitor.accept()
    assert visitor.get(f"{PREFIX}/state", query=query).json["purposes"]["analytics"] is analytics


# A ledger that is down.


def test_failing_ledger_hides_only_earlier_policies() -> None:
    app = install(ledger=FaultyLedger(ConnectionError("gone"), {"policy"}))
    assert call(app, path=f"{PREFIX}/policy").status == 200
    assert call(app, path=f"{PREFIX}/policy/{policy().version}").status == 200
    assert call(app, path=f"{PREFIX}/policy/0123456789abcdef").status == 503


# The policy.


def test_current_policy_is_served() -> None:
    reply = call(install(), path=f"{PREFIX}/policy")
    assert reply.get("content-type") == "application/json"
    assert reply.json["version"] == policy().version
    assert reply.json["site"]["controller"] == "Test Registry Ltd."
    assert [purpose["id"] for purpose in reply.json["purposes"]] == ["necessary", "analytics", "media"]
    assert call(install(), path=f"{PREFIX}/policy/{policy().version}").json == reply.json


@pytest.mark.requirement("PO-05")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_answered_policy_is_served_after_policy_changed(kind: str, tmp_path: Path) -> None:
    ledger = MemoryLedger() if kind == "memory" else open_ledger(ledger_url(tmp_path))
    old = install(text=SITE.replace("We count visits.", "We count all visits."), ledger=ledger)
    new = install(ledger=ledger)
    shown = call(old, path=f"{PREFIX}/policy").json
    address = f"{PREFIX}/policy/{shown['version']}"
    assert call(new, path=address).status == 404
    Visitor(old).refuse()
    assert call(new, path=address).json == shown
    assert shown["version"] != policy().version


def test_policies_of_history_are_served_without_ledger() -> None:
    old = policy(SITE.replace("30 days", "60 days"))
    app = install(history=[old])
    assert call(app, path=f"{PREFIX}/policy/{old.version}").json["version"] == old.version
    assert call(app, path=f"{PREFIX}/policy").json["version"] == policy().version


@pytest.mark.parametrize("version", ["0123456789abcdef", "x", "'; DROP TABLE policies; --", "\0", "地図", "a/b"])
def test_unknown_policy_version_is_not_found(version: str, tmp_path: Path) -> None:
    app = install(ledger=f"sqlite:///{tmp_path}/consent.db")
    assert call(app, path=f"{PREFIX}/policy/{version}").status == 404


PROMISES = {
    "Nothing but what is strictly necessary happens before you say yes": "all",
    "Before you say yes, its server sets and reads only strictly necessary cookies": "cookies",
}


@pytest.mark.parametrize(
    ("options", "promised"),
    [
        ({}, ["cookies"]),
        ({"csp": "enforce"}, ["all"]),
        ({"undeclared": "allow"}, []),
        ({"undeclared": "allow", "csp": "enforce"}, []),
    ],
)
def test_page_promises_before_an_answer_no_more_than_the_options_hold(
    options: dict[str, Any], promised: list[str]
) -> None:
    page = Visitor(install(**options)).get(PREFIX).text
    assert [what for text, what in PROMISES.items() if text in page] == promised
