"""Tests of the visitor's own data: records, notes, receipts, export and erasure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.endpoints.own_data import LARGEST_CHUNK
from cookie_consent.ledgers import Ledger, MemoryLedger
from cookie_consent.ledgers.glossary import ACCESS_RECORD, CONSENT_RECORD
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    call,
    install,
    policy,
)
from tests.support.browsers.browser import forms
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import text_of

BROWSER = [("user-agent", PHONE)]
HTML = ("accept", "text/html")
WANTS_JSON = ("accept", "application/json")
EXPORT, ERASE = f"{PREFIX}/export", f"{PREFIX}/erase"
RECEIPT = f"{PREFIX}/receipt"
READ_PATHS = [EXPORT, RECEIPT]
"""Paths that visitors can only read."""


def traced_visitor(**options: Any) -> Visitor:
    """Return a visitor who granted all purposes and looked at two pages."""
    visitor = Visitor(install(**{"access_log": MemorySink(), "ledger": MemoryLedger(), **options}), BROWSER)
    visitor.accept()
    visitor.get("/one")
    visitor.get("/two")
    return visitor


def visitor_with_answers(app: Any, *choices: str, clock: Clock | None = None, headers: Fields = ()) -> Visitor:
    """Return a visitor who gave these answers in the settings, a day apart if there is a clock."""
    visitor = Visitor(app, headers)
    for choice in choices or ("accept_all",):
        visitor.post({"choice": choice, "source": "settings", "surface": "settings"})
        if clock:
            clock.forward(days=1)
    return visitor


def own_records(visitor: Visitor) -> list[dict[str, Any]]:
    """Return the visitor's records."""
    records: list[dict[str, Any]] = visitor.get(EXPORT).json["consent_records"]
    return records


def words(key: str, language: str = "en") -> str:
    return escape(text_of(policy(), language, key))


def redirect_of(reply: Reply) -> tuple[str, bytes]:
    path, _, query = reply.get("location").partition("?")
    return path, query.encode()


def visible_text(html: str) -> str:
    """Return the text of a page, as a person reads it."""
    body = re.sub(r"</?(?:time|code|bdi)[^>]*>", "", html.partition("<body")[2].partition(">")[2])
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


# The settings page.


def test_settings_page_before_answer_says_nothing_is_kept(ledger: Ledger) -> None:
    text = call(install(ledger=ledger), path=PREFIX).text
    assert words("kept_nothing") in text
    assert f'href="{RECEIPT}' not in text
    assert f'href="{EXPORT}"' in text


def test_settings_page_lists_kept_data(ledger: Ledger) -> None:
    visitor = traced_visitor(ledger=ledger, clock=Clock())
    text = visitor.get(PREFIX).text
    export = visitor.get(EXPORT).json
    (record,) = export["consent_records"]
    seen = visible_text(text)
    assert "1 record of your answers" in seen
    assert "in a cookie on your device, until December 16, 2025" in seen
    assert record["consent_id"] in seen
    assert export["visitor_id"] in seen
    assert words("kept_nothing") not in text
    for address in READ_PATHS:
        assert f'href="{address}"' in text
        assert visitor.get(address).status == 200


def test_erasure_is_offered_only_while_there_is_something_to_erase() -> None:
    clock = Clock()
    visitor = Visitor(install(access_log=MemorySink(), clock=clock), BROWSER)
    assert offered_erasure(visitor) is None
    visitor.refuse()
    assert offered_erasure(visitor) is None
    visitor.accept()
    assert offered_erasure(visitor) == f"{words('erase')} {words('answer_stays')}"
    visitor.refuse()
    assert offered_erasure(visitor) == f"{words('erase')} {words('answer_stays')}"
    visitor.post({}, path=ERASE)
    assert offered_erasure(visitor) is None


def offered_erasure(visitor: Visitor) -> str | None:
    """Return the text of the settings page's form to erase; None if there is no such form."""
    form = (
        visitor.get(PREFIX).text.partition(f'action="{ERASE}?language=en"')[2].partition(">")[2].partition("</form>")[0]
    )
    return " ".join(re.sub("<[^>]*>", " ", form).split()) or None


def test_settings_page_without_ledger_names_only_the_cookie() -> None:
    visitor = visitor_with_answers(install())
    text = visitor.get(PREFIX).text
    assert words("kept_intro").partition("{")[0] in text
    assert "records of your answers, as proof" not in visible_text(text)
    assert f'href="{RECEIPT}"' in text


# The records.


def test_record_keeps_its_retention_when_policy_changes(ledger: Ledger) -> None:
    visitor = visitor_with_answers(install(text=f'{SITE}\n[records]\nkeep = "10 days"\n', ledger=ledger, clock=Clock()))
    visitor.app = install(text=f'{SITE}\n[records]\nkeep = "2000 days"\n', ledger=ledger, clock=Clock())
    assert own_records(visitor)[0]["keep_until"] == "2025-12-26T15:06:40Z"


# The receipt.


def test_receipt_contains_record_in_force(ledger: Ledger) -> None:
    clock = Clock()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), "accept_all", "refuse_all", clock=clock)
    receipt = visitor.get(RECEIPT).json
    first, holds = own_records(visitor)
    assert {key: receipt[key] for key in holds} == holds
    assert (receipt["record_id"], receipt["previous"]) == (holds["record_id"], first["record_id"])
    address = f"https://site.example{PREFIX}"
    assert receipt["withdraw_at"] == address
    assert receipt["policy_url"] == f"{address}/policy/{policy().version}"
    assert [(purpose["id"], purpose["title"], purpose["granted"]) for purpose in receipt["purposes"]] == [
        ("analytics", "Access tracing", False),
        ("media", "Maps and videos", False),
    ]


class DamagedPolicies(MemoryLedger):
    """A ledger whose policies are lost or damaged."""

    def __init__(self, kept: dict[str, Any] | None) -> None:
        super().__init__()
        self._left = kept

    async def policy(self, version: str) -> dict[str, Any] | None:
        return self._left


@pytest.mark.parametrize(
    ("ledger", "words_of_then"),
    [(MemoryLedger(), True), (DamagedPolicies(None), False), (DamagedPolicies({"site": {}}), False)],
    ids=["kept", "lost", "unreadable"],
)
def test_receipt_uses_wording_of_answered_policy(ledger: MemoryLedger, words_of_then: bool) -> None:
    visitor = visitor_with_answers(install(ledger=ledger))
    visitor.app = install(text=SITE.replace("We count visits.", "We count each visit."), ledger=ledger)
    receipt = visitor.get(RECEIPT).json
    then, now = "We count visits.", "We count each visit."
    assert receipt["purposes"][0]["purpose"] == (then if words_of_then else now)
    assert (receipt["described_by"]["version"] == receipt["policy"]) == words_of_then
    assert visitor.get(f"{PREFIX}/export").json["receipts"] == [receipt]


def test_receipt_without_ledger_is_made_from_cookie() -> None:
    visitor = Visitor(install(clock=Clock()))
    visitor.save(media=True)
    receipt = visitor.get(RECEIPT).json
    assert (receipt["consent_id"], receipt["record_id"], receipt["text"]) == (None, None, None)
    assert (receipt["status"], receipt["granted"], receipt["refused"]) == ("partial", ["media"], ["analytics"])
    assert receipt["expires_at"] == "2025-12-16T15:06:40Z"


def test_receipt_before_answer_is_not_found() -> None:
    reply = call(install(ledger=MemoryLedger()), path=RECEIPT)
    assert (reply.status, reply.get("content-type")) == (404, "application/problem+json")
    page = call(install(), path=RECEIPT, headers=[HTML])
    assert (page.status, words("why_unanswered") in page.text) == (404, True)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("shop.example:8443", f"https://shop.example:8443{PREFIX}"),
        ("[::1]:80", f"https://[::1]:80{PREFIX}"),
        ("", PREFIX),
        ("evil example", PREFIX),
        ('"><script>', PREFIX),
        ("a" * 256, PREFIX),
        ("a/../b", PREFIX),
    ],
)
def test_address_on_receipt_includes_only_valid_host(host: str, address: str) -> None:
    visitor = visitor_with_answers(install())
    assert visitor.get(RECEIPT, host=host).json["withdraw_at"] == address


# The export.


@pytest.mark.requirement("PC-11", "LP-10")
def test_export_contains_everything_that_is_kept(ledger: Ledger) -> None:
    visitor = traced_visitor(ledger=ledger, clock=Clock())
    reply = visitor.get(EXPORT)
    export = reply.json
    assert reply.get("content-disposition") == 'attachment; filename="privacy-export.json"'
    assert export["consent"]["status"] == "granted"
    assert [record["event"] for record in export["consent_records"]] == ["granted"]
    assert [receipt["record_id"] for receipt in export["receipts"]] == [export["consent_records"][0]["record_id"]]
    assert export["receipts"] == [visitor.get(RECEIPT).json]
    assert visitor.jar["__Host-visitor"].startswith(f"{export['visitor_id']}.")
    assert [record["url.path"] for record in export["access_records"]] == ["/one", "/two"]
    for kind, meanings in (("consent_records", CONSENT_RECORD), ("access_records", ACCESS_RECORD)):
        assert export["meanings"][kind] == dict(meanings)
        assert all(record.keys() <= meanings.keys() for record in export[kind])


def test_long_export_is_sent_in_pieces() -> None:
    class Long(MemorySink):
        def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
            yield from ({"visitor.id": visitor_id, "url.path": f"/{number}"} for number in range(2000))

    reply = traced_visitor(access_log=Long()).get(EXPORT)
    assert len(reply.json["access_records"]) == 2000
    assert max(map(len, reply.chunks)) == LARGEST_CHUNK


def test_export_contains_nothing_of_other_visitors() -> None:
    first = traced_visitor()
    other = Visitor(first.app, BROWSER)
    other.save(media=True)
    export = other.get(EXPORT).json
    assert [record["status"] for record in export["consent_records"]] == ["partial"]
    assert (export["visitor_id"], export["access_records"]) == (None, [])


def test_export_is_empty_where_nothing_is_kept() -> None:
    for app in (install(), install(access_log=MemorySink(), ledger=MemoryLedger())):
        export = call(app, path=EXPORT).json
        export.pop("meanings")
        assert {key: value for key, value in export.items() if value} == {"access_records_complete": True}
    without_id = visitor_with_answers(install())
    later = Visitor(install(ledger=MemoryLedger()))
    later.jar = without_id.jar
    assert own_records(later) == []


# Erasure.


@pytest.mark.requirement("LP-12")
def test_erasure_removes_access_records_and_visitor_id_but_not_proof(ledger: Ledger) -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink, ledger=ledger)
    other = Visitor(visitor.app, BROWSER)
    other.accept()
    other.get("/three")
    before = own_records(visitor)
    former = visitor.jar["__Host-visitor"].partition(".")[0]
    reply = visitor.post({}, [WANTS_JSON], path=ERASE)
    assert reply.json["erased"] == 2
    assert reply.json["consent_records"] == [record["record_id"] for record in before]
    assert "Article 7(1)" in reply.json["why"]
    (line,) = reply.all("set-cookie")
    assert line.startswith("__Host-visitor=; Max-Age=0; ")
    assert "; Path=/" in line
    assert "; Secure" in line
    assert [record["url.path"] for record in sink.records] == ["/three"]
    assert own_records(visitor) == before
    visitor.get("/again")
    assert not visitor.jar["__Host-visitor"].startswith(former)
    assert visitor.state()["status"] == "granted"


def test_erasure_form_redirects_to_settings_in_its_language() -> None:
    visitor = traced_visitor()
    assert f"{ERASE}?language=ja" in [form.action for form in forms(visitor.get(PREFIX, query=b"language=ja").text)]
    reply = visitor.send_form("", path=ERASE, query=b"language=ja")
    path, query = redirect_of(reply)
    assert (reply.status, path, query) == (303, PREFIX, b"language=ja&erased")
    text = visitor.get(path, query=query).text
    assert words("erased", "ja") in text
    assert words("proof_stays", "ja") in text
    assert 'role="status"' in text


def test_erasure_without_ledger_mentions_no_proof() -> None:
    visitor = traced_visitor(ledger=None)
    path, query = redirect_of(visitor.send_form("", path=ERASE, query=b"language=tlh"))
    assert query == b"language=en&erased"
    text = visitor.get(path, query=query).text
    assert words("erased") in text
    assert words("proof_stays") not in text
    reply = traced_visitor(ledger=None).post({}, [WANTS_JSON], path=ERASE)
    assert reply.json == {"erased": 2, "consent_records": [], "why": None, "still_traced": True}


def test_erasure_says_that_the_consent_stands_and_offers_to_withdraw_it() -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink)
    path, query = redirect_of(visitor.send_form("", path=ERASE))
    text = visitor.get(path, query=query).text
    assert words("still_traced") in text
    (form,) = [form for form in forms(text) if dict(form.hidden).get("asked") == "analytics"]
    visitor.send_form(form.pressed("save"))
    state = visitor.state()["purposes"]
    assert (state["analytics"], state["media"]) == (False, True)
    visitor.get("/again")
    assert sink.records == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"%ff=%00&&language=ja&language=en"),
        ("application/json", b'{"\\ud800": 1'),
        ("application/json", b'{"language": 1}'),
        ("text/plain", b"erase all"),
        ("", b""),
    ],
)
def test_erasure_ignores_request_body(content_type: str, body: bytes) -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink)
    own = [("content-type", content_type), ("sec-fetch-site", "same-origin")]
    reply = visitor.request("POST", ERASE, own, body)
    assert (reply.status, reply.get("location")) == (303, f"{PREFIX}?language=en&erased")
    assert sink.records == []
    assert visitor.request("POST", ERASE, own, b" " * 65_537).status == 413


@pytest.mark.parametrize("headers", [[("dnt", "1")], [("sec-gpc", "1"), ("dnt", "1")]])
def test_access_records_can_be_exported_and_erased_despite_signal(headers: list[tuple[str, str]]) -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink)
    assert len(visitor.get(EXPORT, headers).json["access_records"]) == 2
    reply = visitor.post({}, [*headers, WANTS_JSON], path=ERASE)
    assert reply.json["erased"] == 2
    assert "__Host-visitor" in reply.set_cookies
    assert sink.records == []


def test_access_records_can_be_exported_after_answer_expired() -> None:
    clock = Clock()
    visitor = traced_visitor(clock=clock)
    clock.forward(days=200)
    export = visitor.get(EXPORT).json
    assert (len(export["access_records"]), export["consent"], export["consent_records"]) == (2, None, [])
    assert export["visitor_id"] in visitor.get(PREFIX).text
    clock.forward(days=200)
    assert visitor.get(EXPORT).json["access_records"] == []


def test_erasure_where_nothing_is_kept_sets_no_cookie() -> None:
    reply = Visitor(install()).post({}, [WANTS_JSON], path=ERASE)
    nothing = {"erased": 0, "consent_records": [], "why": None, "still_traced": False}
    assert (reply.json, reply.all("set-cookie")) == (nothing, [])


# Forged cookies.


def test_cookie_signed_with_other_key_shows_nothing() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger))
    own = install(ledger=ledger)
    stranger = ConsentMiddleware(own.app, policy(), "another-key-" + "x" * 32, ledger=ledger)
    visitor.app = stranger
    assert own_records(visitor) == []
    assert visitor.get(RECEIPT).status == 404


# The limit.


def test_own_data_limit_is_per_visitor_and_for_own_data_alone() -> None:
    clock = Clock()
    app = install(ledger=MemoryLedger(), access_log=MemorySink(), clock=clock)
    app._site.limits["own data"].most = 3
    visitor, other = (visitor_with_answers(app, headers=[("accept-language", "ja")]) for _ in range(2))
    paths = (*READ_PATHS, ERASE)
    assert [status_of(visitor, path) for path in paths] == [200, 200, 303]
    clock.forward(seconds=10.5)
    assert [status_of(visitor, path) for path in paths] == [429] * 3
    assert [status_of(other, path) for path in paths] == [200, 200, 303]
    reply = visitor.get(EXPORT)
    assert (reply.get("retry-after"), reply.get("content-type")) == ("590", "application/problem+json")
    assert "3 requests in 600 seconds" in reply.json["detail"]
    assert words("error_too_many", "ja") in visitor.get(EXPORT, [HTML]).text
    assert (visitor.get(PREFIX).status, visitor.refuse().status) == (200, 200)
    assert {call(app, path=EXPORT).status for _ in range(5)} == {200}, "without a cookie there is nothing to read"
    clock.forward(seconds=590)
    assert visitor.get(EXPORT).status == 200


def test_own_data_limit_uses_visitor_id_without_consent_id() -> None:
    visitor = traced_visitor(ledger=None)
    visitor.app._site.limits["own data"].most = 1  # type: ignore[attr-defined]
    assert [visitor.get(EXPORT).status for _ in range(2)] == [200, 429]


def status_of(visitor: Visitor, path: str) -> int:
    return visitor.post({}, path=path).status if path == ERASE else visitor.get(path).status


# Stores that are down.


class UnreadableAccessLog(MemorySink):
    """A sink whose file may not be read or written."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        raise PermissionError("not allowed")

    def erase(self, visitor_id: str) -> int:
        raise PermissionError("not allowed")


def test_settings_page_works_while_ledger_is_down_and_own_data_gets_503() -> None:
    ledger, sink = FaultyLedger(), MemorySink()
    visitor = traced_visitor(ledger=ledger, access_log=sink)
    record = ledger.kept[0]["record_id"].encode()
    before = len(sink.records)
    ledger.fault = ConnectionError("gone")
    settings = visitor.get(PREFIX)
    assert (settings.status, words("status_granted") in settings.text) == (200, True)
    assert "record of your answers" not in settings.text
    for path in READ_PATHS:
        assert visitor.get(path, query=b"record=" + record).status == 503
        page = visitor.get(path, [HTML])
        assert (page.status, words("error_unavailable") in page.text) == (503, True)
    reply = visitor.post({}, path=ERASE)
    assert (reply.status, reply.all("set-cookie")) == (503, [])
    assert len(sink.records) == before
    ledger.fault = None
    assert visitor.get(EXPORT).status == 200


def test_export_gets_503_if_access_log_is_unreadable(caplog: pytest.LogCaptureFixture) -> None:
    reply = traced_visitor(access_log=UnreadableAccessLog()).get(EXPORT)
    assert (reply.status, reply.get("content-type")) == (503, "application/problem+json")
    assert [record.levelname for record in caplog.records if record.levelname == "ERROR"] == ["ERROR"]


def test_failed_erasure_keeps_visitor_id() -> None:
    visitor = traced_visitor(access_log=UnreadableAccessLog())
    reply = visitor.send_form("", path=ERASE)
    assert (reply.status, reply.all("set-cookie")) == (503, [])
    assert words("error_unavailable") in reply.text


# HTML and HEAD.
