"""Tests of a policy's texts in one language: plurals, dates, lists and placeholders."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from markupsafe import Markup, escape

from cookie_consent.pages.wording import Wording, link
from cookie_consent.policy.policy import Policy
from tests.support.policies import full_policy_in, site


def words(language: str, wording: Any = None) -> Wording:
    offered = dict.fromkeys(("en", language))
    own = {} if wording is None else {language: wording}
    return Wording(Policy(site=site(*offered), wording=own), language)


@pytest.mark.parametrize(
    ("language", "number", "expected"),
    [
        ("en", 1, "1 third party would receive data"),
        ("en", 2, "2 third parties would receive data"),
        ("en", 1000, "1,000 third parties would receive data"),
        ("pl", 1, "1 strona trzecia otrzymałaby dane"),
        ("pl", 3, "3 strony trzecie otrzymałyby dane"),
        ("pl", 5, "5 stron trzecich otrzymałoby dane"),
        ("pl", 22, "22 strony trzecie otrzymałyby dane"),
        ("ja", 1, "情報の提供先（第三者1件）"),
    ],
)
def test_counted_text_uses_plural_form_of_number(language: str, number: int, expected: str) -> None:
    assert words(language).pluralize("banner_recipients", number) == expected


@pytest.mark.parametrize(
    ("language", "duration", "expected"),
    [
        ("de", timedelta(days=1), "1 Tag"),
        ("de", timedelta(days=395), "395 Tage"),
        ("fr", timedelta(days=0), "0 jour"),
        ("cs", timedelta(days=2), "2 dny"),
        ("pl", timedelta(days=390), "13 miesięcy"),
        ("pl", timedelta(days=730), "2 lata"),
        ("ar", timedelta(days=365), "سنة واحدة"),
        ("de", timedelta(seconds=100_001), "100.001 Sekunden"),
    ],
)
def test_duration_uses_plural_form_of_language(language: str, duration: timedelta, expected: str) -> None:
    assert words(language).duration(duration) == expected


@pytest.mark.parametrize(
    ("duration", "english", "japanese"),
    [
        (timedelta(days=1), "1 day", "1日"),
        (timedelta(days=395), "395 days", "395日"),
        (timedelta(days=184), "184 days", "184日"),
        (timedelta(days=390), "13 months", "13か月"),
        (timedelta(days=120), "4 months", "4か月"),
        (timedelta(days=90), "90 days", "90日"),
        (timedelta(days=30), "30 days", "30日"),
        (timedelta(days=360), "12 months", "12か月"),
        (timedelta(days=365), "1 year", "1年"),
        (timedelta(days=1095), "3 years", "3年"),
        (timedelta(days=365, hours=1), "8,761 hours", "8,761時間"),
        (timedelta(hours=36), "36 hours", "36時間"),
        (timedelta(hours=1), "1 hour", "1時間"),
        (timedelta(minutes=1), "1 minute", "1分"),
        (timedelta(minutes=90), "90 minutes", "90分"),
        (timedelta(seconds=1), "1 second", "1秒"),
        (timedelta(seconds=90, milliseconds=1), "90 seconds", "90秒"),
    ],
)
def test_duration_is_in_largest_exact_unit(duration: timedelta, english: str, japanese: str) -> None:
    assert words("en").duration(duration) == english
    assert words("ja").duration(duration) == japanese


def test_plural_fallback_ignores_order_of_forms() -> None:
    own = words("fr", {"days": {"other": "{number} jours", "one": "{number} jour"}})
    assert own.pluralize("days", 1_000_000) == "1\u202f000\u202f000 jours"


def test_own_wording_can_have_plural_forms() -> None:
    own = words("en", {"days": {"one": "a day", "other": "<{number}> & {more}"}})
    assert own.pluralize("days", 1) == own.duration(timedelta(days=1)) == "a day"
    assert own.pluralize("days", 1234) == "&lt;1,234&gt; &amp; {more}"


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", '<time datetime="2026-03-01">March 1, 2026</time>'),
        ("ja", '<time datetime="2026-03-01">2026年3月1日</time>'),
        ("ar", '<time datetime="2026-03-01">1 مارس 2026</time>'),
    ],
)
def test_day_is_written_in_language_with_datetime_attribute(language: str, expected: str) -> None:
    assert words(language).day(date(2026, 3, 1)) == expected
    assert words(language).day(1_772_323_200.0) == expected
    assert words(language).day(1_772_409_599) == expected


@pytest.mark.parametrize(
    ("language", "prevailing", "named"),
    [("en", "ja", "Japanese"), ("ja", "de", "ドイツ語"), ("de", "zh-Hant", "Chinesisch (Traditionell)")],
)
def test_prevailing_language_is_named_in_language_of_reader(language: str, prevailing: str, named: str) -> None:
    assert named in Wording(Policy(site=site(prevailing, language)), language).prevails()
    assert Wording(Policy(site=site(prevailing, language)), prevailing).prevails() == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Example Ltd.", "Asked by <bdi>Example Ltd.</bdi>"),
        ("Example", "Asked by <bdi>Example</bdi>."),
        ("A & B Ltd.", "Asked by <bdi>A &amp; B Ltd.</bdi>"),
        ("Ltd. <1>", "Asked by <bdi>Ltd. &lt;1&gt;</bdi>."),
        ("", "Asked by <bdi></bdi>."),
    ],
)
def test_full_stop_after_name_with_full_stop_is_dropped(value: str, expected: str) -> None:
    own = words("en", {"request_intro": "Asked by {controller}."})
    assert own("request_intro", controller=value) == expected


def test_full_stop_after_date_with_full_stop_is_dropped() -> None:
    own = words("hu", {"decided_at": "{date}. {expires}."})
    day = own.day(date(2026, 1, 2))
    assert day.endswith("2026. január 2.</time>")
    assert own("decided_at", date=day, expires="x") == f"{day} x."
    assert own("decided_at", date=Markup("<time>2</time>"), expires=day) == f"<time>2</time>. {day}"


def test_full_stop_within_sentence_stays() -> None:
    own = words("en", {"request_intro": "{controller} asks, {controller}, and {nobody}. {controller}..."})
    asked = "<bdi>Ltd.</bdi> asks, <bdi>Ltd.</bdi>, and {nobody}. <bdi>Ltd.</bdi>.."
    assert own("request_intro", controller="Ltd.") == asked


@pytest.mark.parametrize(
    ("language", "name"), [("ar", "Example Co., Ltd."), ("ar", "<مثال>"), ("en", "شركة المثال (ش.م.م.)")]
)
def test_names_keep_their_writing_direction(language: str, name: str) -> None:
    own = words(language)
    expected = f"<bdi>{escape(name)}</bdi>"
    assert own("request_intro", controller=name, date="x").count(expected) == 1
    assert own("banner_question", controller=name, purposes="x").count(expected) == 1
    assert own("recipient_policy", recipient=name).count(expected) == 1


def test_other_values_are_isolated_in_right_to_left_text() -> None:
    assert "\u2068Example <b>\u2069" in words("ar")("banner_off", features="Example <b>").unescape()
    assert "\u2068" not in words("en")("banner_off", features="Example")


def test_sentences_are_joined_as_language_requires() -> None:
    sentences = ("One.", "", Markup("<b>Two.</b>"), "<3>")
    assert words("en").paragraph(*sentences) == "One. <b>Two.</b> &lt;3&gt;"
    assert words("zh-Hans").paragraph(*sentences) == "One.<b>Two.</b>&lt;3&gt;"
    assert words("en").paragraph("", "") == ""


def test_titles_are_listed_as_language_requires() -> None:
    policy = full_policy_in("en", "de")
    assert Wording(policy, "en").titles(["analytics", "media"]) == "Access tracing [en] and Maps and videos [en]"
    assert Wording(policy, "de").titles(policy.optional) == "Access tracing [de] und Maps and videos [de]"
    assert Wording(policy, "de").titles([]) == ""
    assert Wording(policy, "de").titles(["gone", "media"]) == "gone und Maps and videos [de]"
    assert Wording(policy, "de").list_titles(policy.features) == "Map of offices [de]"


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("/terms", "/terms"),
        ("https://example.jp/desk", "https://example.jp/desk"),
        ("http://example.jp/desk", "http://example.jp/desk"),
        ("privacy@example.jp", "mailto:privacy@example.jp"),
        ("a b?subject=x@example.jp", "mailto:a%20b%3Fsubject%3Dx@example.jp"),
        ("//evil.example", ""),
        ("javascript:alert('@')", ""),
        ("by post", ""),
        ("", ""),
    ],
)
def test_only_paths_web_addresses_and_mail_addresses_are_linked(address: str, target: str) -> None:
    assert link(address) == target
