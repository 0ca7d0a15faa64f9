"""Tests of the first policy file: it is written in any shipped language."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import pytest

from cookie_consent.cli.init import language_tags, starter
from cookie_consent.policy.advice import advice, placeholders
from cookie_consent.policy.policy import policy_in_use
from cookie_consent.texts.catalog import shipped_languages
from tests.support.policies import policy_of

EXAMPLES = {
    '[site] key "name"',
    '[site] key "controller"',
    '[site] key "contact"',
    '[site] key "policy_url"',
    '[[recipients]] "example-maps" key "name"',
    '[[recipients]] "example-maps" key "origins"',
}


def places_of_advice(text: str) -> set[str]:
    policy = policy_of(tomllib.loads(text))
    sentences = [*(str(error) for _, error in placeholders(policy)), *advice(policy, date(2026, 12, 1))]
    return {sentence.partition(":")[0] for sentence in sentences}


def test_file_in_english_and_japanese_is_the_one_that_ships() -> None:
    shipped = Path(__file__).parents[2] / "cookie_consent" / "cli" / "starter.toml"
    assert starter() == shipped.read_text(encoding="utf-8")


@pytest.mark.parametrize("languages", [["en"], ["ja"], ["ja", "en"], ["en-GB"]])
def test_file_in_one_of_its_languages_has_no_text_to_write(languages: list[str], tmp_path: Path) -> None:
    text, path = starter(languages), tmp_path / "consent.toml"
    path.write_text(text, encoding="utf-8")
    site = policy_in_use(path).site
    assert (site.languages, site.prevailing_language) == (tuple(languages), languages[0])
    assert places_of_advice(text) == EXAMPLES
    assert ("地図" in text, "Maps and videos" in text) == ("ja" in languages, languages != ["ja"])


def test_each_purpose_says_how_long_it_keeps_and_the_sites_own_log_is_one_of_its_own() -> None:
    policy = policy_of(tomllib.loads(starter(["en"])))
    assert all(policy.in_force[id_].retention for id_ in policy.optional)
    assert policy.traced == {"visits"}
    assert [cookie.name for cookie in policy.cookies_of("visits")] == []
    assert [recipient.name for recipient in policy.recipients_of("analytics")] == ["Google Ireland Limited"]
    assert "improve" not in starter(["en"])


def test_file_is_dated_by_the_day_on_which_it_is_written() -> None:
    assert policy_of(tomllib.loads(starter(["de"], date(2027, 2, 3)))).updated == date(2027, 2, 3)


def test_texts_of_other_languages_are_to_be_written() -> None:
    text = starter(["de", "en"])
    data = tomllib.loads(text)
    assert data["purposes"]["media"]["title"] == {"de": "… Maps and videos", "en": "Maps and videos"}
    assert data["features"]["map"]["fallback"]["de"].startswith("… The map is switched off.")
    assert '# [texts.de]\n# banner_title = "…"' in text
    texts = {"title", "description", "data", "fallback", "receives", "use"}
    to_write = places_of_advice(text) - EXAMPLES
    assert {place.split('"')[-2] for place in to_write} == texts


@pytest.mark.parametrize("language", shipped_languages())
def test_file_in_any_shipped_language_loads(language: str) -> None:
    policy = policy_of(tomllib.loads(starter([language])))
    assert policy.site.languages == (language,)
    assert (policy.optional, policy.feature("map").purposes) == (("visits", "analytics", "media"), ("media",))


def test_comments_stay_in_their_column() -> None:
    commented = [line for line in starter(["en"]).splitlines() if "# if left out: " in line or "# the lang" in line]
    assert [line.index(" # ") for line in commented] == [42, 42, 42]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("en", ["en"]),
        ("ja, EN", ["ja", "en"]),
        ("pt-br,zh-HANT-tw", ["pt-BR", "zh-Hant-TW"]),
        ("en,EN", ["en"]),
    ],
)
def test_language_tags_are_read_in_any_case(text: str, tags: list[str]) -> None:
    assert language_tags(text) == tags


@pytest.mark.parametrize("text", ["tlh", "en,", "", "english", "en ja", "../en"])
def test_language_without_texts_is_refused_with_those_that_have(text: str) -> None:
    with pytest.raises(ValueError, match=r"no texts ship for .* They do for: ar, bg, .*, zh-Hant\."):
        language_tags(text)
