"""Tests of RequestConsent: the decision as an app reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from cookie_consent.decision.decision import decide
from cookie_consent.http.request_consent import RequestConsent, own_path
from cookie_consent.pages.pages import Pages
from tests.support.policies import (
    NOW,
    feature,
    full_policy_data,
    granting_record,
    policy_of,
    refusing_record,
    small_policy,
)

POLICY = policy_of(full_policy_data())
DECISION = decide(POLICY, granting_record(POLICY), frozenset(), NOW)
PAGES = Pages(prefix="/privacy-choices")


def scope(path: str = "/", query: bytes = b"", accept: Iterable[bytes] = (), **more: Any) -> dict[str, Any]:
    headers = [(b"host", b"example.jp"), *((b"accept-language", value) for value in accept)]
    return {"path": path, "query_string": query, "headers": headers, **more}


def consent(*accept: bytes, root_path: str = "") -> RequestConsent:
    return RequestConsent(DECISION, scope(accept=accept, root_path=root_path), PAGES)


def test_request_consent_shows_decision() -> None:
    own = consent()
    assert own.allows("analytics")
    assert own.purposes == DECISION.purposes
    assert (own.status, own.should_ask, own.signals) == ("granted", False, ())
    assert own.record is DECISION.record
    assert own.policy is POLICY


def test_unknown_purpose_raises_lookup_error_with_suggestion() -> None:
    with pytest.raises(LookupError, match=r'Did you mean "analytics"\?'):
        consent().allows("analytic")


@pytest.mark.parametrize("name", ["status", "purposes", "should_ask", "policy", "language"])
def test_reading_decision_is_noted(name: str) -> None:
    own = consent()
    assert not own.was_read
    getattr(own, name)
    assert own.was_read


def test_reading_base_path_does_not_count_as_reading_decision() -> None:
    own = consent(root_path="/mounted/")
    assert own.base == "/mounted/privacy-choices"
    assert not own.was_read


@pytest.mark.parametrize(
    ("accept", "language"),
    [((), "ja"), ((b"en",), "en"), ((b"de", b"en;q=0.5"), "en"), ((b"de",), "ja"), ((b"\xff\x00",), "ja")],
)
def test_language_is_negotiated_else_prevailing(accept: tuple[bytes, ...], language: str) -> None:
    own = consent(*accept)
    assert not own.chose_language
    assert own.language == language
    assert own.chose_language


@pytest.mark.parametrize(("tag", "language"), [("en-us", "en"), ("xx", "ja")])
def test_language_of_framework_counts_if_it_is_offered(tag: str, language: str) -> None:
    own = consent()
    own.prefer_language(tag)
    assert own.language == language


def test_app_can_set_language() -> None:
    own = consent(b"ja")
    own.language = "en"
    assert own.language == "en"
    assert not own.chose_language


def test_setting_language_not_offered_raises() -> None:
    own = consent()
    with pytest.raises(LookupError, match=r'the language "de" is not offered\. Did you mean "en"\?'):
        own.language = "de"
    assert own.language == "ja"


def test_feature_fallback_is_in_visitor_language() -> None:
    policy = policy_of(full_policy_data())
    own = RequestConsent(decide(policy, refusing_record(policy), frozenset(), NOW), scope(accept=[b"en"]), PAGES)
    assert own.feature("map").fallback == "The addresses are listed below."
    assert own.feature("map", language="ja").fallback == "住所は下にあります。"


def test_requests_with_shared_decision_note_reading_separately() -> None:
    policy = small_policy("media", features=(feature("map", "media"),))
    decision = decide(policy, None, frozenset(), NOW)
    first, second = (RequestConsent(decision, scope(), PAGES) for _ in range(2))
    first.feature("map")
    assert (first.was_read, second.was_read) == (True, False)


@pytest.mark.parametrize(
    ("path", "query", "written"),
    [
        ("/", b"", "/"),
        ("/a/b", b"x=1&y=%20", "/a/b?x=1&y=%20"),
        ("/オフィス", b"", "/%E3%82%AA%E3%83%95%E3%82%A3%E3%82%B9"),
        ("/a b?c#d", b"\xff", "/a%20b%3Fc%23d?\xff"),
        ("/" * 1999, b"x", "/" * 1999 + "?x"),
        ("/" * 2000, b"x", ""),
        ("/\udc80", b"", "/%3F"),
    ],
)
def test_own_path_is_encoded_path_and_query(path: str, query: bytes, written: str) -> None:
    assert own_path(scope(path, query)) == written


def test_app_is_asked_for_its_language_once() -> None:
    asked: list[str] = []
    own = RequestConsent(DECISION, scope("/there"), PAGES, lambda scope: asked.append(scope["path"]))
    assert [own.language_of_page("ja") for _ in range(2)] == ["ja", "ja"]
    assert asked == ["/there"]
