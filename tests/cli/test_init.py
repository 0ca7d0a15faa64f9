"""Tests of `cookie-consent init`: a first policy file, in any shipped language."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cookie_consent import Policy
from cookie_consent.cli.init import language_tags, starter
from cookie_consent.cli.main import GOOD
from cookie_consent.policy.advice import advice, placeholders
from cookie_consent.policy.policy import policy_in_use
from cookie_consent.texts.catalog import shipped_languages
from tests.cli.conftest import Run
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


def test_policy_is_written_with_what_to_do_next(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("init")
    assert ran.status == GOOD
    assert "cookie-consent check consent.toml" in ran.out
    assert 'app.add_middleware(ConsentMiddleware, policy="consent.toml"' in ran.out
    policy = Policy.load("consent.toml")
    assert policy.site.languages == ("en", "ja")
    assert policy.site.updated in (datetime.now(UTC).date(), datetime.now().astimezone().date())
    ran = cli("init", "--languages", "de,fr", "own.toml")
    assert 'Write each text that begins with "…".' in ran.out
    assert Policy.load("own.toml").site.languages == ("de", "fr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["consent.toml", "own.toml"]


def test_suggestions_of_the_file_show_every_table(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    # Uncomment all suggestions of the file.
    whole = re.sub(r"^# (?=(?!recipients|kind)\w+ = |\[)", "", starter(), flags=re.MULTILINE)
    path.write_text(whole, encoding="utf-8")
    policy = Policy.load(path)
    assert all((policy.cookies, policy.recipients, policy.features, policy.services, policy.changes, policy.wording))
    assert all((policy.security.content_security_policy, policy.vendors, policy.site.laws, policy.site.policy_url))
    assert all((policy.goals, policy.funnels))
    assert whole.count("\n[signals]\n") == 1


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
    policy = policy_of(tomllib.loads(starter(["de"], date(2027, 2, 3))))
    assert all(policy.in_force[id_].retention for id_ in policy.optional)
    assert (policy.traced, policy.updated) == (frozenset({"visits"}), date(2027, 2, 3))
    assert not policy.cookies_of("visits")
    assert [recipient.name for recipient in policy.recipients_of("analytics")] == ["Google Ireland Limited"]


def test_texts_of_other_languages_are_to_be_written() -> None:
    text = starter(["de", "en"])
    data = tomllib.loads(text)
    assert data["purposes"]["media"]["title"] == {"de": "… Maps and videos", "en": "Maps and videos"}
    assert data["features"]["map"]["fallback"]["de"].startswith("… The map is switched off.")
    assert '# [texts.de]\n# banner_title = "…"' in text
    to_write = places_of_advice(text) - EXAMPLES
    assert {place.split('"')[-2] for place in to_write} == {
        "title",
        "description",
        "data",
        "fallback",
        "receives",
        "use",
    }
    commented = [line for line in text.splitlines() if "# if left out: " in line or "# the lang" in line]
    assert {line.index(" # ") for line in commented} == {42}


def test_file_in_any_shipped_language_loads() -> None:
    for language in shipped_languages():
        policy = policy_of(tomllib.loads(starter([language])))
        assert policy.site.languages == (language,)
        assert (policy.optional, policy.feature("map").purposes) == (("visits", "analytics", "media"), ("media",))


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
