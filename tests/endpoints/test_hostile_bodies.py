"""Tests with hostile bodies: nothing raises, and only accepted answers and notes leave records."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import PREFIX, Clock, Reply, Visitor, install, page_app, policy
from tests.support.examples import examples

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
ANY_TEXT = st.text(st.characters(), max_size=80) | st.sampled_from(["\ud800", "\0", "<b>", "\u202e", "'", "{x}", "⟦"])
CONTENT_TYPES = st.sampled_from(
    [JSON, FORM, "application/json; charset=utf-8", "text/plain", "multipart/form-data", "", "/"]
)

FIELD_VALUES = {
    "policy": ["", policy().version],
    "next": ["", "/", "//x", "/a\u2028", "/x" * 2000],
    "source": ["banner", "settings", "feature", "api"],
    "language": ["en", "ja", "de", ""],
    "service": ["", "whois"],
    "surface": ["banner", "again", "settings", "box", "card", "page", "letter", ""],
    "feature": ["", "map", "nothing"],
    "card": ["", "map", "maps", "media", "nothing"],
    "once": ["", "f-1", "x" * 64, "x" * 65, "\ud800"],
}
PURPOSES = ["analytics", "media", "necessary", "nothing", ""]
MALFORMED_ENDINGS = [b"&", b"%", b"&x", b"&%ff=1", b"\xff", b"&a=b"]


@st.composite
def answer_fields(draw: st.DrawFn) -> dict[str, Any]:
    """Generate the fields of an answer, more often right than wrong, so that records are left."""
    fields: dict[str, Any] = {
        name: draw(st.sampled_from(values)) for name, values in FIELD_VALUES.items() if draw(st.booleans())
    }
    fields["choice"] = draw(st.sampled_from(["accept_all", "refuse_all", "save", "grant"]))
    if draw(st.integers(0, 2)) == 0:
        fields[draw(st.sampled_from(["choice", *FIELD_VALUES]))] = draw(ANY_TEXT)
    return fields


@st.composite
def json_bodies(draw: st.DrawFn) -> bytes:
    fields = draw(answer_fields())
    if fields["choice"] in ("save", "grant"):
        fields["purposes"] = draw(st.dictionaries(st.sampled_from(PURPOSES[:2]), st.booleans()))
    if draw(st.integers(0, 4)) == 0:
        fields["purposes"] = draw(st.dictionaries(st.sampled_from(PURPOSES) | ANY_TEXT, st.booleans() | st.none()))
    if draw(st.integers(0, 9)) == 0:
        odd: st.SearchStrategy[object] = st.none() | st.integers() | st.floats() | st.lists(st.text()) | st.just({})
        fields[draw(st.sampled_from([*FIELD_VALUES, "else"]) | ANY_TEXT)] = draw(odd)
    return json.dumps(fields).encode()


@st.composite
def form_bodies(draw: st.DrawFn) -> bytes:
    purposes = draw(st.lists(st.sampled_from(PURPOSES[:3]), max_size=4))
    if draw(st.integers(0, 4)) == 0:
        purposes.append(draw(ANY_TEXT))
    pairs = [*draw(answer_fields()).items(), *(("purpose", purpose) for purpose in purposes)]
    body = urlencode(pairs, errors="replace").encode()
    return body if draw(st.integers(0, 3)) else body + draw(st.sampled_from(MALFORMED_ENDINGS))


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, bytes]:
    """Generate a content type and a body that often match."""
    kind = draw(st.integers(0, 9))
    if kind < 5:
        return JSON, draw(json_bodies())
    if kind < 8:
        return FORM, draw(form_bodies())
    return draw(CONTENT_TYPES), draw(st.binary(max_size=300) | json_bodies() | form_bodies())


HEADERS = st.lists(
    st.sampled_from(
        [
            ("accept", "text/html"),
            ("accept", "application/json"),
            ("accept-language", "ja"),
            ("sec-gpc", "1"),
            ("dnt", "1"),
            ("user-agent", "Googlebot/2.1"),
            ("cookie", "__Host-consent=\xff"),
            ("cookie", "consent=; ="),
        ]
    ),
    max_size=2,
    unique=True,
)


def send(visitor: Visitor, path: str, content_type: str, body: bytes, headers: list[tuple[str, str]]) -> Reply:
    return visitor.request("POST", path, [("content-type", content_type), *headers], body)


class Site:
    """A site with a ledger that keeps the records of all examples."""

    def __init__(self) -> None:
        self.ledger, self.clock = MemoryLedger(), Clock()
        self.app = install(page_app(), ledger=self.ledger, clock=self.clock)

    def new_visitor(self, *, known: bool = True) -> Visitor:
        """Return a visitor who comes an hour after the visitor before. A known visitor has answered."""
        self.clock.forward(seconds=3600)
        visitor = Visitor(self.app)
        if known:
            visitor.accept()
        return visitor

    def documents(self) -> list[str | None]:
        return [link.document for link in self.ledger.links()]


@pytest.fixture(scope="module")
def site() -> Site:
    """Return one site for all examples, so that they meet the records of each other."""
    return Site()


OWN = [("sec-fetch-site", "same-origin")]


@examples(300)
@given(answers(), HEADERS, st.booleans())
@pytest.mark.slow
def test_hostile_answer_never_raises_and_is_recorded_only_if_accepted(
    site: Site, answer: tuple[str, bytes], headers: list[tuple[str, str]], known: bool
) -> None:
    visitor = site.new_visitor(known=known)
    before = site.documents()
    reply = send(visitor, PREFIX, *answer, [*OWN, *headers])
    after = site.documents()
    assert after[: len(before)] == before
    kept = [json.loads(document or "") for document in after[len(before) :]]
    assert len(kept) <= 1
    assert reply.status in (200, 303, 400, 403, 409)
    taken = reply.status in (200, 303)
    assert taken or not kept
    # A first answer that says nothing, as one that grants only what its service refuses, leaves all as it was. A later
    # one may take back what the first said.
    says_something = known or visitor.get(f"{PREFIX}/state").json["status"] != "unknown"
    assert ("__Host-consent" in reply.set_cookies) == (taken and says_something)
    for record in kept:
        receipt = visitor.get(f"{PREFIX}/receipt").json
        # A plain refusal has no consent id, so no receipt can find its record.
        assert receipt["record_id"] == (record["record_id"] if record["consent_id"] else None)
        assert {*record["granted"], *record["refused"]} <= {"analytics", "media"}
    # The visitor can read the page about the answer.
    assert visitor.get(PREFIX, query=b"language=ja").status == 200
