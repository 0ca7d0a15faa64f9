"""Tests of validation: parts of a policy that contradict each other are rejected."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cookie_consent.pages.wording import Wording
from cookie_consent.policy.declarations import MAX_PURPOSES
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.texts import catalog
from tests.support.policies import feature, full_policy_data, policy_of, purpose, recipient, site, small_policy


def bilingual(text: str) -> dict[str, str]:
    return {"en": text, "ja": text}


Damage = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, tuple[Damage, str, str, str]] = {
    "a purpose's text lacks an offered language": (
        lambda data: data["purposes"]["media"]["title"].pop("ja"),
        "[purposes.media]", "title", 'there is no text in the offered language "ja". Write it in each of: ja, en.',
    ),
    "a purpose's text is blank in an offered language": (
        lambda data: data["purposes"]["media"]["description"].update(en=" "),
        "[purposes.media]", "description", 'there is no text in the offered language "en"',
    ),
    "a text is in a language that is not offered": (
        lambda data: data["purposes"]["media"]["title"].update(jp="地図"),
        "[purposes.media]", "title", 'Add it to languages in [site], or leave it out. Did you mean "ja"?',
    ),
    "an offered language has no texts": (
        lambda data: data["site"]["languages"].append("en-GB"),
        "[site]", "languages", 'no text is in "en-GB"',
    ),
    "a cookie's purpose is not declared": (
        lambda data: data["cookies"][1].update(purpose="analytic"),
        '[[cookies]] "_ga*"', "purpose", 'Did you mean "analytics"? Or declare [purposes.analytic].',
    ),
    "a cookie is declared twice": (
        lambda data: data["cookies"].append({"name": "_ga*", "purpose": "media"}),
        "[[cookies]]", "name", '"_ga*" is declared twice. Keep one of them.',
    ),
    "a cookie's description lacks an offered language": (
        lambda data: data["cookies"][0]["description"].pop("ja"),
        '[[cookies]] "session"', "description", 'there is no text in the offered language "ja"',
    ),
    "a recipient's purpose is not declared": (
        lambda data: data["recipients"][0].update(purpose="maps"),
        '[[recipients]] "example-maps"', "purpose", 'there is no purpose "maps"',
    ),
    "the site has no recipients, but declares one": (
        lambda data: data["site"].update(recipients="none"),
        "[site]", "recipients", 'it says that there are none, but [[recipients]] declares "example-maps". Leave one',
    ),
    "a recipient is declared twice": (
        lambda data: data["recipients"].append(data["recipients"][0]),
        "[[recipients]]", "id", '"example-maps" is declared twice',
    ),
    "what a recipient receives lacks an offered language": (
        lambda data: data["recipients"][0].update(receives={"ja": "IPアドレス"}),
        '[[recipients]] "example-maps"', "receives", 'there is no text in the offered language "en"',
    ),
    "what a recipient uses data for lacks an offered language": (
        lambda data: data["recipients"][0]["use"].pop("ja"),
        '[[recipients]] "example-maps"', "use", 'there is no text in the offered language "ja"',
    ),
    "the safeguard of a transfer lacks an offered language": (
        lambda data: data["recipients"][0]["safeguard"].pop("ja"),
        '[[recipients]] "example-maps"', "safeguard", 'there is no text in the offered language "ja"',
    ),
    "a recipient's country is no code": (
        lambda data: data["recipients"][0].update(country="USA"),
        '[[recipients]] "example-maps"', "country", "'USA' is no country. Write its code of ISO 3166-1, as in \"JP\"",
    ),
    "a purpose's data lacks an offered language": (
        lambda data: data["purposes"]["media"]["data"].pop("ja"),
        "[purposes.media]", "data", 'there is no text in the offered language "ja"',
    ),
    "a purpose's legal basis lacks an offered language": (
        lambda data: data["purposes"]["media"]["legal_basis"].pop("en"),
        "[purposes.media]", "legal_basis", 'there is no text in the offered language "en"',
    ),
    "the authority's name lacks an offered language": (
        lambda data: data["site"]["authority"]["name"].pop("ja"),
        "[site.authority]", "name", 'there is no text in the offered language "ja"',
    ),
    "the authority's address is no link": (
        lambda data: data["site"]["authority"].update(url="javascript:alert(1)"),
        "[site.authority]", "url", "is no link",
    ),
    "the site names an unknown law": (
        lambda data: data["site"].update(laws=["jpn"]),
        "[site]", "laws", 'is no law here. Did you mean "jp"?',
    ),
    "a feature's purpose is not declared": (
        lambda data: data["features"]["map"].update(purposes=["media", "medai"]),
        "[features.map]", "purposes", 'there is no purpose "medai". Did you mean "media"?',
    ),
    "a feature's title lacks an offered language": (
        lambda data: data["features"]["map"]["title"].pop("en"),
        "[features.map]", "title", 'there is no text in the offered language "en"',
    ),
    "a feature's fallback lacks an offered language": (
        lambda data: data["features"]["map"]["fallback"].pop("en"),
        "[features.map]", "fallback", 'there is no text in the offered language "en"',
    ),
    "two services have one path": (
        lambda data: data["services"].update(other={"path": "/whois/"}),
        "[services.whois]", "", "another service has the same place",
    ),
    "two services have one host": (
        lambda data: data["services"].update(other={"host": "shop.example.jp", "path": "/"}),
        "[services.shop]", "", "another service has the same place",
    ),
    "a service's title lacks an offered language": (
        lambda data: data["services"]["whois"]["title"].pop("ja"),
        "[services.whois]", "title", 'there is no text in the offered language "ja"',
    ),
    "a service names a purpose that is not declared": (
        lambda data: data["services"]["shop"]["purposes"].update(medai={"refused": True}),
        "[services.shop.purposes.medai]", "", 'there is no purpose "medai". Did you mean "media"?',
    ),
    "a service refuses the necessary purpose": (
        lambda data: data["services"]["shop"]["purposes"].update(necessary={"refused": True}),
        "[services.shop.purposes.necessary]", "refused", "what is necessary cannot be refused",
    ),
    "a service keeps data for longer": (
        lambda data: data["services"]["whois"]["purposes"]["analytics"].update(retention="396 days"),
        "[services.whois.purposes.analytics]", "retention", "a service cannot keep data for longer than the site says",
    ),
    "a service keeps data for a purpose without retention": (
        lambda data: data["services"]["whois"]["purposes"].update(media={"retention": "1 day"}),
        "[services.whois.purposes.media]", "retention", "or a longer one in [purposes.media].",
    ),
    "a service's own title lacks an offered language": (
        lambda data: data["services"]["whois"]["purposes"]["analytics"]["title"].pop("ja"),
        "[services.whois.purposes.analytics]", "title", 'there is no text in the offered language "ja"',
    ),
    "a service's own description lacks an offered language": (
        lambda data: data["services"]["whois"]["purposes"]["analytics"]["description"].pop("ja"),
        "[services.whois.purposes.analytics]", "description", 'there is no text in the offered language "ja"',
    ),
    "an announced change lacks an offered language": (
        lambda data: data["changes"][0]["text"].pop("ja"),
        "[[changes]] no. 1", "text", 'there is no text in the offered language "ja"',
    ),
    "a signal refuses a purpose that is not declared": (
        lambda data: data["signals"].update(gpc=["media", "ads"]),
        "[signals]", "gpc", 'there is no purpose "ads"',
    ),
    "a signal refuses the necessary purpose": (
        lambda data: data["signals"].update(dnt=["necessary"]),
        "[signals]", "dnt", "no signal refuses what is necessary",
    ),
    "wording is in a language that is not offered": (
        lambda data: data["texts"].update(de={"accept_all": "Ja"}),
        "[texts.de]", "", 'the language "de" is not offered',
    ),
    "wording of an unknown text": (
        lambda data: data["texts"]["en"].update(acept_all="Yes"),
        "[texts.en]", "acept_all", 'there is no such text. Did you mean "accept_all"?',
    ),
    "wording is blank": (
        lambda data: data["texts"]["en"].update(refuse_all=" "),
        "[texts.en]", "refuse_all", "the text is empty",
    ),
    "a counted text has no plural forms": (
        lambda data: data["texts"]["en"].update(days="{number} days"),
        "[texts.en]", "days",
        'the text lacks a form that it needs. Write it as in { one = "…", other = "…" }.',
    ),
    "a counted text lacks a plural form of its language": (
        lambda data: data["texts"]["en"].update(days={"other": "{number} days"}),
        "[texts.en]", "days", 'Write it as in { one = "…", other = "…" }.',
    ),
    "a counted text has the plural forms of another language": (
        lambda data: data["texts"]["ja"].update(days={"one": "{number}日"}),
        "[texts.ja]", "days", 'Write it as in { other = "…" }.',
    ),
    "a plural form is blank": (
        lambda data: data["texts"]["en"].update(days={"one": "{number} day", "other": " "}),
        "[texts.en]", "days", "the text is empty",
    ),
    "an uncounted text has plural forms": (
        lambda data: data["texts"]["en"].update(accept_all={"one": "Yes", "other": "Yes"}),
        "[texts.en]", "accept_all", 'the text lacks a form that it needs. Write one text, as in "…".',
    ),
    "an offered language is not shipped": (
        lambda data: data["site"]["languages"].append("de"),
        "[site]", "languages", 'no text is in "de"',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "table", "key", "message"), DAMAGE.values(), ids=DAMAGE)
def test_inconsistent_policy_is_rejected_with_remedy(damage: Damage, table: str, key: str, message: str) -> None:
    data = full_policy_data()
    damage(data)
    with pytest.raises(PolicyError, match=re.escape(message)) as caught:
        policy_of(data)
    assert (caught.value.table, caught.value.key) == (table, key)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("parts", "table"),
    [
        ({"purposes": (purpose("media"), purpose("media"))}, "[purposes]"),
        ({"features": (feature("map", "media"), feature("map", "media"))}, "[features]"),
        ({"recipients": (recipient("maps", "media"), recipient("maps", "ads"))}, "[[recipients]]"),
        ({"cookies": (Cookie(name="c", purpose="media"), Cookie(name="c", purpose="ads", path="/a"))}, "[[cookies]]"),
    ],
    ids=str,
)
def test_duplicate_declaration_in_python_is_rejected(parts: dict[str, Any], table: str) -> None:
    with pytest.raises(PolicyError, match="is declared twice") as caught:
        small_policy("ads", "media", **parts) if "purposes" not in parts else small_policy(**parts)
    assert caught.value.table == table


@pytest.mark.requirement("CK-02", "UI-15")
def test_number_of_purposes_is_limited() -> None:
    ids = [f"p{number}" for number in range(MAX_PURPOSES)]
    assert len(small_policy(*ids[1:]).purposes) == MAX_PURPOSES
    with pytest.raises(PolicyError, match="Use at most 32"):
        small_policy(*ids)


@pytest.mark.parametrize(
    "place", [{"path": "/whois/deep"}, {"path": "/whois", "host": "shop.example.jp"}, {"path": "/"}]
)
def test_services_may_overlap(place: dict[str, str]) -> None:
    data = full_policy_data()
    data["services"]["other"] = place
    assert policy_of(data).services[-1].id == "other"


def test_service_retention_may_equal_site_retention() -> None:
    data = full_policy_data()
    data["services"]["whois"]["purposes"]["analytics"]["retention"] = "395 days"
    assert policy_of(data)


def test_unshipped_language_with_all_texts_is_accepted() -> None:
    swiss = {**catalog.shipped("de"), "refuse_all": "Alli ablehne"}
    policy = small_policy(site=site("en", "gsw"), wording={"gsw": swiss})
    assert policy.texts["gsw"] == swiss


@pytest.mark.parametrize("more", [{}, {"many": "{number} dagen", "zero": "geen dag"}])
def test_counted_text_may_have_additional_plural_forms(more: dict[str, str]) -> None:
    forms = {"one": "één dag", "other": "{number} dagen", **more}
    policy = small_policy(site=site("en", "nl"), wording={"nl": {"days": forms}})
    assert policy.texts["nl"]["days"] == forms
    assert policy.texts["nl"]["hours"] == catalog.shipped("nl")["hours"]


def test_unshipped_language_without_all_texts_is_rejected() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(site=replace(small_policy().site, languages=("en", "tlh")))
    assert str(caught.value).startswith(
        "[texts.tlh] no texts ship for this language, and these are not written: accept_all"
    )
    assert f" and {len(catalog.names()) - 10} more. Write them in [texts.tlh]" in str(caught.value)
    assert "Texts ship for: ar, bg, " in caught.value.remedy
    assert "Write them in [texts.tlh]" in str(caught.value)


@pytest.mark.parametrize("language", ["tlh", "be"])
def test_one_plural_form_is_enough_in_unshipped_language(language: str) -> None:
    """Releases of the CLDR differ in the forms of a language, so a policy would be valid with one and not another."""
    own = {name: {"other": "x"} if catalog.is_counted(name) else f"own {name}" for name in catalog.names()}
    policy = small_policy(site=site("en", language), wording={language: own})
    assert policy.texts[language]["refuse_all"] == "own refuse_all"
    assert Wording(policy, language).pluralize("days", 1) == "x"
    with pytest.raises(PolicyError, match=r"lacks a form that it needs. Write it as in \{ other = "):
        small_policy(site=site("en", language), wording={language: {**own, "days": {}}})


@pytest.mark.parametrize("language", catalog.shipped_languages())
def test_forms_of_shipped_text_are_those_that_own_wording_needs(language: str) -> None:
    forms = dict.fromkeys(catalog.shipped(language)["days"], "x")
    policy = small_policy(site=site(language), wording={language: {"days": forms}})
    assert policy.texts[language]["days"] == forms
