"""Tests of a request to the desk: its reference, secret, state and email address."""

from __future__ import annotations

import re
from dataclasses import replace
from secrets import token_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.ledgers.desk_request import (
    LONGEST_ADDRESS,
    as_reference,
    hash_of,
    is_address,
    opens,
    reference_of,
    secret_of,
)
from tests.support.desk import DAY, SECRET, help_desk_request
from tests.support.policies import NOW

ANY = st.text(st.characters(), max_size=40)
"""Any text that Python can hold, lone surrogates included."""


# References and secrets.


def test_reference_has_eight_characters_and_none_look_alike() -> None:
    made = {reference_of(token_bytes(32)) for _ in range(500)}
    assert len(made) == 500
    assert all(
        re.fullmatch(r"R-[2-9B-DF-HJKMNP-QS-TV-Z]{4}-[2-9B-DF-HJKMNP-QS-TV-Z]{4}", reference) for reference in made
    )
    assert not set("01OILU") & set("".join(made))


def test_a_secret_has_at_least_128_bits() -> None:
    signs = secret_of(bytes(32)).replace("-", "")
    assert 27 ** len(signs) >= 2**128
    assert len({secret_of(token_bytes(32)) for _ in range(500)}) == 500


@pytest.mark.parametrize(
    "typed",
    ["R-7K3M-9QFD", "r-7k3m-9qfd", " R 7K3M 9QFD\n", "7K3M9QFD", "R7K3M9QFD", "Ｒ－７Ｋ３Ｍ－９ＱＦＤ", "R–7K3M–9QFD"],
)
def test_reference_is_recognised_in_any_spelling(typed: str) -> None:
    assert as_reference(typed) == "R-7K3M-9QFD"


@pytest.mark.parametrize("typed", ["", "R", "R-7K3M-9QF", "R-7K3M-9QFDD", "R-7K3M-9QF1", "Q-7K3M-9QFD", "R-" * 5000])
def test_invalid_reference_is_rejected(typed: str) -> None:
    assert as_reference(typed) == ""


def test_new_reference_is_read_back_unchanged() -> None:
    assert all(as_reference(made) == made for made in (reference_of(token_bytes(32)) for _ in range(200)))


def test_secret_opens_its_request_in_any_spelling() -> None:
    request = help_desk_request()
    for typed in (SECRET, SECRET.lower(), SECRET.replace("-", " "), f"  {SECRET.replace('-', '')}\n"):
        assert opens(typed, request)


@pytest.mark.parametrize("secret", ["", "2345", SECRET[:-1], f"{SECRET}2", "\ud800", "\0" * 32])
def test_wrong_secret_does_not_open_request(secret: str) -> None:
    assert not opens(secret, help_desk_request())


def test_secret_does_not_open_missing_request() -> None:
    assert not opens(SECRET, None)
    assert not opens("", None)


def test_request_keeps_only_hash_of_secret() -> None:
    request = help_desk_request()
    assert (len(request.secret_hash), request.secret_hash) == (32, hash_of(SECRET))
    assert SECRET not in repr(request)


@given(ANY, ANY)
def test_any_typed_text_is_handled(reference: str, secret: str) -> None:
    assert as_reference(reference) == "" or as_reference(as_reference(reference)) == as_reference(reference)
    assert not opens(secret, None)


# States.


def test_request_state_is_open_answered_or_closed() -> None:
    request = help_desk_request()
    answered = replace(request, answer="This.", answered_at=NOW + 1)
    states = (request, answered, replace(answered, closed_at=NOW + 2), replace(request, closed_at=NOW + 2))
    assert [one.state for one in states] == ["open", "answered", "closed", "closed"]


def test_only_open_request_is_overdue_after_due_date() -> None:
    request = help_desk_request()
    assert [request.is_overdue(request.due_at + later) for later in (-DAY, 0, 1)] == [False, False, True]
    assert not replace(request, answered_at=NOW).is_overdue(request.due_at + DAY)
    assert not replace(request, closed_at=NOW).is_overdue(request.due_at + DAY)


def test_progress_contains_nothing_that_the_visitor_wrote() -> None:
    request = help_desk_request(address="me@home.example", consent_id="c", answer="This.", answered_at=NOW + DAY)
    assert request.progress() == {
        "reference": request.reference,
        "kind": "see",
        "state": "answered",
        "created_at": "2025-06-15T15:06:40Z",
        "due_at": "2025-07-15T15:06:40Z",
        "answer": "This.",
        "answered_at": "2025-06-16T15:06:40Z",
        "closed_at": None,
    }


def test_document_has_everything_but_secret_and_form() -> None:
    request = help_desk_request(address="me@home.example", consent_id="c")
    document = request.document()
    assert document == {
        **request.progress(),
        "text": request.text,
        "address": "me@home.example",
        "language": "en",
        "consent_id": "c",
    }
    assert request.form not in document.values()


# Email addresses.


@pytest.mark.parametrize(
    "address",
    ["me@home.example", "m.e+tag@sub.home.example", "ユーザー@例え.jp", f"{'a' * 64}@{'b' * 60}.example", "a@b.c"],
)
def test_valid_email_address_is_accepted(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "me", "@", "me@", "@home.example", "me@home", "me@home.", "me@.example", "me@@home.example"),
        *("a b@home.example", "a@b@home.example", "me@home.example\nBcc: all@x.example", "me@home.example\r", "\t@b.c"),
        *("me@home.example, you@home.example", "<me@home.example>", "me@home.example;x@y.z", "me@ho\u2028me.example"),
        *(f"{'a' * 65}@home.example", f"a@{'b.' * 130}example", "me@home.example\0", "\ud800@home.example"),
    ],
)
def test_invalid_email_address_is_rejected(address: str) -> None:
    assert not is_address(address)


def test_email_address_has_at_most_254_characters() -> None:
    longest = f"a@{'b' * (LONGEST_ADDRESS - 4)}.c"
    assert (len(longest), is_address(longest), is_address(f"a{longest}")) == (254, True, False)


@given(st.text(st.characters(), max_size=300))
def test_accepted_email_address_cannot_inject_header(text: str) -> None:
    if is_address(text):
        assert text.isprintable()
        assert text.count("@") == 1
        assert not set(text) & set(' ,;<>"()')
