"""Tests of the edits of a policy's text: purposes and languages."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from cookie_consent import PolicyError
from cookie_consent.cli.playground.languages import add_language, with_language
from cookie_consent.cli.playground.purposes import add_purpose, remove_purpose, rename_purpose, retitle_purpose
from cookie_consent.cli.playground.tables import tables
from cookie_consent.policy.from_toml import declarations
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.catalog import shipped_languages
from tests.support.policies import FULL_POLICY

EXAMPLE = (files("cookie_consent.cli.playground") / "example.toml").read_text(encoding="utf-8")
STARTER = (files("cookie_consent.policy") / "starter.toml").read_text(encoding="utf-8")
WITH_SERVICE = (
    f'{EXAMPLE}\n[services.help]\npath = "/help"\npolicy_url = "/help/terms"\n\n'
    "[services.help.purposes.analytics]\nrefused = true\n"
)
POLICIES = pytest.mark.parametrize("text", [EXAMPLE, STARTER, FULL_POLICY], ids=["example", "starter", "full"])


def policy_of(text: str) -> Policy:
    return Policy(**vars(declarations(tomllib.loads(text))))


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that went and those that came."""
    old, new = before.split("\n"), after.split("\n")
    return [line for line in old if line not in new], [line for line in new if line not in old]


# Tables


def test_tables_have_their_lines_and_values() -> None:
    text = '# About all\n\n[a.b]\nkey = 1\n# its own\n\n# About c\n[[c]]\nname = "x" # [no] header\n'
    lines = text.split("\n")
    assert [(table.path, table.first, table.last) for table in tables(lines)] == [(("a", "b"), 2, 5), (("c",), 7, 9)]
    assert [dict(table.values) for table in tables(lines)] == [{"key": 1}, {"name": "x"}]


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_headers_inside_texts_are_no_tables(quotes: str) -> None:
    lines = f"[a]\ntext = {quotes}\n[no.table]\n# no comment\n{quotes}\n[b]".split("\n")
    assert [table.path for table in tables(lines)] == [("a",), ("b",)]


def test_comment_above_a_header_belongs_to_that_table() -> None:
    (first, second) = tables(["[a]", "key = 1", "# About b", "[b]", "list = [", '  "[x]",', "]"])
    assert (first.last, second.first, second.last) == (2, 3, 7)


@pytest.mark.parametrize("line", ["[[a]", "[a", "[a b]", '["x"],', "[]"])
def test_what_is_no_header_is_no_table(line: str) -> None:
    assert tables([line]) == []


# Purposes


@POLICIES
def test_added_purpose_is_the_last_one(text: str) -> None:
    before, after = policy_of(text), policy_of(add_purpose(text))
    assert after.optional == (*before.optional, "ads")
    assert lines_changed(text, add_purpose(text))[0] == []


def test_added_purposes_have_ids_of_their_own() -> None:
    text = EXAMPLE
    for _ in range(5):
        text = add_purpose(text)
    added = ("ads", "preferences", "purpose-1", "purpose-2", "purpose-3")
    assert policy_of(text).optional == ("analytics", "media", *added)


def test_first_purpose_is_added_at_the_end() -> None:
    text = EXAMPLE.partition("[purposes.")[0]
    assert policy_of(add_purpose(text)).optional == ("ads",)


def test_added_purpose_before_a_table_keeps_a_line_between_them() -> None:
    text = EXAMPLE.replace('other companies serve." }\n\n[[cookies]]', 'other companies serve." }\n[[cookies]]')
    assert "\n\n[[cookies]]" in add_purpose(text)


@POLICIES
def test_removed_purpose_takes_what_is_of_it_alone(text: str) -> None:
    edited = remove_purpose(text, "media")
    before, after = policy_of(text), policy_of(edited)
    assert after.optional == tuple(id_ for id_ in before.optional if id_ != "media")
    assert after.cookies == tuple(cookie for cookie in before.cookies if cookie.purpose != "media")
    assert after.recipients == tuple(it for it in before.recipients if it.purpose != "media")
    assert all("media" not in feature.purposes for feature in after.features)
    assert set(lines_changed(text, edited)[1]) <= {"gpc = []"}


def test_removed_purpose_leaves_lists_that_name_others() -> None:
    text = EXAMPLE.replace('purposes = ["media"]', 'purposes = ["media", "analytics"]')
    assert 'purposes = ["analytics"]' in remove_purpose(text, "media")
    assert 'purposes = ["media"]' in remove_purpose(text, "analytics")


def test_removed_purpose_takes_the_words_of_services_about_it() -> None:
    edited = remove_purpose(WITH_SERVICE, "analytics")
    assert "[services.help]" in edited
    assert "[services.help.purposes.analytics]" not in edited


@POLICIES
def test_renamed_purpose_is_renamed_wherever_it_is_named(text: str) -> None:
    edited = rename_purpose(text, "media", "films")
    before, after = policy_of(text), policy_of(edited)
    assert after.optional == tuple("films" if id_ == "media" else id_ for id_ in before.optional)
    assert len(after.recipients) == len(before.recipients)
    assert rename_purpose(edited, "films", "media") == text


def test_services_words_follow_a_renamed_purpose() -> None:
    edited = rename_purpose(WITH_SERVICE, "analytics", "counts")
    assert policy_of(edited).services[0].purposes.keys() == {"counts"}


@pytest.mark.parametrize(("new", "said"), [("Films", "is not valid here"), ("analytics", "There is a purpose")])
def test_purpose_is_not_renamed_to_a_wrong_id(new: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rename_purpose(EXAMPLE, "media", new)


def test_title_changes_in_one_language() -> None:
    edited = retitle_purpose(STARTER, "media", "en", 'Maps & "films"')
    titles = policy_of(edited).in_force["media"].title
    assert titles == {"en": 'Maps & "films"', "ja": "地図と動画"}
    assert [len(lines) for lines in lines_changed(STARTER, edited)] == [1, 1]


OTHERWISE = EXAMPLE.replace("[purposes.media]\ntitle =", "[purposes.media]\ntitle.en =").replace(
    'title.en = { en = "Maps and videos" }', 'title.en = "Maps and videos"'
)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: retitle_purpose(text, "media", "en", "Films"),
        lambda text: retitle_purpose(text, "films", "en", "Films"),
        lambda text: remove_purpose(text.replace("[purposes.media]", "[purposes]\nmedia.data.en = 'x'"), "media"),
        lambda text: rename_purpose(text.replace("[purposes.media]", "[purposes.'media']"), "media", "films"),
        lambda text: remove_purpose(text.replace("[purposes.media]", "[purposes.media]\npurposes = ["), "x"),
    ],
)
def test_what_cannot_be_edited_says_so(edit: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match=r"change it in the text|Invalid|Unclosed"):
        edit(OTHERWISE)


# Languages


@POLICIES
def test_added_language_has_every_text(text: str) -> None:
    edited = add_language(text, "fi")
    assert policy_of(edited).site.languages == (*policy_of(text).site.languages, "fi")
    assert tomllib.loads(edited) == with_language(tomllib.loads(text), "fi")


def test_added_language_stands_in_the_same_lines() -> None:
    assert 'title = { en = "Maps and videos", fi = "Kartat ja videot" }' in add_language(EXAMPLE, "fi")
    assert 'languages = ["en", "fi"]\n' in add_language(EXAMPLE, "fi")
    own = EXAMPLE.replace("Maps and videos", "Our maps")
    assert 'title = { en = "Our maps", fi = "Our maps" }' in add_language(own, "fi")


def test_example_is_translated_into_all_shipped_languages() -> None:
    texts = tomllib.loads((files("cookie_consent.cli.playground") / "phrases.toml").read_text(encoding="utf-8"))
    others = set(shipped_languages()) - {"en"}
    assert all(set(translations) == others for translations in texts.values())
    shown = {text["en"] for text in _texts(tomllib.loads(EXAMPLE)) if text["en"] != "Shows the map."}
    assert shown <= texts.keys()


def _texts(value: Any) -> list[dict[str, str]]:
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if not isinstance(value, dict):
        return []
    return [value] if "en" in value else [text for item in value.values() for text in _texts(item)]


def test_language_beside_nested_tables_and_comments_is_added() -> None:
    text = EXAMPLE.replace(
        "[purposes.analytics]",
        'authority = { name = { en = "Office" }, url = "https://office.example/" } # { en = "no text" }\n\n'
        "[purposes.analytics]",
    )
    assert 'authority = { name = { en = "Office", fi = "Office" }, url = "https://office.example/" }' in add_language(
        text, "fi"
    )


def test_tables_without_texts_stay_as_they_are() -> None:
    text = f'{EXAMPLE}\n[texts.en]\nbanner_title = "Your choice"\n\n[vendors]\nen = {{ en = "x" }}\n'
    with pytest.raises(ValueError, match='Add "fi" by hand'):
        add_language(text, "fi")  # the inline table has a language as its key, and is no text
    assert with_language(tomllib.loads(text), "fi")["texts"] == {"en": {"banner_title": "Your choice"}}


def test_language_is_not_added_where_texts_are_written_otherwise() -> None:
    with pytest.raises(ValueError, match='Add "fi" by hand'):
        add_language(OTHERWISE, "fi")


def test_invalid_id_is_a_policy_error() -> None:
    with pytest.raises(PolicyError):
        rename_purpose(EXAMPLE, "media", "")
