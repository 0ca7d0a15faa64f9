"""Tests of the help desk: its pages and forms, its limits, looking up requests, and notices."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.cookie_settings import CookieSettings
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import HTTPS
from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.ledgers.desk_request import KINDS, LONGEST_TEXT, DeskRequest, NotStored, hash_of
from cookie_consent.ledgers.requests import MAX_BEFORE_STRANGERS_WAIT, MAX_OPEN, MAX_PER_HOUR, MemoryRequests
from cookie_consent.visitors.help_desk_form import SALT
from cookie_consent.visitors.pages.assets import assets
from tests.support.asgi import NOW, PREFIX, SITE, Clock, Reply, Visitor, call, install, policy, run
from tests.support.desk import DAY, SECRET, help_desk_request
from tests.support.policies import KEY, granting_record, text_of

REQUESTS, LOOK_UP = f"{PREFIX}/requests", f"{PREFIX}/requests/look-up"
TEXT = "What do you keep about me?"
JSON = [("accept", "application/json")]


class Person(Visitor):
    """A visitor who writes to the desk, at the pace of a person.

    Args:
        consent_id: the consent id of an earlier answer; "" for none.
        more: options of the site.
    """

    def __init__(self, consent_id: str = "", **more: Any) -> None:
        self.clock = Clock()
        self.ledger: Ledger = more.pop("ledger", None) or MemoryLedger()
        super().__init__(install(ledger=self.ledger, clock=self.clock, **more))
        self.become(consent_id)

    def become(self, consent_id: str) -> None:
        """Hold the consent cookie with this consent id, or none."""
        own = OwnCookies(CookieSettings([KEY]))
        record = granting_record(policy(), consent_id=consent_id, decided_at=int(NOW))
        line = own.set_consent(record, place=HTTPS).decode()
        self.jar = {"__Host-consent": line.partition(";")[0].partition("=")[2]} if consent_id else {}

    def token(self, after: float = 10) -> str:
        """Get a form, let some seconds pass, and return the token of the form."""
        token: str = self.get(REQUESTS, JSON).json["token"]
        self.clock.forward(seconds=after)
        return token

    def write(self, **fields: str) -> Reply:
        """Send the form."""
        given = {"kind": "see", "text": TEXT, **fields}
        return self.send_form(
            urlencode({"token": self.token(), **given} if "token" not in given else given), [], REQUESTS
        )

    def write_json(self, **fields: Any) -> Reply:
        """Send the request as JSON."""
        return self.post({"token": self.token(), "kind": "see", "text": TEXT, **fields}, JSON, REQUESTS)

    def look_up(self, reference: str, secret: str) -> Reply:
        return self.send_form(urlencode({"reference": reference, "secret": secret}), [], LOOK_UP)

    @property
    def kept(self) -> list[DeskRequest]:
        return self.ledger.requests.listed()


def tree(reply: Reply) -> Element:
    """Return a parsed page, after checking that it is valid HTML and that ids, labels and descriptions match."""
    assert reply.get("content-type") == "text/html; charset=utf-8"
    page: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(reply.text)
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all("".join(part.itertext()).strip() for part in page.iter("p"))
    for element in page.iter():
        named = " ".join(element.get(name, "") for name in ("for", "aria-labelledby", "aria-describedby"))
        assert set(named.split()) <= set(ids)
    return page


def fields(page: Element, action: str = REQUESTS) -> dict[str, Element]:
    """Return the fields of the form with this action by name; the last of several fields with one name."""
    (form,) = [form for form in page.iter("form") if form.get("action", "").partition("?")[0] == action]
    return {field.attrib["name"]: field for kind in ("input", "textarea") for field in form.iter(kind)}


def visible_text(reply: Reply) -> str:
    """Return the text of a page, as a person reads it."""
    return re.sub(r"\s+", " ", "".join(tree(reply).itertext()))


def shown_pair(reply: Reply) -> tuple[str, str]:
    """Return the reference and the secret that a page shows."""
    reference, secret = [code.text or "" for code in tree(reply).iter("code")]
    return reference, secret


def english(name: str) -> str:
    return text_of(policy(), "en", name)


# The page with the form.


def test_request_page_has_form_without_script() -> None:
    reply = Person().get(REQUESTS)
    page = tree(reply)
    assert reply.status == 200
    assert "<script" not in reply.text
    assert "default-src 'none'" in reply.get("content-security-policy")
    assert reply.get("cache-control") == "no-store"
    assert (reply.get("content-language"), reply.all("set-cookie")) == ("en", [])
    form = fields(page)
    assert form.keys() == {"token", "kind", "text", "address", "subject"}
    kinds = [field.get("value") for field in page.iter("input") if field.get("name") == "kind"]
    assert kinds == list(KINDS)
    assert {form["kind"].get("type"), form["address"].get("type"), form["token"].get("type")} == {
        *("radio", "email", "hidden")
    }
    assert fields(page, LOOK_UP).keys() == {"reference", "secret"}
    assert [form.get("method") for form in page.iter("form")] == ["post", "post"]
    assert [heading.tag for heading in page.iter() if heading.tag in ("h1", "h2", "h3")] == ["h1", "h2", "h2"]


def test_request_page_names_controller_due_date_and_address_retention() -> None:
    text = SITE + '\n[requests]\ndue = "14 days"\nkeep_address = "7 days"\n'
    shown = visible_text(Person(text=text).get(REQUESTS))
    for part in (
        "Test Registry Ltd. answers by",
        "June 29, 2025",
        "It is deleted 7 days after the answer.",
        "privacy@",
    ):
        assert part in shown, part


def test_each_form_field_has_a_label() -> None:
    page = tree(Person().get(REQUESTS))
    labelled = {label.get("for") for label in page.iter("label")}
    within = [field for label in page.iter("label") for field in label.iter("input")]
    for kind in ("input", "textarea"):
        for field in page.iter(kind):
            assert field.get("type") == "hidden" or field in within or field.get("id") in labelled


def test_trap_field_is_hidden_from_people() -> None:
    page = tree(Person().get(REQUESTS))
    trap = fields(page)["subject"]
    assert (trap.get("autocomplete"), trap.get("tabindex"), trap.get("value")) == ("off", "-1", "")
    (around,) = [part for part in page.iter("p") if trap in list(part)]
    assert english("request_empty_field") in "".join(around.itertext())
    style = assets()["settings.css"].content.decode()
    assert re.search(rf"\.{around.get('class')}\{{display:none\}}", style)


@pytest.mark.parametrize(("query", "accepted", "language"), [(b"", "ja", "ja"), (b"language=en", "ja", "en")])
def test_request_page_is_in_requested_language(query: bytes, accepted: str, language: str) -> None:
    person = Person()
    reply = person.get(REQUESTS, [("accept-language", accepted)], query=query)
    assert f'<html lang="{language}"' in reply.text
    page = tree(reply)
    assert {form.get("action", "").partition("?")[2] for form in page.iter("form")} == {f"language={language}"}
    (links,) = page.iter("nav")
    assert [link.get("href") for link in links.iter("a")] == [f"{REQUESTS}?language={tag}" for tag in ("en", "ja")]
    form = urlencode({"token": person.token(), "kind": "see", "text": "見たい"})
    sent = person.send_form(form, [("accept-language", accepted)], REQUESTS, query=query)
    assert f'<html lang="{language}"' in sent.text
    assert person.kept[0].language == language


@pytest.mark.parametrize("language", ["ar", "de", "ja"])
def test_request_page_is_valid_in_other_languages(language: str) -> None:
    text = SITE.replace('["en", "ja"]', f'["{language}"]').replace('language = "en"', f'language = "{language}"')
    text = re.sub(r'\{ en = ("[^"]*"), ja = "[^"]*" \}', rf"{{ {language} = \1 }}", text)
    person = Person(text=text)
    tree(person.get(REQUESTS))
    assert person.write().status == 201
    assert tree(person.write(text="")).get("lang") == language


def test_request_forms_post_below_mount_path() -> None:
    reply = Person().get(f"/shop{REQUESTS}", root_path="/shop")
    assert {form.get("action", "").partition("?")[0] for form in tree(reply).iter("form")} == {
        *(f"/shop{REQUESTS}", f"/shop{LOOK_UP}")
    }


def test_help_desk_is_not_found_without_ledger() -> None:
    visitor = Visitor(install())
    assert visitor.get(REQUESTS).status == 404
    assert visitor.send_form("text=x", [], REQUESTS).status == 404
    assert visitor.send_form("reference=x", [], LOOK_UP).status == 404


@pytest.mark.parametrize(("method", "path"), [("PUT", REQUESTS), ("GET", LOOK_UP), ("DELETE", LOOK_UP)])
def test_help_desk_refuses_wrong_methods(method: str, path: str) -> None:
    assert Person().request(method, path).status == 405


# Sending a request.


def test_request_is_kept_and_its_secret_is_shown_once() -> None:
    person = Person("a")
    reply = person.write(kind="complain", text="  Line one\r\nline two ", address=" me@home.example ")
    assert reply.status == 201
    reference, secret = shown_pair(reply)
    for name in ("request_received", "request_note_both"):
        assert english(name) in visible_text(reply)
    assert "July 15, 2025" in visible_text(reply)
    (kept,) = person.kept
    now = int(person.clock.now)
    assert kept == help_desk_request(
        reference=reference,
        secret_hash=hash_of(secret),
        form=kept.form,
        kind="complain",
        text="Line one\nline two",
        address="me@home.example",
        consent_id="a",
        created_at=now,
        due_at=now + 30 * DAY,
    )
    assert secret not in person.get(REQUESTS).text


def test_form_filled_from_page_is_taken() -> None:
    person = Person()
    form = fields(tree(person.get(REQUESTS)))
    filled = {name: field.get("value", "") for name, field in form.items()} | {"text": TEXT}
    person.clock.forward(seconds=30)
    assert person.send_form(urlencode(filled), [], REQUESTS).status == 201
    assert (person.kept[0].kind, person.kept[0].address, person.kept[0].consent_id) == ("complain", None, None)


def test_json_request_returns_progress_and_secret() -> None:
    person = Person("a")
    reply = person.write_json()
    assert (reply.status, reply.get("content-type")) == (201, "application/json")
    (kept,) = person.kept
    secret = reply.json["secret"]
    assert reply.json == {**kept.progress(), "secret": secret}
    assert (reply.json["state"], kept.secret_hash) == ("open", hash_of(secret))
    assert person.get(REQUESTS, JSON).json["requests"] == [kept.progress()]
    found = person.post({"reference": kept.reference, "secret": secret}, JSON, LOOK_UP)
    assert (found.status, found.json) == (200, kept.progress())


def test_form_request_that_accepts_json_returns_json() -> None:
    person = Person()
    form = urlencode({"token": person.token(), "kind": "see", "text": TEXT}).encode()
    headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin"), *JSON]
    assert person.request("POST", REQUESTS, headers, form).json["state"] == "open"


def test_request_text_over_character_limit_is_refused() -> None:
    person = Person()
    assert person.write(text="🧑" * LONGEST_TEXT).status == 201
    assert person.kept[0].text == "🧑" * LONGEST_TEXT
    refused = person.write(text="a" * (LONGEST_TEXT + 1))
    assert (refused.status, english("error_too_large") in visible_text(refused)) == (400, True)


@pytest.mark.parametrize(
    "text", ["<b>&amp;</b>", "</textarea><script>alert(1)</script>", "\"'{{ 7*7 }}", "\nfirst", "a\r\nb"]
)
def test_refused_form_keeps_typed_values(text: str) -> None:
    person = Person()
    reply = person.write(text=text, address="nobody", kind="erase")
    form = fields(tree(reply))
    assert reply.status == 400
    assert "<script" not in reply.text
    assert "".join(form["text"].itertext()) == text.strip().replace("\r\n", "\n")
    assert form["address"].get("value") == "nobody"
    checked = [field.get("value") for field in tree(reply).iter("input") if "checked" in field.attrib]
    assert checked == ["erase"]
    assert person.kept == []


@pytest.mark.parametrize(
    ("wrong", "text", "field"),
    [
        ({"text": ""}, "error_no_text", "text"),
        ({"text": " \r\n\t\0"}, "error_no_text", "text"),
        ({"address": "me@home"}, "error_no_address", "address"),
        ({"address": "me@home.example\r\nBcc: all@x.example"}, "error_no_address", "address"),
        ({"kind": "sue"}, "error_malformed", None),
        ({"kind": ""}, "error_malformed", None),
    ],
)
def test_error_names_the_invalid_field(wrong: dict[str, str], text: str, field: str | None) -> None:
    person = Person()
    reply = person.write(**wrong)
    page = tree(reply)
    assert (reply.status, person.kept) == (400, [])
    (alert,) = [part for part in page.iter() if part.get("role") == "alert"]
    assert alert.text == english(text)
    (title,) = page.iter("title")
    assert (title.text or "").startswith(english("error_request"))
    invalid = {name for name, part in fields(page).items() if part.get("aria-invalid")}
    assert invalid == ({field} if field else set())
    if field:
        assert "pchoice-problem" in fields(page)[field].get("aria-describedby", "")
    data = person.write_json(**wrong)
    assert (data.status, data.get("content-type")) == (400, "application/problem+json")


def test_refused_form_can_be_sent_again_with_same_token() -> None:
    person = Person()
    token = person.token()
    reply = person.write(token=token, text="")
    assert fields(tree(reply))["token"].get("value") == token
    assert person.write(token=token).status == 201


# Repeated, forged and automated requests.


def test_used_form_token_is_refused_for_another_text() -> None:
    person = Person()
    token = person.token()
    assert person.write(token=token).status == 201
    again = person.write(token=token, text="Another.")
    assert (again.status, english("error_form_old") in visible_text(again), len(person.kept)) == (400, True, 1)
    new = fields(tree(again))["token"].get("value")
    assert new != token
    assert "".join(fields(tree(again))["text"].itertext()) == "Another."


def test_double_sent_form_is_kept_once() -> None:
    person = Person()
    token = person.token()
    first, second = person.write(token=token), person.write(token=token)
    assert (first.status, second.status, len(person.kept)) == (201, 201, 1)
    (kept,) = person.kept
    assert shown_pair(first) == shown_pair(second)
    reference, secret = shown_pair(second)
    assert reference == kept.reference
    assert person.look_up(reference, secret).status == 200


@pytest.mark.parametrize(("age", "status"), [(0, 400), (1, 400), (3, 201), (DAY - 1, 201), (DAY + 1, 400)])
def test_too_new_or_too_old_form_token_is_refused(age: float, status: int) -> None:
    person = Person()
    reply = person.write(token=person.token(after=age))
    assert reply.status == status
    if status == 400:
        assert english("error_form_old") in visible_text(reply)
        assert "".join(fields(tree(reply))["text"].itertext()) == TEXT


def test_form_sent_too_soon_is_taken_when_sent_again() -> None:
    person = Person()
    token = person.token(after=0)
    reply = person.write(token=token)
    assert (reply.status, fields(tree(reply))["token"].get("value")) == (400, token)
    person.clock.forward(seconds=2)
    assert person.write(token=token).status == 201


def test_forged_form_token_is_refused() -> None:
    person = Person()
    token, issued = person.token(), int(NOW)
    other = Signer(["another key that is as long as 32 characters"], SALT).sign(b"id", issued).decode()
    cookie = Signer([KEY], "cookie-consent.visitor").sign(b"id", issued).decode()
    for forged in ("", "x", token[:-1], f"{token}A", token.upper(), other, cookie, "é", "." * 5000):
        assert person.write(token=forged).status == 400, forged
    assert person.kept == []
    rotated = Signer(["an older key that is as long as 32 characters", KEY], SALT).sign(b"id", issued).decode()
    assert person.write(token=rotated).status == 201


def test_request_with_filled_trap_field_is_silently_dropped() -> None:
    notices: list[dict[str, Any]] = []
    person = Person("a", desk=notices.append)
    reply = person.write(subject="Cheap pills")
    reference, secret = shown_pair(reply)
    assert (reply.status, person.kept, notices) == (201, [], [])
    assert person.look_up(reference, secret).status == 404
    data = person.write_json(subject="Cheap pills")
    assert (data.status, data.json["state"], person.kept) == (201, "open", [])
    assert person.write(subject="Cheap pills", text="").status == 400
    assert person.write(subject="  ").status == 201
    assert len(person.kept) == 1


def test_visitor_over_limit_of_open_requests_gets_429_with_filled_form() -> None:
    person = Person("a")
    for _ in range(MAX_OPEN):
        assert person.write().status == 201
    reply = person.write(text="One more.", address="me@home.example")
    assert (reply.status, reply.get("retry-after"), len(person.kept)) == (429, str(DAY), MAX_OPEN)
    assert english("error_too_many") in visible_text(reply)
    assert "".join(fields(tree(reply))["text"].itertext()) == "One more."
    assert fields(tree(reply))["address"].get("value") == "me@home.example"
    data = person.write_json()
    assert (data.status, data.get("retry-after")) == (429, str(DAY))
    person.ledger.requests.close(person.kept[0].reference, NOW)
    assert person.write().status == 201


@pytest.mark.parametrize("fresh", ["", "new answers"])
@pytest.mark.slow
def test_flood_of_unknown_visitors_does_not_block_known_visitors(fresh: str) -> None:
    person = Person()
    for number in range(MAX_BEFORE_STRANGERS_WAIT):
        if fresh and number % MAX_OPEN == 0:
            person.jar = {}
            assert person.refuse().status == 200
        assert person.write(token=person.token(after=5)).status == 201
    person.jar = {}
    assert not fresh or person.refuse().status == 200
    reply = person.write(token=person.token(after=5))
    assert reply.status == 429
    assert 3600 - 5 * MAX_BEFORE_STRANGERS_WAIT <= int(reply.get("retry-after")) <= 3600
    person.become("a")  # answered when the clock started, which is not ten minutes ago yet
    person.clock.now = NOW + 599
    assert person.write(token=person.token(after=0)).status == 400
    person.clock.now = NOW + 610
    assert person.write(token=person.token(after=5)).status == 201
    person.jar = {}
    person.clock.forward(seconds=3600)
    assert person.write().status == 201


@pytest.mark.slow
def test_visitor_counts_as_known_ten_minutes_after_answer() -> None:
    person = Person()
    tokens = []
    for _ in range(MAX_BEFORE_STRANGERS_WAIT):
        tokens.append(person.token(after=0))
    person.clock.forward(seconds=2)
    for token in tokens:
        assert person.write(token=token).status == 201
    person.become("a")
    for seconds, status in ((590, 429), (599, 429), (600, 201), (601, 201)):
        person.clock.now = int(NOW) + seconds - 5
        assert person.write(token=person.token(after=5)).status == status


@pytest.mark.slow
def test_hourly_limit_applies_to_all_visitors_together() -> None:
    person = Person()
    person.clock.forward(days=8)
    began = person.clock.now
    for number in range(MAX_PER_HOUR):
        person.become(f"c{number}")
        assert person.write(token=person.token(after=5)).status == 201
    person.become("another")
    reply = person.write(token=person.token(after=5))
    assert (reply.status, int(reply.get("retry-after"))) == (429, int(began + 3605 - person.clock.now))
    assert len(person.kept) == MAX_PER_HOUR


@pytest.mark.slow
def test_forty_new_consent_ids_do_not_block_older_visitors() -> None:
    person = Person("month-old")
    jars = [dict(person.jar)]
    for answer in (person.refuse, *[person.accept] * 40):
        person.jar = {}
        answer()
        jars.append(dict(person.jar))
        person.clock.forward(days=30 * (answer == person.refuse))
    person.clock.forward(seconds=660)
    codes = []
    for jar in jars[2:]:
        person.jar = jar
        codes += [person.write(token=person.token(after=3)).status for _ in range(MAX_OPEN)]
    assert (codes.count(201), codes.count(429)) == (140, 60)
    for jar in jars[:2]:
        person.jar = jar
        assert person.write(token=person.token(after=3)).status == 201


@pytest.mark.slow
def test_old_refusal_counts_as_known_a_few_times_a_day() -> None:
    person = Person()
    person.refuse()
    refused = dict(person.jar)
    person.clock.forward(days=30)
    for _ in range(MAX_BEFORE_STRANGERS_WAIT):
        person.jar = {}
        assert person.write(token=person.token(after=5)).status == 201
    person.jar = refused
    codes = [person.write(token=person.token(after=5)).status for _ in range(MAX_OPEN + 2)]
    assert codes == [201] * MAX_OPEN + [429] * 2
    person.clock.forward(days=1)
    assert person.write(token=person.token(after=5)).status == 201


@pytest.mark.slow
def test_request_limit_ignores_address_and_user_agent() -> None:
    person = Person()
    for number in range(MAX_BEFORE_STRANGERS_WAIT + 1):
        fields = [("user-agent", f"Browser {number}"), ("x-forwarded-for", f"203.0.113.{number}")]
        form = urlencode({"token": person.token(after=5), "kind": "see", "text": TEXT})
        reply = person.send_form(form, fields, REQUESTS, client=(f"203.0.113.{number}", 5000))
    assert reply.status == 429


@pytest.mark.parametrize("path", [REQUESTS, LOOK_UP])
def test_cross_site_request_is_refused(path: str) -> None:
    person = Person("a")
    form = urlencode({"token": person.token(), "kind": "see", "text": TEXT}).encode()
    kind = ("content-type", "application/x-www-form-urlencoded")
    for fields in ([], [("sec-fetch-site", "cross-site")], [("origin", "https://evil.example")], [("origin", "null")]):
        assert person.request("POST", path, [kind, *fields], form).status == 403
    assert person.kept == []


@pytest.mark.parametrize("path", [REQUESTS, LOOK_UP])
def test_request_body_over_64_kib_gets_413(path: str) -> None:
    reply = Person().send_form("text=" + "a" * 70_000, [], path)
    assert reply.status == 413
    assert english("error_too_large") in visible_text(reply)


@pytest.mark.parametrize("path", [REQUESTS, LOOK_UP])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"\xff"),
        ("application/x-www-form-urlencoded", b"text=%ff&kind=see"),
        ("application/x-www-form-urlencoded", b"text=a&text=b"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("text/plain", b"text=a"),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"text": 1, "reference": 1}'),
        ("", b""),
    ],
)
def test_malformed_request_body_is_refused(path: str, kind: str, body: bytes) -> None:
    reply = Person().request("POST", path, [("content-type", kind), ("sec-fetch-site", "same-origin")], body)
    is_page = kind.partition(";")[0] in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
    assert reply.status == 400
    assert reply.get("content-type") == ("text/html; charset=utf-8" if is_page else "application/problem+json")
    if is_page:
        assert english("error_malformed") in visible_text(reply)


ANY_FORM = st.binary(max_size=200) | st.dictionaries(
    st.sampled_from(["kind", "text", "address", "token", "subject", "reference", "secret", "x"]),
    st.text(max_size=30) | st.sampled_from(["see", "me@home.example", "R-2222-2222", "\0", "\r\n", "🧑"]),
).map(lambda fields: urlencode(fields).encode())
PERSON = Person("a")
GOOD_TOKEN = PERSON.token(after=60)


@given(
    st.sampled_from([REQUESTS, LOOK_UP]),
    st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/plain", "a/b", ""]),
    ANY_FORM,
    st.binary(max_size=20),
    st.booleans(),
)
def test_any_request_body_gets_a_proper_response(
    path: str, kind: str, body: bytes, query: bytes, with_token: bool
) -> None:
    if with_token:
        body += b"&token=" + GOOD_TOKEN.encode()
    headers = [("content-type", kind), ("sec-fetch-site", "same-origin")]
    PERSON.clock.forward(seconds=0.01)
    reply = PERSON.request("POST", path, headers, body, query=query)
    assert reply.status in (201, 400, 404, 429)
    if reply.get("content-type").startswith("text/html"):
        tree(reply)


# Looking up requests.


def answered_request(person: Person, **fields: str) -> tuple[str, str]:
    """Return the reference and the secret of a request that the desk has answered."""
    reference, secret = shown_pair(person.write(**fields))
    assert person.ledger.requests.answer(reference, "We keep <nothing>.\nReally.", NOW + DAY)
    return reference, secret


def test_visitor_with_consent_cookie_sees_own_requests() -> None:
    person = Person("a")
    first, _ = answered_request(person)
    second, _ = shown_pair(person.write(kind="erase"))
    closed, _ = shown_pair(person.write(kind="correct"))
    person.ledger.requests.close(closed, NOW + 2 * DAY)
    page = person.get(REQUESTS)
    cards = {
        card.get("aria-labelledby"): re.sub(r"\s+", " ", "".join(card.itertext()))
        for card in tree(page).iter("section")
    }
    assert list(cards) == [closed, second, first]
    assert "We keep <nothing>. Really." in cards[first]
    assert "Answered on June 16, 2025" in cards[first]
    assert english("request_see") in cards[first]
    assert "Not answered yet. To be answered by July 15, 2025." in cards[second]
    assert "Closed on June 17, 2025" in cards[closed]
    assert "Not answered" not in cards[closed] + cards[first]
    assert english("request_yours") in visible_text(page)
    assert TEXT not in page.text


@pytest.mark.parametrize("consent_id", ["b", ""])
def test_visitor_does_not_see_requests_of_others(consent_id: str) -> None:
    person = Person("a")
    reference, _ = answered_request(person)
    person.become(consent_id)
    page = person.get(REQUESTS).text
    assert reference not in page
    assert english("request_yours") not in page
    assert person.get(REQUESTS, JSON).json["requests"] == []


def test_forged_consent_cookie_shows_no_requests() -> None:
    person = Person("a")
    reference, _ = answered_request(person)
    person.jar = {name: value[:-1] for name, value in person.jar.items()}
    assert reference not in person.get(REQUESTS).text


def test_look_up_with_reference_and_secret_shows_only_that_request() -> None:
    person = Person("a")
    reference, secret = answered_request(person)
    other, _ = answered_request(person)
    person.become("")
    reply = person.look_up(reference.lower().replace("-", " "), secret.lower())
    assert reply.status == 200
    assert "We keep <nothing>. Really." in visible_text(reply)
    assert reference in reply.text
    assert other not in reply.text
    assert TEXT not in reply.text
    assert secret not in reply.text


def test_every_wrong_reference_or_secret_gets_same_refusal() -> None:
    person = Person()
    reference, secret = answered_request(person)
    other, other_secret = answered_request(person)
    pairs = [
        (reference, other_secret),
        (other, secret),
        (reference, ""),
        (reference, reference),
        ("R-2222-2222", secret),
        ("", ""),
        ("nonsense", secret),
        (reference, SECRET),
    ]
    for typed, wrong in pairs:
        reply = person.look_up(typed, wrong)
        assert (reply.status, english("error_not_found") in visible_text(reply)) == (404, True)
        assert "We keep" not in reply.text
        form = fields(tree(reply), LOOK_UP)
        assert (form["reference"].get("value"), form["secret"].get("value")) == (typed, "")
        assert form["reference"].get("aria-invalid") == form["secret"].get("aria-invalid") == "true"
        data = person.post({"reference": typed, "secret": wrong}, JSON, LOOK_UP)
        assert (data.status, data.json["detail"]) == (404, "There is no such request, or the secret is wrong.")


@pytest.mark.slow
def test_look_up_is_blocked_for_an_hour_after_30_wrong_secrets() -> None:
    person = Person()
    reference, secret = answered_request(person)
    other, other_secret = answered_request(person)
    for _ in range(30):
        assert person.look_up(reference, "wrong").status == 404
    for _ in range(400):
        assert person.look_up(reference, secret).status == 429
    assert person.look_up(other, other_secret).status == 200
    reply = person.look_up(reference, secret)
    assert int(reply.get("retry-after")) <= 3600
    assert english("error_too_many") in visible_text(reply)
    assert fields(tree(reply), LOOK_UP)["reference"].get("value") == reference
    person.clock.forward(seconds=3601)
    assert person.look_up(reference, secret).status == 200


@pytest.mark.slow
def test_look_ups_of_unknown_references_block_nobody() -> None:
    person = Person()
    reference, secret = answered_request(person)
    for number in range(400):
        for unknown in (help_desk_request().reference, f"R-mistyped-{number % 7}"):
            tried = person.post({"reference": unknown, "secret": secret}, JSON, LOOK_UP)
            assert tried.status == 404
    assert person.look_up(reference, secret).status == 200


# Notices to the desk.


def test_desk_notice_has_nothing_that_visitor_wrote() -> None:
    notices: list[dict[str, Any]] = []
    person = Person("a", desk=notices.append)
    reference, secret = shown_pair(person.write(kind="erase", address="me@home.example"))
    assert notices == [
        {
            "reference": reference,
            "kind": "erase",
            "due_at": "2025-07-15T15:06:50Z",
            "site": "Test Registry",
            "read": f"cookie-consent requests show {reference}",
            "quiet_until": None,
        }
    ]
    assert not {TEXT, "me@home.example", secret} & {str(value) for value in notices[0].values()}


def test_async_desk_function_is_called() -> None:
    notices: list[str] = []

    async def desk(notice: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        notices.append(notice["kind"])

    person = Person(desk=desk)
    assert person.write_json().status == 201
    assert notices == ["see"]


def test_failing_desk_function_loses_no_request(caplog: pytest.LogCaptureFixture) -> None:
    def desk(notice: dict[str, Any]) -> None:
        raise ConnectionRefusedError("nobody is there")

    person = Person(desk=desk)
    assert [person.write().status for _ in range(3)] == [201] * 3
    assert len(person.kept) == 3
    (record,) = caplog.records
    assert (record.levelno, "nobody is there" in record.getMessage()) == (logging.WARNING, True)
    assert TEXT not in record.getMessage()


def test_refused_request_notifies_nobody() -> None:
    notices: list[dict[str, Any]] = []
    person = Person(desk=notices.append)
    for wrong in ({"text": ""}, {"address": "x"}, {"token": "x"}):
        person.write(**wrong)
    assert notices == []


@pytest.mark.parametrize("desk", ["smtp://", "http://desk.example", 7, "desk@example.jp"])
def test_invalid_desk_option_stops_the_start(desk: Any) -> None:
    with pytest.raises(ValueError, match=r"^desk: .*smtp://user:password@"):
        install(ledger=MemoryLedger(), desk=desk)


# An unavailable store.


class UnreachableRequests(MemoryRequests):
    """A store that cannot be reached."""

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotStored | None:
        raise ConnectionError("gone")

    async def find(self, reference: str) -> DeskRequest | None:
        raise ConnectionError("gone")

    async def of(self, consent_id: str) -> list[DeskRequest]:
        raise ConnectionError("gone")


@pytest.fixture
def person_without_store() -> Person:
    """A visitor of a site whose store of requests is unavailable."""
    ledger = MemoryLedger()
    ledger.requests = UnreachableRequests()
    return Person("a", ledger=ledger)


def test_form_keeps_typed_values_while_store_is_unavailable(
    person_without_store: Person, caplog: pytest.LogCaptureFixture
) -> None:
    page = person_without_store.get(REQUESTS)
    assert page.status == 503
    assert english("error_unavailable") in visible_text(page)
    token = fields(tree(page))["token"].get("value") or ""
    person_without_store.clock.forward(seconds=60)
    reply = person_without_store.write(token=token, address="me@home.example")
    form = fields(tree(reply))
    assert reply.status == 503
    assert english("error_unavailable") in visible_text(reply)
    assert ("".join(form["text"].itertext()), form["address"].get("value")) == (TEXT, "me@home.example")
    person_without_store.ledger.requests = MemoryRequests()  # type: ignore[misc]
    assert person_without_store.write(token=form["token"].get("value") or "").status == 201
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_json_request_gets_503_while_store_is_unavailable(person_without_store: Person) -> None:
    reply = person_without_store.get(REQUESTS, JSON)
    assert (reply.status, reply.get("content-type")) == (503, "application/problem+json")
    assert person_without_store.post({"reference": "R-2222-2222", "secret": "x"}, JSON, LOOK_UP).status == 503
    person_without_store.become("")
    assert person_without_store.write_json().status == 503


def test_look_up_keeps_reference_while_store_is_unavailable(person_without_store: Person) -> None:
    reply = person_without_store.look_up("R-2222-2222", SECRET)
    assert reply.status == 503
    assert fields(tree(reply), LOOK_UP)["reference"].get("value") == "R-2222-2222"


# Databases.


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    given = request.param == "sqlite"
    ledger = open_ledger(f"sqlite:///{tmp_path}/consent.db" if given else request.getfixturevalue("postgres_url"))
    yield ledger
    ledger.close()


@pytest.mark.slow
def test_request_is_kept_answered_and_looked_up_in_database(database: Ledger) -> None:
    person = Person("a", ledger=database)
    reference, secret = answered_request(person, text="訪問 \0 '; DROP TABLE x; --", address="me@home.example")
    assert "We keep <nothing>." in visible_text(person.look_up(reference, secret))
    assert reference in person.get(REQUESTS).text
    assert run(database.requests.find(reference)).text == "訪問  '; DROP TABLE x; --"
    token = person.token()
    assert [person.write(token=token, text=text).status for text in ("One.", "One.", "Two.")] == [201, 201, 400]


@pytest.mark.slow
def test_request_limits_are_shared_between_processes(tmp_path: Path) -> None:
    people = [Person("a", ledger=open_ledger(f"sqlite:///{tmp_path}/consent.db")) for _ in range(2)]
    statuses = [people[number % 2].write().status for number in range(MAX_OPEN + 2)]
    assert statuses == [201] * MAX_OPEN + [429] * 2
    token = people[1].token()
    people[0].clock.now = people[1].clock.now
    people[0].ledger.requests.close(people[0].kept[0].reference, NOW)
    people[0].ledger.requests.close(people[0].kept[0].reference, NOW)
    statuses = [person.write(token=token, text=text).status for person, text in zip(people, "ab", strict=True)]
    assert statuses == [201, 400]
    for person in people:
        person.ledger.close()


def test_request_page_is_html_without_accept_header() -> None:
    reply = call(install(ledger=MemoryLedger()), path=REQUESTS)
    assert (reply.status, english("request_form") in unescape(reply.text)) == (200, True)
