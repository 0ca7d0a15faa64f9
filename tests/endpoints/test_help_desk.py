"""Tests of the help desk: its form, what is kept, its limit, and the function that is told."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.own_cookies import HTTPS, OwnCookies
from cookie_consent.endpoints.help_desk import LONGEST_TEXT
from cookie_consent.ledgers import Ledger, MemoryLedger, Requests
from cookie_consent.ledgers.requests import KINDS, DeskRequest
from tests.support.asgi import NOW, PREFIX, SITE, Clock, Reply, Visitor, install, policy
from tests.support.desk import DAY, help_desk_request
from tests.support.policies import KEY, granting_record, text_of

REQUESTS = f"{PREFIX}/requests"
TEXT = "What do you keep about me?"


class Person(Visitor):
    """A visitor who writes to the desk.

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
        own = OwnCookies([KEY])
        record = granting_record(policy(), consent_id=consent_id, decided_at=int(NOW))
        line = own.set_consent(record, place=HTTPS).decode()
        self.jar = {"__Host-consent": line.partition(";")[0].partition("=")[2]} if consent_id else {}

    def write(self, **fields: str) -> Reply:
        """Send the form."""
        return self.send_form(urlencode({"kind": "see", "text": TEXT, **fields}), [], REQUESTS)

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


def fields(page: Element) -> dict[str, Element]:
    """Return the fields of the form by name; the last of several fields with one name."""
    return {field.attrib["name"]: field for kind in ("input", "textarea") for field in page.iter(kind)}


def visible_text(reply: Reply) -> str:
    """Return the text of a page, as a person reads it."""
    return re.sub(r"\s+", " ", "".join(tree(reply).itertext()))


def english(name: str) -> str:
    return text_of(policy(), "en", name)


# The page with the form.


def test_page_has_a_form_without_script() -> None:
    reply = Person().get(REQUESTS)
    page = tree(reply)
    assert reply.status == 200
    assert "<script" not in reply.text
    assert "default-src 'none'" in reply.get("content-security-policy")
    assert (reply.get("cache-control"), reply.get("content-language"), reply.all("set-cookie")) == (
        "no-store",
        "en",
        [],
    )
    assert fields(page).keys() == {"kind", "text", "address"}
    kinds = [field.get("value") for field in page.iter("input") if field.get("name") == "kind"]
    assert kinds == list(KINDS)
    assert [form.get("method") for form in page.iter("form")] == ["post"]
    labelled = {label.get("for") for label in page.iter("label")}
    within = [field for label in page.iter("label") for field in label.iter("input")]
    assert all(
        field in within or field.get("id") in labelled for field in [*page.iter("input"), *page.iter("textarea")]
    )


def test_page_names_controller_due_date_and_retention_of_the_address() -> None:
    text = SITE + '\n[requests]\ndue = "14 days"\nkeep_address = "7 days"\n'
    shown = visible_text(Person(text=text).get(REQUESTS))
    for part in (
        "Test Registry Ltd. answers by",
        "June 29, 2025",
        "It is deleted 7 days after the answer.",
        "privacy@",
    ):
        assert part in shown, part


@pytest.mark.parametrize(("query", "accepted", "language"), [(b"", "ja", "ja"), (b"language=en", "ja", "en")])
def test_page_is_in_requested_language(query: bytes, accepted: str, language: str) -> None:
    person = Person()
    reply = person.get(REQUESTS, [("accept-language", accepted)], query=query)
    assert f'<html lang="{language}"' in reply.text
    page = tree(reply)
    assert [form.get("action") for form in page.iter("form")] == [f"{REQUESTS}?language={language}"]
    (links,) = page.iter("nav")
    assert [link.get("href") for link in links.iter("a")] == [f"{REQUESTS}?language={tag}" for tag in ("en", "ja")]
    form = urlencode({"kind": "see", "text": "見たい"})
    sent = person.send_form(form, [("accept-language", accepted)], REQUESTS, query=query)
    assert f'<html lang="{language}"' in sent.text
    assert person.kept[0].language == language


def test_settings_page_links_to_the_form_where_there_is_a_ledger() -> None:
    link = f'href="{REQUESTS}?language=en"'
    assert link in Person().get(PREFIX).text
    without = Visitor(install())
    assert link not in without.get(PREFIX).text
    assert (without.get(REQUESTS).status, without.send_form("text=x", [], REQUESTS).status) == (404, 404)


# Sending a request.


@pytest.mark.requirement("LP-11")
def test_request_is_kept_with_a_reference_and_a_due_date() -> None:
    person = Person("a")
    reply = person.write(kind="complain", text="  Line one\r\nline two ", address=" me@home.example ")
    assert reply.status == 201
    (kept,) = person.kept
    now = int(person.clock.now)
    assert kept == help_desk_request(
        reference=kept.reference,
        kind="complain",
        text="Line one\nline two",
        address="me@home.example",
        consent_id="a",
        created_at=now,
        due_at=now + 30 * DAY,
    )
    assert re.fullmatch(r"R(-[A-Z2-7]{4}){3}", kept.reference)
    assert [code.text for code in tree(reply).iter("code")] == [kept.reference]
    assert english("request_received") in visible_text(reply)
    assert "July 15, 2025" in visible_text(reply)


def test_same_request_on_one_day_is_kept_once() -> None:
    person = Person("a")
    first = person.write()
    person.clock.forward(seconds=60)
    assert person.write().text == first.text
    assert len(person.kept) == 1
    person.write(text="Something else.")
    person.clock.forward(seconds=DAY)
    person.write()
    person.become("b")
    person.write()
    assert len(person.kept) == len({request.reference for request in person.kept}) == 4


@pytest.mark.requirement("LP-11")
def test_own_requests_and_their_answers_are_in_the_export() -> None:
    person = Person("a")
    person.write(address="me@home.example")
    assert person.ledger.requests.end(person.kept[0].reference, NOW + DAY, "We keep nothing.")
    assert person.get(f"{PREFIX}/export").json["requests"] == [person.kept[0].document()]
    for consent_id in ("b", ""):
        person.become(consent_id)
        assert person.get(f"{PREFIX}/export").json["requests"] == []


@pytest.mark.parametrize(
    "text", ["<b>&amp;</b>", "</textarea><script>alert(1)</script>", "\"'{{ 7*7 }}", "\nfirst", "a\r\nb"]
)
def test_refused_form_keeps_typed_values(text: str) -> None:
    person = Person()
    reply = person.write(text=text, address="nobody", kind="erase")
    form = fields(tree(reply))
    assert (reply.status, person.kept) == (400, [])
    assert "<script" not in reply.text
    assert "".join(form["text"].itertext()) == text.strip().replace("\r\n", "\n")
    assert form["address"].get("value") == "nobody"
    checked = [field.get("value") for field in tree(reply).iter("input") if "checked" in field.attrib]
    assert checked == ["erase"]


HIDDEN = ("\u2028", "\u2029", "\x85", "\0", "\t", "\u202e", "\u200b", "\xa0")
"""Characters that nobody sees in an address. Without them it would be the address of somebody else."""


@pytest.mark.parametrize(
    ("wrong", "text", "field"),
    [
        ({"text": ""}, "error_no_text", "text"),
        ({"text": " \r\n\t\0"}, "error_no_text", "text"),
        ({"text": "a" * (LONGEST_TEXT + 1)}, "error_too_large", None),
        ({"address": "me at home"}, "error_no_address", "address"),
        ({"address": "me@home.example\r\nBcc: all@x.example"}, "error_no_address", "address"),
        ({"address": f"me@{'x' * 254}"}, "error_no_address", "address"),
        *(({"address": f"me{hidden}you@home.example"}, "error_no_address", "address") for hidden in HIDDEN),
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
    assert person.write(text="🧑" * LONGEST_TEXT).status == 201


ANY_FORM = st.binary(max_size=200) | st.dictionaries(
    st.sampled_from(["kind", "text", "address", "x"]),
    st.text(max_size=30) | st.sampled_from(["see", "me@home.example", "\0", "\r\n", "🧑"]),
).map(lambda fields: urlencode(fields).encode())
PERSON = Person("a")


@given(
    st.sampled_from(["application/x-www-form-urlencoded", "application/json", "text/plain", "a/b", ""]),
    ANY_FORM,
    st.binary(max_size=20),
)
def test_any_request_body_gets_a_page(kind: str, body: bytes, query: bytes) -> None:
    headers = [("content-type", kind), ("sec-fetch-site", "same-origin")]
    reply = PERSON.request("POST", REQUESTS, headers, body, query=query)
    assert reply.status in (201, 400, 429)
    tree(reply)


class UnreachableRequests(Requests):
    """A store that cannot be reached."""

    def add(self, request: DeskRequest) -> None:
        raise ConnectionError("gone")


def test_form_keeps_typed_values_while_the_store_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    ledger = MemoryLedger()
    ledger.requests = UnreachableRequests()
    told: list[Any] = []
    reply = Person("a", ledger=ledger, desk=told.append).write(address="me@home.example")
    form = fields(tree(reply))
    assert (reply.status, told) == (503, [])
    assert english("error_unavailable") in visible_text(reply)
    assert ("".join(form["text"].itertext()), form["address"].get("value")) == (TEXT, "me@home.example")
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


# The function that is told.


def test_failing_desk_function_loses_no_request(caplog: pytest.LogCaptureFixture) -> None:
    def desk(_: dict[str, Any]) -> None:
        raise ConnectionRefusedError("nobody is there")

    person = Person(desk=desk)
    assert person.write().status == 201
    (record,) = caplog.records
    assert (record.levelno, person.kept[0].reference in record.getMessage()) == (logging.ERROR, True)
    assert TEXT not in caplog.text


@pytest.mark.parametrize("desk", ["smtp://user:hidden@mail.example", 7])
def test_desk_that_is_no_function_stops_the_start(desk: Any) -> None:
    with pytest.raises(ValueError, match=r"^desk: .*Write a function.*as an SMTP URL did") as raised:
        install(ledger=MemoryLedger(), desk=desk)
    assert "hidden" not in str(raised.value)


def test_desk_without_a_ledger_stops_the_start() -> None:
    with pytest.raises(ValueError, match=r"^ledger: None is not valid. Write one that keeps the requests for desk="):
        install(desk=print)


# From the form to the answer, in a database.


@pytest.mark.parametrize("is_async", [False, True])
def test_desk_is_told_nothing_that_the_visitor_wrote(is_async: bool) -> None:
    told: list[dict[str, Any]] = []

    async def tell(notice: dict[str, Any]) -> None:
        told.append(notice)

    person = Person("a", desk=tell if is_async else told.append)
    person.write(kind="erase", address="me@home.example")
    assert told == [{"reference": person.kept[0].reference, "kind": "erase", "due_at": "2025-07-15T15:06:40Z"}]
    person.write(text="")
    assert len(told) == 1


def test_flood_has_to_wait_and_loses_nothing_that_was_written() -> None:
    person = Person()
    person.app._site.limits["help desk"].most = 2  # type: ignore[attr-defined]
    assert {person.write(text=f"No. {number}").status for number in range(2)} == {201}
    reply = person.write(address="me@home.example")
    assert (reply.status, reply.get("retry-after")) == (429, "3600")
    form = fields(tree(reply))
    assert ("".join(form["text"].itertext()), form["address"].get("value")) == (TEXT, "me@home.example")
    assert len(person.kept) == 2
    person.clock.forward(seconds=3600)
    assert person.write().status == 201
