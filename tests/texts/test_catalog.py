"""Tests of the shipped texts: each language has all English texts, its plural forms, and no text too long."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from babel import Locale

from cookie_consent.decision.decision import decide
from cookie_consent.pages.context import QuestionOptions
from cookie_consent.pages.pages import NOTHING_KEPT, Pages
from cookie_consent.policy.policy import card_of
from cookie_consent.texts import catalog
from cookie_consent.texts.locales import written_number
from tests.support.policies import NOW, full_policy_in, granting_record, text_of

LANGUAGES = [
    *("bg", "hr", "cs", "da", "nl", "en", "et", "fi", "fr", "de", "el", "hu", "ga", "it", "lv", "lt", "mt", "pl", "pt"),
    *("ro", "sk", "sl", "es", "sv", "no", "is", "uk", "tr", "ar", "he", "fa", "ja", "ko", "zh-Hans", "zh-Hant", "th"),
    *("vi", "id", "hi"),
]
BUTTONS = ("accept_all", "refuse_all", "choose", "save", "close", "show_once", "always_allow")
"""The buttons of the banner and of cards. "erase" is not one: it has a line of its own on the settings page."""
QUESTION_TEXTS = (
    *("accept_all", "refuse_all", "choose", "save", "close", "purposes"),
    *("privacy_settings", "privacy_policy", "cookies_blocked", "status_granted", "not_kept", "changed_meanwhile"),
)
SETTINGS_TEXTS = (
    *("status_granted", "always_on", "cookie_name", "cookie_where", "this_site", "session", "recipients"),
    *("without_it", "services", "your_data", "receipt", "export", "answer_stays", "contact"),
    *("policy_data", "changes", "necessary_title", "necessary_description", "accept_all", "refuse_all", "save"),
)
_PLACEHOLDER = re.compile(r"\{\w+\}")
_STRAY = re.compile(r"^\s|\s$|\s\s|[\t\n\r\f\v]")


def forms(text: catalog.Text) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


@cache
def numbers(language: str) -> dict[str, list[int]]:
    """Plural form -> the whole numbers up to a thousand that have it.

    Another release of the CLDR may know a form more. Its numbers have "other" then.
    """
    days = catalog.shipped(language)["days"]
    found: dict[str, list[int]] = {}
    for number in range(1001):
        category = Locale.parse(language, sep="-").plural_form(number)
        found.setdefault(category if category in days else "other", []).append(number)
    return found


def test_shipped_languages_are_listed_here() -> None:
    assert catalog.shipped_languages() == sorted(LANGUAGES)
    assert len(LANGUAGES) == 39


def test_shipped_language_has_every_english_text() -> None:
    for language in LANGUAGES:
        own, english = catalog.shipped(language), catalog.shipped("en")
        assert list(own) == list(english), language
        assert [name for name in own if isinstance(own[name], str) != isinstance(english[name], str)] == [], language
        assert [name for name, text in own.items() if not all(form.strip() for form in forms(text))] == [], language


def test_shipped_language_has_same_placeholders() -> None:
    for language in LANGUAGES:
        for name, text in catalog.shipped(language).items():
            english = Counter(_PLACEHOLDER.findall(forms(catalog.shipped("en")[name])[-1]))
            for form in forms(text):
                # The next test is about {number}.
                assert Counter(_PLACEHOLDER.findall(form)) - Counter(["{number}"]) == english - Counter(["{number}"]), (
                    language,
                    name,
                )
                assert _PLACEHOLDER.sub("", form).count("{") == 0, (language, name)


def test_counted_texts_have_plural_forms_of_whole_numbers() -> None:
    for language in LANGUAGES:
        counted = {name: text for name, text in catalog.shipped(language).items() if not isinstance(text, str)}
        assert counted.keys() == {
            "banner_recipients",
            "cookies_deleted",
            "kept_records",
            "own_cookies",
            "days",
            "hours",
            "minutes",
            "months",
            "seconds",
            "years",
        }
        for name, text in counted.items():
            assert text.keys() == numbers(language).keys(), (language, name)
            for category, form in text.items():
                several = len(numbers(language)[category]) > 1
                assert form.count("{number}") == 1 or not several, (language, name, category)


def test_buttons_and_texts_are_not_too_long() -> None:
    """A button fits on a phone, and a translation says no more than the English text."""
    for language in LANGUAGES:
        own, english = catalog.shipped(language), catalog.shipped("en")
        assert {name: own[name] for name in BUTTONS if max(map(len, forms(own[name]))) > 32} == {}, language
        longest = {name: max(map(len, forms(text))) for name, text in english.items()}
        too_long = [(name, form) for name in own for form in forms(own[name]) if len(form) > 1.7 * longest[name] + 15]
        assert too_long == [], language


def test_accept_and_refuse_buttons_have_similar_length() -> None:
    for language in LANGUAGES:
        accept, refuse = (len(forms(catalog.shipped(language)[name])[0]) for name in ("accept_all", "refuse_all"))
        assert abs(accept - refuse) <= max(accept, refuse) / 3 + 3, language


def test_texts_have_no_stray_white_space() -> None:
    for language in LANGUAGES:
        own = catalog.shipped(language)
        assert [name for name, text in own.items() if any(map(_STRAY.search, forms(text)))] == [], language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_shown_in_shipped_language(language: str) -> None:
    policy = full_policy_in("sv" if language == "en" else "en", language)
    pages, where = Pages(), dict[str, Any](base="/p", language=language, next_path="/a")
    decision = decide(policy, granting_record(policy), frozenset({"gpc", "dnt"}), NOW)
    accepted = decide(policy, granting_record(policy), frozenset(), NOW)
    unanswered = decide(policy, None, frozenset({"dnt"}), NOW)
    question = pages.banner(decision, options=QuestionOptions(again=True), **where).decode()
    html = {
        "question": pages.banner(unanswered, **where).decode() + question,
        "settings": (
            pages.settings(decision, kept={**NOTHING_KEPT, "visitor_id": "1234", "takes_requests": False}, **where)
            + pages.settings(accepted, **where)
        ),
        "link": pages.mark_footer(decision, encoding="utf-8", **where).decode(),
        "off": pages.unavailable(unanswered, missing=("media", "analytics"), feature=policy.features[0], **where),
        "box": pages.box(unanswered, feature=policy.features[0], **where),
        "card": pages.card(unanswered, card=card_of(policy, policy.recipients[0].id), **where),
    }
    expected = {
        "question": QUESTION_TEXTS,
        "settings": SETTINGS_TEXTS,
        "link": ("privacy_settings",),
        "off": ("privacy_settings", "why_unanswered", "why_dnt"),
        "box": ("privacy_settings", "why_unanswered"),
        "card": ("privacy_settings", "show_once", "always_allow", "shown_once"),
    }
    direction = "rtl" if language in ("ar", "he", "fa") else "ltr"
    for kind, text in html.items():
        assert f'lang="{language}" dir="{direction}"' in text
        assert "{" not in re.sub(r'data-state="[^"]*"', "", text)
        unescaped = text.replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&")
        assert [name for name in expected[kind] if text_of(policy, language, name) not in unescaped] == []
    # The banner names one recipient, and counts four, in the plural form for four.
    one = html["question"].replace("&#39;", "'").replace("&#34;", '"')
    assert text_of(policy, language, "banner_named_recipients").partition("{")[0] in one
    recipients = [replace(policy.recipients[0], id=id_, name=id_) for id_ in "abcd"]
    many = replace(policy, recipients=tuple(recipients), features=())
    html["many"] = pages.banner(decide(many, None, frozenset(), NOW), **where).decode()
    shown = re.sub("[\u2068\u2069]", "", html["many"].replace("&#39;", "'").replace("&#34;", '"'))  # isolates
    counted = catalog.shipped(language)["banner_recipients"]
    assert not isinstance(counted, str)
    form = next(form for category, form in counted.items() if 4 in numbers(language)[category])
    assert form.replace("{number}", written_number(4, language)) in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_that_no_third_party_gets_data_is_said_in_shipped_language(language: str) -> None:
    policy = full_policy_in("sv" if language == "en" else "en", language)
    policy = replace(policy, recipients=(), site=replace(policy.site, recipients="none"))
    html = Pages().settings(decide(policy, None, frozenset(), NOW), base="/p", language=language)
    assert text_of(policy, language, "no_recipients") in html.replace("&#39;", "'")


# Choosing the texts of a language.


@pytest.mark.parametrize(
    ("language", "texts_of"),
    [
        *(("en-GB", "en"), ("EN", "en"), ("de-CH", "de"), ("pt-BR", "pt"), ("sr-Latn-RS", "")),
        *(("zh-TW", "zh-Hant"), ("zh-HK", "zh-Hant"), ("zh-Hant-HK", "zh-Hant"), ("zh-hant", "zh-Hant")),
        *(("zh", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh-SG", "zh-Hans"), ("zh-Hans-TW", "zh-Hans")),
        *(("nb", "no"), ("nn-NO", "no"), ("nb-NO", "no"), ("no", "no")),
    ],
)
def test_language_tag_gets_texts_of_best_shipped_language(language: str, texts_of: str) -> None:
    assert catalog.shipped(language) == (catalog.shipped(texts_of) if texts_of else {})


@pytest.mark.parametrize("language", ["", "-", "tlh", "sr", "x-private", "no/"])
def test_unshipped_language_has_no_texts(language: str) -> None:
    assert catalog.shipped(language) == {}
