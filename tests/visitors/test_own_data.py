"""Tests of the visitor's own data: records, notes, receipts, export and erasure."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from html import escape, unescape
from pathlib import Path
from typing import Any

import anyio
import html5lib
import pytest
from anyio.lowlevel import checkpoint
from starlette.types import Message

from cookie_consent import ConsentMiddleware
from cookie_consent.ledgers import Entry, Ledger, MemoryLedger
from cookie_consent.ledgers.glossary import ACCESS_RECORD, CONSENT_RECORD
from cookie_consent.sinks import MemorySink
from cookie_consent.visitors.own_records import LONGEST_NOTE
from tests.support.asgi import (
    NOW,
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
    run,
    scope,
    without_form_ids,
)
from tests.support.browsers.browser import forms
from tests.support.policies import text_of

BROWSER = [("user-agent", PHONE)]
HTML = ("accept", "text/html")
WANTS_JSON = ("accept", "application/json")
RECORDS, NOTE, SHOWN = f"{PREFIX}/records", f"{PREFIX}/records/note", f"{PREFIX}/records/shown"
EXPORT, ERASE = f"{PREFIX}/export", f"{PREFIX}/erase"
RECEIPTS = [f"{PREFIX}/receipt", f"{PREFIX}/receipt/page"]
READ_PATHS = [RECORDS, SHOWN, EXPORT, *RECEIPTS]
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
    assert f'href="{RECORDS}' not in text
    assert f'href="{PREFIX}/receipt' not in text
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
    for address in (f"{RECORDS}?language=en", f"{PREFIX}/receipt/page?language=en", EXPORT):
        assert f'href="{address}"' in text
        assert visitor.get(address.partition("?")[0], query=b"language=en").status == 200


def test_settings_page_counts_answers_without_notes() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), "accept_all", "refuse_all", clock=clock)
    visitor.post({"record": ledger.kept[0]["record_id"], "note": "Mine"}, path=NOTE)
    assert "2 records of your answers" in visible_text(visitor.get(PREFIX).text)


def test_settings_page_counts_records_without_reading_them() -> None:
    class Counting(MemoryLedger):
        async def count(self, consent_id: str) -> int:
            return 20_000

        async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
            raise AssertionError("read")

    visitor = visitor_with_answers(install(ledger=Counting()))
    assert "20,000 records of your answers" in visitor.get(PREFIX).text


def test_settings_page_without_ledger_names_only_the_cookie() -> None:
    visitor = visitor_with_answers(install())
    text = visitor.get(PREFIX).text
    assert words("kept_intro").partition("{")[0] in text
    assert "records of your answers, as proof" not in visible_text(text)
    assert f'href="{RECORDS}' not in text
    assert f'href="{PREFIX}/receipt/page?language=en"' in text


# The records.


def test_records_page_lists_own_records_newest_first(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    visitor = visitor_with_answers(app, "accept_all", "refuse_all", "refuse_all", clock=clock)
    visitor_with_answers(app, "accept_all")
    text = visitor.get(RECORDS).text
    records = own_records(visitor)
    assert [record["event"] for record in records] == ["granted", "withdrawn", "refused"]
    places = [text.index(f'id="record-{record["record_id"]}"') for record in records]
    assert places == sorted(places, reverse=True)
    assert text.count(words("given_settings")) == 3
    for name in ("event_granted", "event_withdrawn", "event_refused", "records_intro"):
        assert words(name) in text
    for title in ("Access tracing", "Maps and videos"):
        assert title in text
    assert "Kept until December 15, 2028." in visible_text(text)
    for record in records:
        assert record["decided_at"] in text
        assert f"{SHOWN}?record={record['record_id']}&amp;language=en" in text


@pytest.mark.slow
def test_records_page_shows_newest_50_and_links_to_export(ledger: Ledger) -> None:
    clock = Clock()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), *["accept_all", "refuse_all"] * 25, clock=clock)
    text = visitor.get(RECORDS).text
    assert text.count("<article") == 50
    assert f'href="{EXPORT}"' not in text
    visitor.accept()
    attach_note(visitor, "The newest", own_records(visitor)[-1]["record_id"])
    text = visitor.get(RECORDS).text
    assert text.count("<article") == 50
    assert "The newest" in text
    assert "51 records of your answers" in text
    assert f'<a href="{EXPORT}">{words("export")}</a>' in text
    oldest, second, *_ = [record["record_id"] for record in own_records(visitor)]
    assert (oldest in text, second in text) == (False, True)


def test_records_page_without_records_says_nothing_is_kept() -> None:
    for app in (install(), install(ledger=MemoryLedger())):
        reply = call(app, path=RECORDS)
        assert (reply.status, words("kept_nothing") in reply.text) == (200, True)
    assert words("kept_nothing") in visitor_with_answers(install()).get(RECORDS).text


def test_records_page_names_language_of_each_answer() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()), headers=[("accept-language", "ja")])
    text = visitor.get(RECORDS, query=b"language=en").text
    assert '<html lang="en"' in text
    assert "日本語" in text
    assert words("records", "ja") in visitor.get(RECORDS).text


@pytest.mark.slow
def test_records_page_names_removed_purpose_by_id(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    visitor = visitor_with_answers(install(ledger=url))
    now = SITE.replace("[purposes.media]", "[purposes.videos]").replace('"media"', '"videos"')
    visitor.app = install(text=now, ledger=url)
    assert "media" in visible_text(visitor.get(RECORDS).text)
    assert "Maps and videos" in visible_text(visitor.get(RECEIPTS[1]).text)


def test_records_page_lists_signals() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger))
    (granted,) = ledger.kept
    signal = {"event": "signal", "source": "signal", "record_id": "by-signal", "text": None, "repeat_key": ""}
    run(ledger.append(Entry(document={**granted, **signal})))
    text = visitor.get(RECORDS).text
    assert words("event_signal") in text
    assert words("given_signal") in text
    assert text.count(f'href="{SHOWN}') == 1


def test_records_page_shows_ended_signal_as_change_by_browser() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger))
    (granted,) = ledger.kept
    gone = {"event": "changed", "source": "signal", "record_id": "gone", "text": None, "repeat_key": ""}
    run(ledger.append(Entry(document={**granted, **gone})))
    text = visitor.get(RECORDS).text
    assert words("event_changed") in text
    assert words("event_signal") not in text
    assert words("given_signal") in text


def test_record_keeps_its_retention_when_policy_changes(ledger: Ledger) -> None:
    visitor = visitor_with_answers(install(text=f'{SITE}\n[records]\nkeep = "10 days"\n', ledger=ledger, clock=Clock()))
    visitor.app = install(text=f'{SITE}\n[records]\nkeep = "2000 days"\n', ledger=ledger, clock=Clock())
    assert own_records(visitor)[0]["keep_until"] == "2025-12-26T15:06:40Z"
    assert "Kept until December 26, 2025." in visible_text(visitor.get(RECORDS).text)


# Notes.


def attach_note(visitor: Visitor, note: object, record: object = None, headers: Fields = (), **more: object) -> Reply:
    """Attach a note, as a program does."""
    about = own_records(visitor)[0]["record_id"] if record is None else record
    return visitor.post({"record": about, "note": note, **more}, headers, path=NOTE)


def notes(visitor: Visitor) -> list[str]:
    return [record["note"] for record in own_records(visitor) if record["event"] == "note"]


def test_note_is_kept_and_leaves_record_unchanged(ledger: Ledger) -> None:
    visitor = visitor_with_answers(install(ledger=ledger), headers=[HTML])
    (before,) = own_records(visitor)
    (form,) = forms(visitor.get(RECORDS).text)
    assert (form.action, form.method) == (NOTE, "post")
    fields = "&".join(f"{name}={value}" for name, value in form.hidden)
    reply = visitor.send_form(f"{fields}&note=It+was+my+%3Cb%3Esister%3C%2Fb%3E.%0D%0AReally.", path=NOTE)
    assert reply.status == 303
    path, query = redirect_of(reply)
    text = visitor.get(path, query=query).text
    assert words("note_kept") in text
    assert "It was my &lt;b&gt;sister&lt;/b&gt;.\nReally." in text
    after, note = own_records(visitor)
    assert after == before
    assert (note["event"], note["about"], note["note"]) == (
        "note",
        before["record_id"],
        "It was my <b>sister</b>.\nReally.",
    )
    assert note["consent_id"] == before["consent_id"]


def test_json_note_is_returned(ledger: Ledger) -> None:
    visitor = visitor_with_answers(install(ledger=ledger))
    reply = attach_note(visitor, "Mine", headers=[WANTS_JSON])
    assert (reply.status, reply.json) == (201, own_records(visitor)[-1])
    assert attach_note(visitor, "Mine too").status == 303
    assert notes(visitor) == ["Mine", "Mine too"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("x", "x"),
        ("x" * LONGEST_NOTE, "x" * LONGEST_NOTE),
        ("😀" * LONGEST_NOTE, "😀" * LONGEST_NOTE),
        (f"  {'x' * LONGEST_NOTE}\n ", "x" * LONGEST_NOTE),
        ("\0" * 50 + "x" * LONGEST_NOTE, "x" * LONGEST_NOTE),
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("a\x00\x07\x1b[31m\x7f\x85b", "a[31mb"),
        ("a\ud800b\udfff", "ab"),
        ("\u202eevil\u2066\u2069", "evil"),
        ("line\u2028para\u2029", "linepara"),
        ("שלום \u200f\u200e!", "שלום \u200f\u200e!"),
        ("'; DROP TABLE consent_records; -- %s {x} {{ y }}", "'; DROP TABLE consent_records; -- %s {x} {{ y }}"),
    ],
)
def test_note_is_kept_without_unreadable_characters(ledger: Ledger, written: str, read: str) -> None:
    visitor = visitor_with_answers(install(ledger=ledger))
    assert attach_note(visitor, written).status == 303
    assert notes(visitor) == [read]
    assert escape(read) in visitor.get(RECORDS).text.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")


@pytest.mark.parametrize("written", ["", " \n\t", "\0\0", "\ud800", "x" * (LONGEST_NOTE + 1), "\u202e"])
def test_empty_or_too_long_note_is_refused(written: str) -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    reply = attach_note(visitor, written)
    assert (reply.status, reply.get("content-type")) == (400, "application/problem+json")
    assert f"between 1 and {LONGEST_NOTE} characters" in reply.json["detail"]
    assert notes(visitor) == []


def test_note_form_is_answered_in_its_language() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    record = own_records(visitor)[0]["record_id"]
    reply = visitor.send_form(f"record={record}&note=&language=ja", path=NOTE)
    assert reply.status == 400
    assert words("error_no_text", "ja") in reply.text
    assert words("error_request", "ja") in reply.text
    reply = visitor.send_form(f"record={record}&note=x&language=ja", path=NOTE)
    assert reply.get("location") == f"{RECORDS}?language=ja&noted"
    reply = visitor.send_form(f"record={record}&note=y&language=tlh", path=NOTE)
    assert reply.get("location") == f"{RECORDS}?language=en&noted"


def test_same_note_within_a_minute_is_kept_once() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), "accept_all", "refuse_all", clock=clock)
    first, second = (record["record_id"] for record in own_records(visitor))
    for record, note, seconds in (
        (first, "A", 0), (first, "A", 59), (first, "B", 0), (second, "A", 0), (first, "A", 2),
    ):  # fmt: skip
        clock.forward(seconds=seconds)
        attach_note(visitor, note, record)
    assert [(note["about"], note["note"]) for note in ledger.kept[2:]] == [
        (first, "A"),
        (first, "B"),
        (second, "A"),
        (first, "A"),
    ]


def test_note_to_record_of_other_visitor_is_not_found(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor, other = visitor_with_answers(app), visitor_with_answers(app)
    theirs = own_records(other)[0]["record_id"]
    attach_note(other, "Mine")
    their_note = own_records(other)[-1]["record_id"]
    for record in (theirs, their_note, "", "x", "\0", "\ud800", "' OR 1=1 --", "x" * 5000):
        reply = attach_note(visitor, "Evil", record)
        assert (reply.status, reply.json["status"]) == (404, 404)
    assert visitor.post({"note": "Evil"}, path=NOTE).status == 404
    assert Visitor(app).post({"record": theirs, "note": "Evil"}, path=NOTE).status == 404
    assert notes(other) == ["Mine"]
    reply = visitor.send_form(f"record={theirs}&note=Evil&language=ja", path=NOTE)
    assert (reply.status, words("error_not_found", "ja") in reply.text) == (404, True)


def test_record_takes_at_most_20_notes() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()), "accept_all", headers=[HTML])
    (record,) = (record["record_id"] for record in own_records(visitor))
    statuses = [attach_note(visitor, f"Note {number}", record).status for number in range(21)]
    assert statuses == [*[statuses[0]] * 20, 409]
    assert len(own_records(visitor)) == 21


def test_note_to_a_note_is_not_found() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    attach_note(visitor, "First")
    assert attach_note(visitor, "Second", own_records(visitor)[-1]["record_id"]).status == 404


@pytest.mark.parametrize("path", [NOTE, ERASE])
@pytest.mark.parametrize(
    "headers",
    [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [],
    ],
)
def test_cross_site_post_cannot_write_note_or_erase(headers: Fields, path: str) -> None:
    sink, ledger = MemorySink(), MemoryLedger()
    visitor = traced_visitor(access_log=sink, ledger=ledger)
    body = json.dumps({"record": ledger.kept[0]["record_id"], "note": "Evil"}).encode()
    before = len(sink.records)
    reply = visitor.request("POST", path, [("content-type", "application/json"), *headers], body)
    assert (reply.status, reply.all("set-cookie")) == (403, [])
    assert (len(sink.records), len(ledger.kept)) == (before, 1)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"record": 1, "note": "x"}', 400),
        ("application/json", b'{"note": "x", "note": "y"}', 400),
        ("application/json", b'{"\\ud800": 1}', 400),
        ("application/json", b'{"record": null}', 400),
        ("application/json", b"\xff", 400),
        ("application/x-www-form-urlencoded", b"", 404),
        ("application/x-www-form-urlencoded", b"note=%ff", 400),
        ("application/x-www-form-urlencoded", b"note=x&note=y", 400),
        ("multipart/form-data; boundary=x", b"--x--", 400),
        ("text/plain", b"note=x", 400),
        ("", b"note=x", 400),
        ("application/json", b" " * 65_537, 413),
    ],
)
def test_malformed_note_leaves_no_record(content_type: str, body: bytes, status: int) -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    own = [("content-type", content_type), ("sec-fetch-site", "same-origin")]
    assert visitor.request("POST", NOTE, own, body).status == status
    assert len(own_records(visitor)) == 1


# The text that was shown.


def test_shown_text_can_be_read_in_both_languages(ledger: Ledger) -> None:
    visitor = Visitor(install(ledger=ledger), [("accept-language", "ja"), HTML])
    shown = visitor.get(PREFIX).text
    visitor.send_form(forms(shown)[0].pressed("accept_all"))
    record = own_records(visitor)[0]["record_id"]
    query = f"record={record}&language=en".encode()
    html = visitor.get(SHOWN, query=query).text
    assert visible_text(shown) in visible_text(html)
    assert words("shown_explained") in html
    assert words("settings_intro", "ja").partition("{")[0] in html
    prevailing = visitor.get(SHOWN, query=query + b"&prevailing").text
    assert words("accept_all", "en") in prevailing
    assert words("accept_all", "ja") not in prevailing
    assert (without_form_ids(html).count("<html"), html.count("<script"), html.count("<link")) == (1, 0, 1)


def test_form_in_shown_text_is_disabled() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    html = visitor.get(SHOWN, query=b"record=" + own_records(visitor)[0]["record_id"].encode()).text
    assert re.search(r"<fieldset [^>]*disabled>", html)
    assert html.index("disabled>") < html.index("<form") < html.rindex("</form>") < html.rindex("</fieldset>")


def test_shown_text_of_other_visitors_is_not_found(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor, other = visitor_with_answers(app), visitor_with_answers(app)
    theirs = own_records(other)[0]["record_id"]
    attach_note(visitor, "Mine")
    own, note = (record["record_id"] for record in own_records(visitor))
    elsewhere = Visitor(app)
    elsewhere.accept()  # in JSON, without a surface, so no text is kept
    asked = [(visitor, record) for record in (theirs, note, "", "x", "%00", "%ed%a0%80", "' OR 1=1")]
    asked += [(elsewhere, own_records(elsewhere)[0]["record_id"]), (Visitor(app), own)]
    for who, record in asked:
        reply = who.get(SHOWN, query=f"record={record}".encode())
        assert (reply.status, reply.get("content-type")) == (404, "application/problem+json")
    assert visitor.get(SHOWN).status == 404
    assert visitor.get(SHOWN, query=b"record=" + own.encode()).status == 200
    reply = visitor.get(SHOWN, [HTML, ("accept-language", "ja")])
    assert (reply.status, words("error_not_found", "ja") in reply.text) == (404, True)


# The receipt.


def test_receipt_contains_record_in_force(ledger: Ledger) -> None:
    clock = Clock()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), "accept_all", "refuse_all", clock=clock)
    receipt = visitor.get(RECEIPTS[0]).json
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


def test_receipt_ignores_signals_and_notes() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger, clock=Clock()))
    (granted,) = ledger.kept
    attach_note(visitor, "Mine")
    signal = {"event": "signal", "source": "signal", "record_id": "s", "repeat_key": ""}
    run(ledger.append(Entry(document={**granted, **signal})))
    assert visitor.get(RECEIPTS[0]).json["record_id"] == granted["record_id"]


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
    receipt = visitor.get(RECEIPTS[0]).json
    then, now = "We count visits.", "We count each visit."
    assert receipt["purposes"][0]["purpose"] == (then if words_of_then else now)
    assert (receipt["described_by"]["version"] == receipt["policy"]) == words_of_then
    assert visitor.get(f"{PREFIX}/export").json["receipts"] == [receipt]
    page = visitor.get(RECEIPTS[1], query=b"language=en").text
    assert (then in page, now in page) == (words_of_then, not words_of_then)


def test_receipt_in_newly_offered_language_uses_current_wording() -> None:
    ledger = MemoryLedger()
    in_english = re.sub(', ja = "[^"]*"', "", SITE).replace(', "ja"]', "]")
    visitor = visitor_with_answers(install(text=in_english, ledger=ledger))
    visitor.app = install(ledger=ledger)
    assert "訪問を数えます。" in visitor.get(RECEIPTS[1], query=b"language=ja").text


def test_receipt_without_ledger_is_made_from_cookie() -> None:
    visitor = Visitor(install(clock=Clock()))
    visitor.save(media=True)
    receipt = visitor.get(RECEIPTS[0]).json
    assert (receipt["consent_id"], receipt["record_id"], receipt["text"]) == (None, None, None)
    assert (receipt["status"], receipt["granted"], receipt["refused"]) == ("partial", ["media"], ["analytics"])
    assert receipt["expires_at"] == "2025-12-16T15:06:40Z"


def test_receipt_of_removed_record_is_made_from_cookie() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger))
    ledger.remove(now=NOW, make_id=lambda: "x", consent_id=ledger.kept[0]["consent_id"])
    receipt = visitor.get(RECEIPTS[0]).json
    assert (receipt["record_id"], receipt["status"]) == (None, "granted")
    assert receipt["consent_id"] is not None


def test_receipt_before_answer_is_not_found() -> None:
    for path in RECEIPTS:
        reply = call(install(ledger=MemoryLedger()), path=path)
        assert (reply.status, reply.get("content-type")) == (404, "application/problem+json")
    page = call(install(), path=RECEIPTS[1], headers=[HTML])
    assert (page.status, words("error_not_found") in page.text) == (404, True)


def test_receipt_page_names_record_recipients_and_controller(ledger: Ledger) -> None:
    clock = Clock()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock))
    text = visitor.get(RECEIPTS[1]).text
    (record,) = own_records(visitor)
    for expected in ("Access tracing", "Maps Inc.", "IP address", "Test Registry Ltd.", "privacy@site.example"):
        assert expected in text
    for expected in (record["record_id"], record["policy"], "2025-06-15T15:06:40Z", "2025-12-16T15:06:40Z"):
        assert expected in text
    assert f'href="{PREFIX}/receipt"' in text
    assert "<script" not in text


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
    assert visitor.get(RECEIPTS[0], host=host).json["withdraw_at"] == address


def test_address_on_receipt_includes_mount_path() -> None:
    app = install()
    visitor = visitor_with_answers(app)
    reply = visitor.get(f"/shop{RECEIPTS[0]}", root_path="/shop")
    assert reply.json["withdraw_at"] == f"https://site.example/shop{PREFIX}"


# The export.


def test_export_contains_everything_that_is_kept(ledger: Ledger) -> None:
    visitor = traced_visitor(ledger=ledger, clock=Clock())
    attach_note(visitor, "Mine")
    reply = visitor.get(EXPORT)
    export = reply.json
    assert reply.get("content-disposition") == 'attachment; filename="privacy-export.json"'
    assert export["consent"]["status"] == "granted"
    assert [record["event"] for record in export["consent_records"]] == ["granted", "note"]
    assert [receipt["record_id"] for receipt in export["receipts"]] == [export["consent_records"][0]["record_id"]]
    assert export["receipts"] == [visitor.get(RECEIPTS[0]).json]
    assert visitor.jar["__Host-visitor"].startswith(f"{export['visitor_id']}.")
    assert [record["url.path"] for record in export["access_records"]] == ["/one", "/two"]


def test_export_explains_each_field() -> None:
    clock = Clock()
    visitor = traced_visitor(clock=clock)
    attach_note(visitor, "Mine")
    export = visitor.get(EXPORT).json
    meanings = export["meanings"]
    assert meanings["consent_records"] == dict(CONSENT_RECORD)
    assert meanings["access_records"] == dict(ACCESS_RECORD)
    for kind in ("consent_records", "access_records"):
        assert export[kind]
        for record in export[kind]:
            assert record.keys() <= meanings[kind].keys()


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


@pytest.mark.slow
def test_export_and_erasure_work_on_access_log_file(tmp_path: Path) -> None:
    visitor = traced_visitor(access_log=tmp_path / "access.jsonl")
    assert [record["url.path"] for record in visitor.get(EXPORT).json["access_records"]] == ["/one", "/two"]
    assert visitor.post({}, [WANTS_JSON], path=ERASE).json["erased"] == 2
    assert (tmp_path / "access.jsonl").read_text().strip() == ""


# Erasure.


def test_erasure_removes_access_records_and_visitor_id_but_not_proof(ledger: Ledger) -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink, ledger=ledger)
    other = Visitor(visitor.app, BROWSER)
    other.accept()
    other.get("/three")
    attach_note(visitor, "Mine")
    before = own_records(visitor)
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
    assert visitor.state()["status"] == "granted"


def test_visitor_gets_new_id_after_erasure() -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink)
    first = visitor.jar["__Host-visitor"]
    visitor.send_form("", path=ERASE)
    visitor.get("/again")
    assert visitor.jar["__Host-visitor"] != first
    assert [record["url.path"] for record in sink.records] == ["/again"]


def test_erasure_form_redirects_to_settings_in_its_language() -> None:
    visitor = traced_visitor()
    erasing = next(form for form in forms(visitor.get(PREFIX, query=b"language=ja").text) if form.action == ERASE)
    reply = visitor.send_form("&".join(f"{name}={value}" for name, value in erasing.hidden), path=ERASE)
    path, query = redirect_of(reply)
    assert (reply.status, path, query) == (303, PREFIX, b"language=ja&erased")
    text = visitor.get(path, query=query).text
    assert words("erased", "ja") in text
    assert words("proof_stays", "ja") in text
    assert 'role="status"' in text


def test_erasure_without_ledger_mentions_no_proof() -> None:
    visitor = traced_visitor(ledger=None)
    path, query = redirect_of(visitor.send_form("language=tlh", path=ERASE))
    assert query == b"language=en&erased"
    text = visitor.get(path, query=query).text
    assert words("erased") in text
    assert words("proof_stays") not in text
    reply = traced_visitor(ledger=None).post({}, [WANTS_JSON], path=ERASE)
    assert reply.json == {"erased": 2, "consent_records": [], "why": None}


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
def test_erasure_ignores_contents_of_request_body(content_type: str, body: bytes) -> None:
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
    assert (reply.json, reply.all("set-cookie")) == ({"erased": 0, "consent_records": [], "why": None}, [])


# Forged cookies.


def forgeries(token: str) -> Iterator[str]:
    consent_id = token.split("~")[5]
    yield from (token[:-1], token + "A", f'"{token}"', token.swapcase(), token.partition(".")[0], consent_id, "")
    yield token.replace(consent_id, "A" * len(consent_id))
    yield token[:20] + ("A" if token[20] != "A" else "B") + token[21:]


@pytest.mark.slow
def test_forged_cookies_show_and_change_nothing(ledger: Ledger) -> None:
    sink = MemorySink()
    visitor = traced_visitor(access_log=sink, ledger=ledger)
    records = own_records(visitor)
    record, secret = records[0]["record_id"], [records[0]["consent_id"], visitor.get(EXPORT).json["visitor_id"]]
    consent, pseudonym = visitor.jar["__Host-consent"], visitor.jar["__Host-visitor"]
    forged = [{"__Host-consent": token} for token in forgeries(consent)]
    forged += [{"__Host-visitor": token} for token in (pseudonym[:-1], pseudonym + "A", pseudonym.partition(".")[0])]
    forged += [{"consent": consent, "visitor": pseudonym}, {"__Host-consent": pseudonym, "__Host-visitor": consent}]
    for jar in forged:
        other = Visitor(visitor.app)
        other.jar = dict(jar)
        for path in (*READ_PATHS, PREFIX):
            reply = other.get(path, query=f"record={record}".encode())
            assert reply.status in (200, 404)
            assert not [value for value in (*secret, record, "/one") if value in reply.text], (path, jar)
        assert attach_note(other, "Evil", record).status == 404
        assert other.post({}, [WANTS_JSON], path=ERASE).json["erased"] == 0
    assert own_records(visitor) == records
    assert len(sink.records) == 2


def test_cookie_signed_with_other_key_shows_nothing() -> None:
    ledger = MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger))
    own = install(ledger=ledger)
    stranger = ConsentMiddleware(own.app, policy(), "another-key-" + "x" * 32, ledger=ledger)
    visitor.app = stranger
    assert own_records(visitor) == []
    assert [visitor.get(path).status for path in RECEIPTS] == [404, 404]


# The limit.


def status_of(visitor: Visitor, path: str) -> int:
    return visitor.post({}, path=path).status if path in (NOTE, ERASE) else visitor.get(path).status


@pytest.mark.slow
def test_own_data_limit_is_per_visitor() -> None:
    clock = Clock()
    app = install(ledger=MemoryLedger(), clock=clock)
    visitor, other = visitor_with_answers(app), visitor_with_answers(app)
    statuses = [status_of(visitor, path) for path in itertools.islice(itertools.cycle([*READ_PATHS, NOTE, ERASE]), 60)]
    assert 429 not in statuses
    clock.forward(seconds=10.5)
    for path in (*READ_PATHS, NOTE, ERASE):
        assert status_of(visitor, path) == 429
        assert status_of(other, path) != 429
    reply = visitor.get(EXPORT)
    assert (reply.get("retry-after"), reply.get("content-type")) == ("590", "application/problem+json")
    assert "60 requests in 600 seconds" in reply.json["detail"]
    clock.forward(seconds=589)
    assert visitor.get(EXPORT).get("retry-after") == "1"
    clock.forward(seconds=1)
    assert visitor.get(EXPORT).status == 200


def test_own_data_limit_is_explained_on_a_page() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()), headers=[("accept-language", "ja")])
    for _ in range(60):
        visitor.get(RECORDS)
    reply = visitor.get(RECORDS, [HTML])
    assert (reply.status, words("error_too_many", "ja") in reply.text) == (429, True)
    assert reply.get("retry-after")


@pytest.mark.slow
def test_own_data_limit_exempts_settings_and_answers() -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger()))
    for _ in range(61):
        assert visitor.get(RECORDS).status in (200, 429)
    assert visitor.get(PREFIX).status == 200
    assert visitor.refuse().status == 200
    assert visitor.state()["status"] == "refused"


@pytest.mark.slow
def test_own_data_limit_needs_a_cookie() -> None:
    app = install(ledger=MemoryLedger(), access_log=MemorySink())
    assert {call(app, path=EXPORT).status for _ in range(70)} == {200}


@pytest.mark.slow
def test_own_data_limit_uses_visitor_id_without_consent_id() -> None:
    visitor = traced_visitor(ledger=None)
    assert [visitor.get(EXPORT).status for _ in range(61)] == [200] * 60 + [429]
    assert traced_visitor(ledger=None).get(EXPORT).status == 200


# Stores that are down.


class Down(MemoryLedger):
    """A ledger with methods that can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.down: set[str] = set()

    def _raise_if_down(self, name: str) -> None:
        if name in self.down:
            raise ConnectionError("gone")

    async def append(self, entry: Entry) -> dict[str, Any]:
        self._raise_if_down("append")
        return await super().append(entry)

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        self._raise_if_down("records")
        return await super().records(consent_id, most)

    async def text(self, digest: str) -> str | None:
        self._raise_if_down("text")
        return await super().text(digest)


class UnreadableAccessLog(MemorySink):
    """A sink whose file may not be read or written."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        raise PermissionError("not allowed")

    def erase(self, visitor_id: str) -> int:
        raise PermissionError("not allowed")


def test_settings_page_works_while_ledger_is_down_and_own_data_gets_503() -> None:
    ledger, sink = Down(), MemorySink()
    visitor = traced_visitor(ledger=ledger, access_log=sink)
    record = ledger.kept[0]["record_id"].encode()
    before = len(sink.records)
    ledger.down = {"records"}
    settings = visitor.get(PREFIX)
    assert (settings.status, words("status_granted") in settings.text) == (200, True)
    assert "record of your answers" not in settings.text
    for path in READ_PATHS:
        assert visitor.get(path, query=b"record=" + record).status == 503
        page = visitor.get(path, [HTML])
        assert (page.status, words("error_unavailable") in page.text) == (503, True)
    for path in (NOTE, ERASE):
        reply = visitor.post({"record": record.decode(), "note": "Mine"}, path=path)
        assert (reply.status, reply.all("set-cookie")) == (503, [])
    assert len(sink.records) == before
    ledger.down = set()
    assert visitor.get(RECORDS).status == 200


@pytest.mark.parametrize(("name", "path"), [("append", NOTE), ("text", SHOWN)])
def test_ledger_that_fails_on_append_or_text_gets_503(name: str, path: str) -> None:
    ledger = Down()
    visitor = visitor_with_answers(install(ledger=ledger))
    record = ledger.kept[0]["record_id"]
    ledger.down = {name}
    query = f"record={record}".encode()
    reply = attach_note(visitor, "Mine", record) if path == NOTE else visitor.get(path, query=query)
    assert (reply.status, reply.get("content-type")) == (503, "application/problem+json")
    assert len(ledger.kept) == 1


class LongAccessLog(MemorySink):
    """A sink with many records of each visitor."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        yield from ({"visitor.id": visitor_id, "url.path": f"/{number}"} for number in range(20_000))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.slow
def test_long_export_does_not_block_the_event_loop(backend: str) -> None:
    visitor = traced_visitor(access_log=LongAccessLog())
    turns, sent = 0, list[tuple[int, int]]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async def send(message: Message) -> None:
        sent.append((len(message.get("body", b"")), turns))

    async def receive() -> Message:
        raise AssertionError("nobody reads a body")

    async def export() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(others)
            await visitor.app(scope(path=EXPORT, headers=[*BROWSER, ("cookie", visitor.cookies)]), receive, send)
            tasks.cancel_scope.cancel()

    anyio.run(export, backend=backend)
    sizes = [size for size, _ in sent]
    assert sum(sizes) > 1_000_000
    assert max(sizes) <= 64 * 1024
    # trio shuffles waiting tasks: only after two chunks is it certain that each task had a turn.
    assert all(before < after for (_, before), (_, after) in itertools.pairwise(sent[1::2]))


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


@pytest.mark.parametrize("language", ["en", "ja"])
def test_own_data_pages_are_valid_html_without_external_content(language: str) -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = visitor_with_answers(install(ledger=ledger, clock=clock), "accept_all", "refuse_all", clock=clock)
    attach_note(visitor, "A note\nwith <b>marks</b>")
    record = ledger.kept[0]["record_id"]
    parser = html5lib.HTMLParser(strict=True)
    for path in (RECORDS, RECEIPTS[1], SHOWN, PREFIX):
        reply = visitor.get(path, query=f"record={record}&language={language}&noted".encode())
        assert reply.status == 200
        parser.parse(reply.text)
        assert "default-src 'none'" in reply.get("content-security-policy")
        assert (reply.get("cache-control"), reply.get("content-language")) == ("no-store", language)
        assert "<script" not in reply.text
        assert not re.search(r"\{\w+\}", reply.text)


@pytest.mark.parametrize("path", [*READ_PATHS, PREFIX])
def test_head_of_own_data_has_headers_of_get_without_body(path: str) -> None:
    visitor = visitor_with_answers(install(ledger=MemoryLedger(), clock=Clock()))
    query = f"record={own_records(visitor)[0]['record_id']}".encode()
    whole, head = visitor.get(path, query=query), visitor.request("HEAD", path, query=query)
    assert (head.status, head.body) == (200, b"")
    assert head.headers == whole.headers
