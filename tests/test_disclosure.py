"""What a visitor and a program may see under the prefix: settings, state, receipt, export, policy; and erasure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.ledgers import MemoryLedger, SqliteLedger
from cookie_consent.sinks import MemorySink
from tests.asgi import PHONE, PREFIX, SITE, Clock, Visitor, call, install, policy

BROWSER = [("user-agent", PHONE)]


def traced(**options: Any) -> Visitor:
    """Return a visitor who allowed all and looked at two pages."""
    visitor = Visitor(install(**{"access_log": MemorySink(), "ledger": MemoryLedger(), **options}), BROWSER)
    visitor.accept()
    visitor.get("/one")
    visitor.get("/two")
    return visitor


# The settings page.


def test_the_settings_page_says_all_and_needs_no_script() -> None:
    reply = call(install(), path=PREFIX, headers=[("accept", "text/html")])
    assert reply.get("content-type") == "text/html; charset=utf-8"
    for said in (
        *("Access tracing", "We count visits.", "30 days", "Maps and videos", "_ga*", "player", "session"),
        *("__Host-consent", "__Host-visitor", "Maps Inc.", "IP address", "Map of offices", "privacy@site.example"),
        *("Test Registry Ltd.", policy().version, 'value="accept_all"', 'value="refuse_all"', 'value="save"'),
        *(policy().texts["en"]["status_unknown"], policy().texts["en"]["no_changes"], "/whois/terms"),
    ):
        assert said in reply.text, said
    assert "<script" not in reply.text
    assert "default-src 'none'" in reply.get("content-security-policy")
    assert "script-src" not in reply.get("content-security-policy")
    assert reply.get("referrer-policy") == "same-origin"
    assert reply.all("set-cookie") == []


def test_the_settings_page_knows_the_answer() -> None:
    visitor = Visitor(install(clock=Clock()))
    visitor.save(media=True)
    text = visitor.get(PREFIX).text
    assert policy().texts["en"]["status_partial"] in text
    assert 'value="media" checked' in text
    assert 'value="analytics" checked' not in text
    assert '<time datetime="2025-12-12">' in text


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        (b"", "", "en"),
        (b"", "ja", "ja"),
        (b"", "fr, ja;q=0.1", "ja"),
        (b"language=ja", "en", "ja"),
        (b"language=fr", "ja", "ja"),
        (b"language=%ff&language=", "", "en"),
    ],
)
def test_the_settings_page_is_in_the_language_that_was_asked_for(query: bytes, accepted: str, language: str) -> None:
    reply = call(install(), path=PREFIX, query=query, headers=[("accept-language", accepted)])
    assert f'<html lang="{language}"' in reply.text
    assert reply.get("content-language") == language
    assert "Accept-Language" in reply.get("vary")


def test_the_settings_page_leads_back_to_a_page_of_the_site_only() -> None:
    assert 'href="/there?a=b"' in call(install(), path=PREFIX, query=b"next=/there%3Fa=b").text
    assert "evil" not in call(install(), path=PREFIX, query=b"next=//evil.example").text
    assert "evil" not in call(install(), path=PREFIX, query=b"next=javascript:evil()").text


# The state.


def test_before_an_answer_the_state_is_unknown() -> None:
    assert call(install(), path=f"{PREFIX}/state").json == {
        "status": "unknown",
        "purposes": {"necessary": True, "analytics": False, "media": False},
        "should_ask": True,
        "policy": policy().version,
        "decided_at": None,
        "expires_at": None,
        "source": None,
        "signals": [],
        "features": {"map": False},
    }


def test_signals_are_part_of_the_state() -> None:
    state = call(install(), path=f"{PREFIX}/state", headers=[("dnt", "1"), ("sec-gpc", "1")]).json
    assert (state["signals"], state["source"], state["status"]) == (["dnt", "gpc"], "signal", "unknown")
    assert state["should_ask"] is False


@pytest.mark.parametrize(
    ("query", "analytics"),
    [(b"", True), (b"page=/whois/x", False), (b"page=/whoisx", True), (b"page=whois", True), (b"page=%00&page", True)],
)
def test_the_state_of_a_page_of_a_service_is_the_services(query: bytes, analytics: bool) -> None:
    visitor = Visitor(install())
    visitor.accept()
    assert visitor.get(f"{PREFIX}/state", query=query).json["purposes"]["analytics"] is analytics


# The receipt.


def test_a_receipt_says_who_asked_what_and_what_was_answered() -> None:
    visitor = Visitor(install(ledger=MemoryLedger(), make_id=lambda: "id-1", clock=Clock()))
    visitor.save(media=True)
    receipt = visitor.get(f"{PREFIX}/receipt").json
    assert receipt.pop("facts").keys() == {"analytics", "media"}
    assert receipt == {
        "schema": 1,
        "consent_id": "id-1",
        "policy": policy().version,
        "status": "partial",
        "decided_at": "2025-06-15T15:06:40Z",
        "expires_at": "2025-12-12T15:06:40Z",
        "source": "api",
        "language": "en",
        "signals": [],
        "granted": ["media"],
        "refused": ["analytics"],
        "site": "Test Registry",
        "controller": "Test Registry Ltd.",
        "contact": "privacy@site.example",
        "prevailing_language": "en",
        "policy_url": f"{PREFIX}/policy/{policy().version}",
        "withdraw_at": PREFIX,
        "purposes": [
            {"id": "analytics", "title": "Access tracing", "granted": False, "recipients": []},
            {"id": "media", "title": "Maps and videos", "granted": True, "recipients": ["Maps Inc."]},
        ],
    }


def test_without_an_answer_there_is_no_receipt() -> None:
    reply = call(install(), path=f"{PREFIX}/receipt")
    assert (reply.status, reply.get("content-type")) == (404, "application/problem+json")


# The export.


def test_an_export_has_everything_that_is_kept() -> None:
    visitor = traced(make_id=iter(["consent-1", "visitor-1"]).__next__)
    reply = visitor.get(f"{PREFIX}/export")
    export = reply.json
    assert reply.get("content-disposition") == 'attachment; filename="privacy-export.json"'
    assert export["consent"]["status"] == "granted"
    assert [record["status"] for record in export["consent_records"]] == ["granted"]
    assert export["visitor_id"] == "visitor-1"
    assert [record["url.path"] for record in export["access_records"]] == ["/one", "/two"]


def test_an_export_has_nothing_of_others() -> None:
    first = traced()
    other = Visitor(first.app, BROWSER)
    other.refuse()
    export = other.get(f"{PREFIX}/export").json
    assert [record["status"] for record in export["consent_records"]] == ["refused"]
    assert (export["visitor_id"], export["access_records"]) == (None, [])


def test_an_export_of_nothing_is_empty() -> None:
    for app in (install(), install(access_log=MemorySink(), ledger=MemoryLedger())):
        assert call(app, path=f"{PREFIX}/export").json == {
            "consent": None,
            "consent_records": [],
            "visitor_id": None,
            "access_records": [],
        }
    without_id = Visitor(install())
    without_id.accept()
    later = Visitor(install(ledger=MemoryLedger()))
    later.jar = without_id.jar
    assert later.get(f"{PREFIX}/export").json["consent_records"] == []


def test_a_forged_id_shows_and_erases_nothing() -> None:
    visitor = traced()
    token = visitor.jar["__Host-visitor"]
    other = Visitor(visitor.app)
    for forged in (token[:-1], token.partition(".")[0], token + "A", f'"{token}"'):
        other.jar = {"__Host-visitor": forged}
        assert other.get(f"{PREFIX}/export").json["access_records"] == []
        assert other.post({}, path=f"{PREFIX}/erase", headers=[("accept", "application/json")]).json == {"erased": 0}


# Erasure.


def test_erasing_takes_the_access_records_and_the_id() -> None:
    sink = MemorySink()
    visitor = traced(access_log=sink)
    other = Visitor(visitor.app, BROWSER)
    other.accept()
    other.get("/three")
    reply = visitor.post({}, path=f"{PREFIX}/erase", headers=[("accept", "application/json")])
    assert reply.json == {"erased": 2}
    (line,) = reply.all("set-cookie")
    assert line.startswith("__Host-visitor=; Max-Age=0; ")
    assert "; Path=/" in line
    assert "; Secure" in line
    assert [record["url.path"] for record in sink.records] == ["/three"]
    assert visitor.state()["status"] == "granted"


def test_after_erasing_a_visitor_is_another_one() -> None:
    sink = MemorySink()
    visitor = traced(access_log=sink)
    first = visitor.jar["__Host-visitor"]
    visitor.send_form("", path=f"{PREFIX}/erase")
    visitor.get("/again")
    assert visitor.jar["__Host-visitor"] != first
    assert [record["url.path"] for record in sink.records] == ["/again"]


def test_a_form_that_erases_comes_back_to_the_settings_page_which_says_so() -> None:
    visitor = traced()
    reply = visitor.send_form("language=ja", [("accept-language", "ja")], path=f"{PREFIX}/erase")
    assert reply.status == 303
    location, _, query = reply.get("location").partition("?")
    assert location == PREFIX
    text = visitor.get(PREFIX, query=query.encode(), headers=[("accept-language", "ja")]).text
    assert policy().texts["ja"]["erased"] in text
    assert 'role="status"' in text


@pytest.mark.parametrize("headers", [[("dnt", "1")], [("sec-gpc", "1"), ("dnt", "1")]])
def test_what_was_traced_is_the_visitors_own_also_while_a_signal_is_sent(headers: list[tuple[str, str]]) -> None:
    sink = MemorySink()
    visitor = traced(access_log=sink)
    assert len(visitor.get(f"{PREFIX}/export", headers).json["access_records"]) == 2
    reply = visitor.post({}, [*headers, ("accept", "application/json")], path=f"{PREFIX}/erase")
    assert reply.json == {"erased": 2}
    assert "__Host-visitor" in reply.set_cookies
    assert sink.records == []


def test_what_was_traced_is_the_visitors_own_also_when_the_answer_has_expired() -> None:
    clock = Clock()
    visitor = traced(clock=clock)
    clock.forward(days=200)
    assert len(visitor.get(f"{PREFIX}/export").json["access_records"]) == 2
    clock.forward(days=200)
    assert visitor.get(f"{PREFIX}/export").json["access_records"] == []


def test_erasing_where_nothing_is_kept_sets_nothing() -> None:
    reply = Visitor(install()).post({}, [("accept", "application/json")], path=f"{PREFIX}/erase")
    assert (reply.json, reply.all("set-cookie")) == ({"erased": 0}, [])


def test_a_file_is_exported_from_and_erased_in(tmp_path: Path) -> None:
    visitor = traced(access_log=tmp_path / "access.jsonl")
    paths = [record["url.path"] for record in visitor.get(f"{PREFIX}/export").json["access_records"]]
    assert paths == ["/one", "/two"]
    reply = visitor.post({}, [("accept", "application/json")], path=f"{PREFIX}/erase")
    assert reply.json == {"erased": 2}
    assert (tmp_path / "access.jsonl").read_text().strip() == ""


# Where what is kept cannot be reached.


class Silent(MemoryLedger):
    """A ledger that takes records and gives none back."""

    async def records(self, consent_id: str) -> list[dict[str, Any]]:
        raise ConnectionError("gone")

    async def policy(self, version: str) -> dict[str, Any] | None:
        raise ConnectionError("gone")


class Unreadable(MemorySink):
    """A sink whose file is out of reach."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        raise PermissionError("not allowed")

    def erase(self, visitor_id: str) -> int:
        raise PermissionError("not allowed")


@pytest.mark.parametrize("options", [{"ledger": Silent()}, {"access_log": Unreadable()}])
def test_an_export_is_whole_or_none(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    reply = traced(**options).get(f"{PREFIX}/export")
    assert (reply.status, reply.get("content-type")) == (503, "application/problem+json")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_an_erasure_that_fails_leaves_the_id_so_that_it_can_be_tried_again() -> None:
    visitor = traced(access_log=Unreadable())
    reply = visitor.send_form("", path=f"{PREFIX}/erase")
    assert (reply.status, reply.all("set-cookie")) == (503, [])
    assert policy().texts["en"]["error_unavailable"] in reply.text


def test_a_ledger_that_is_down_hides_only_the_policies_that_it_alone_has() -> None:
    app = install(ledger=Silent())
    assert call(app, path=f"{PREFIX}/policy").status == 200
    assert call(app, path=f"{PREFIX}/policy/{policy().version}").status == 200
    assert call(app, path=f"{PREFIX}/policy/0123456789abcdef").status == 503


def test_a_ledger_that_hangs_is_not_waited_for_without_end() -> None:
    class Hanging(MemoryLedger):
        async def policy(self, version: str) -> dict[str, Any] | None:
            await asyncio.Event().wait()
            raise AssertionError("never")

    assert call(install(ledger=Hanging()), path=f"{PREFIX}/policy/x").status == 503


# The policy.


def test_the_policy_is_there_as_it_is() -> None:
    reply = call(install(), path=f"{PREFIX}/policy")
    assert reply.get("content-type") == "application/json"
    assert reply.json["version"] == policy().version
    assert reply.json["site"]["controller"] == "Test Registry Ltd."
    assert [purpose["id"] for purpose in reply.json["purposes"]] == ["necessary", "analytics", "media"]
    assert call(install(), path=f"{PREFIX}/policy/{policy().version}").json == reply.json


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_policy_is_there_as_it_was_when_somebody_answered(kind: str, tmp_path: Path) -> None:
    ledger = MemoryLedger() if kind == "memory" else SqliteLedger(tmp_path / "consent.db")
    old = install(text=SITE.replace("We count visits.", "We count all visits."), ledger=ledger)
    new = install(ledger=ledger)
    shown = call(old, path=f"{PREFIX}/policy").json
    address = f"{PREFIX}/policy/{shown['version']}"
    assert call(new, path=address).status == 404
    Visitor(old).refuse()
    assert call(new, path=address).json == shown
    assert shown["version"] != policy().version


def test_the_policies_of_the_history_are_there_without_a_ledger() -> None:
    old = policy(SITE.replace("30 days", "60 days"))
    app = install(history=[old])
    assert call(app, path=f"{PREFIX}/policy/{old.version}").json["version"] == old.version
    assert call(app, path=f"{PREFIX}/policy").json["version"] == policy().version


@pytest.mark.parametrize("version", ["0123456789abcdef", "x", "'; DROP TABLE policies; --", "\0", "地図", "a/b"])
def test_a_policy_that_never_was_is_not_found(version: str, tmp_path: Path) -> None:
    app = install(ledger=f"sqlite:///{tmp_path}/consent.db")
    assert call(app, path=f"{PREFIX}/policy/{version}").status == 404
