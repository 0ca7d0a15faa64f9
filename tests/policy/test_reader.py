"""Tests of reading a policy file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import (
    Authority,
    Change,
    Cookie,
    Feature,
    Recipient,
    Service,
    ServicePurpose,
    SignalRules,
    Site,
)
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.reader import read_file, read_tables
from cookie_consent.texts import catalog
from tests.support.examples import examples
from tests.support.policies import FULL_POLICY, full_policy_data, policy_of, write_policy_file

Place = tuple[str | int, ...]


def places(data: Any, above: Place = ()) -> Iterator[Place]:
    """Yield the path of each key in the data of a policy file."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*above, key)
            yield from places(value, (*above, key))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from places(item, (*above, number))


PLACES = list(places(full_policy_data()))
NAMED = ("purposes", "features", "services")
CHOSEN_KEYS = [place for place in PLACES if place[0] in NAMED and len(place) == 2]
"""The keys that a site chooses."""
KEYS = [place for place in PLACES if place not in CHOSEN_KEYS]


def table_of(data: Any, place: Place) -> dict[str, Any]:
    """Return the table with a key."""
    for step in place[:-1]:
        data = data[step]
    assert isinstance(data, dict)
    return data


def table_name(place: Place) -> str:
    """Return the table of a place as messages name it; for an item of a list only the start of its name."""
    if not place:
        return "["
    if place[0] in ("cookies", "recipients", "changes") and len(place) > 1:
        return f"[[{place[0]}]]"
    depth = 1 if place[0] in ("site", "signals") else 4 if place[2:3] == ("purposes",) else 2
    return f"[{'.'.join(map(str, place[:depth]))}]"


def names_table(error: PolicyError | None, place: Place) -> bool:
    """Return whether an error names the table at a place, inside it or around it."""
    return error is not None and error.table.startswith((table_name(place).rstrip("]"), table_name(place[:-1])))


def error_of(path: Path) -> PolicyError | None:
    """Load a policy file and return the error."""
    try:
        Policy.load(path)
    except PolicyError as error:
        return error
    return None


def load(folder: Path, data: Any) -> PolicyError | None:
    """Load a policy file with this data, check that an error names file and table, and return the error."""
    path = write_policy_file(folder, data)
    error = error_of(path)
    if error is not None:
        assert error.file == str(path)
        assert error.table.startswith("[")
        assert str(error).startswith(f"{path}: {error.table} ")
    return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.mark.requirement("PO-04")
def test_every_key_of_policy_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(FULL_POLICY, encoding="utf-8")
    found = read_file(path)
    assert found.site == Site(
        name="Example Registry",
        controller="Example Registry Co., Ltd.",
        contact="privacy@example.jp",
        data_protection_officer="officer@example.jp",
        prevailing_language="ja",
        languages=("ja", "en"),
        policy_url="https://example.jp/privacy",
        updated=date(2026, 11, 25),
        laws=("jp",),
        authority=Authority(name={"en": "Commission", "ja": "委員会"}, url="https://authority.example/complaints"),
    )
    analytics, media = found.purposes
    assert (analytics.id, analytics.traces, analytics.retention) == ("analytics", True, timedelta(days=395))
    assert (media.id, media.traces, media.retention, media.refused) == ("media", False, None, False)
    assert media.title == {"en": "Maps and videos", "ja": "地図と動画"}
    assert media.data == {"en": "Address of your device", "ja": "端末のアドレス"}
    assert media.legal_basis == {"en": "Consent (GDPR Art. 6(1)(a))", "ja": "同意（GDPR第6条1項a）"}
    session, pattern, player = found.cookies
    assert session.description == {"en": "Keeps you signed in.", "ja": "ログインを保ちます。"}
    assert (session.purpose, session.duration, session.path, session.domain) == ("necessary", None, "/", None)
    assert pattern == Cookie(name="_ga*", purpose="analytics", duration=timedelta(days=395), domain="example.jp")
    assert player == Cookie(name="player", purpose="media", duration=timedelta(days=30), path="/videos")
    assert found.recipients == (
        Recipient(
            id="example-maps",
            name="Example Maps Inc.",
            purpose="media",
            origins=("https://maps.example.com", "https://*.tiles.example.com:8443"),
            receives={"en": "IP address, address of the page", "ja": "IPアドレス、ページのアドレス"},
            directives=("frame", "img"),
            policy_url="https://maps.example.com/privacy",
            country="US",
            safeguard={"en": "Standard clauses", "ja": "標準契約条項"},
            use={"en": "Counts how often maps are shown.", "ja": "地図の表示回数を数えます。"},
        ),
    )
    assert found.features == (
        Feature(
            id="map",
            title={"en": "Map of offices", "ja": "事務所の地図"},
            purposes=("media",),
            fallback={"en": "The addresses are listed below.", "ja": "住所は下にあります。"},
        ),
    )
    whois, shop = found.services
    assert (whois.id, whois.path, whois.host, whois.policy_url) == ("whois", "/whois", "", "/whois/terms")
    assert whois.purposes["analytics"].retention == timedelta(days=30)
    assert shop == Service(id="shop", host="shop.example.jp", purposes={"media": ServicePurpose(refused=True)})
    assert found.changes == (
        Change(date=date(2026, 11, 25), text={"en": "Maps were added.", "ja": "地図を加えました。"}),
    )
    assert found.signals == SignalRules(gpc=("media",), dnt=None)
    assert found.wording == {"en": {"accept_all": "Yes to all"}, "ja": {"accept_all": "すべてに同意"}}


def test_counted_text_has_table_of_plural_forms() -> None:
    forms = {"one": "{number} day only", "other": "{number} days in all"}
    data = full_policy_data()
    data["texts"]["en"]["days"] = forms
    assert read_tables(data).wording["en"] == {"accept_all": "Yes to all", "days": forms}
    assert policy_of(data).texts["en"]["days"] == forms
    assert policy_of(data).version != policy_of(full_policy_data()).version


@pytest.mark.parametrize(
    ("value", "rule"), [("default", None), ("ignore", ()), ([], ()), (["media", "analytics"], ("media", "analytics"))]
)
def test_signal_rule_is_default_ignore_or_list(value: object, rule: tuple[str, ...] | None) -> None:
    data = full_policy_data() | {"signals": {"gpc": value, "dnt": value}}
    assert read_tables(data).signals == SignalRules(gpc=rule, dnt=rule)


@pytest.mark.parametrize(
    "content",
    [b"[site", b"site = ", b"a = 1\na = 2", FULL_POLICY.encode("shift_jis"), b"a = 2026-02-31", b"a = " + b"1" * 5000],
    ids=["bracket", "value", "twice", "encoding", "date", "number"],
)
def test_invalid_toml_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "consent.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"consent\.toml: this is no TOML file in UTF-8"):
        Policy.load(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("site", 1, "[site] this is no table. Write [site] and its keys below."),
        ("purposes", [], "[purposes] this is no table. Write [purposes.NAME] and its keys below."),
        ("purposes.analytics", "x", "[purposes.analytics] this is no table."),
        ("cookies", {}, "[cookies] this is no array of tables. Write [[cookies]], in double brackets."),
        ("cookies", [1], "[[cookies]] no. 1 this is no table."),
        ("services", 1, "[services] this is no table."),
        ("services.whois.purposes", 1, '[services.whois.purposes] this is no table.'),
        ("services.whois.purposes.analytics", 1, "[services.whois.purposes.analytics] this is no table."),
        ("texts", [], "[texts] this is no table. Write [texts.NAME] and its keys below."),
        ("texts.en", "x", "[texts.en] this is no table. Write [texts.en] and its keys below."),
        ("site.name", 1, '[site] key "name": 1 is no text. Put it in quotes.'),
        ("site.languages", "ja", '[site] key "languages": \'ja\' is no list. Write it as in ["first", "second"].'),
        ("site.languages", ["ja", 1], '[site] key "languages": 1 is no text.'),
        ("purposes.analytics.title", "Tracing", '[purposes.analytics] key "title": \'Tracing\' is not one text'),
        ("purposes.analytics.title", {"en": 1}, '[purposes.analytics] key "title": 1 is no text.'),
        ("purposes.analytics.retention", "1 moon", '[purposes.analytics] key "retention": \'1 moon\' is no duration'),
        ("purposes.analytics.retention", 395, '[purposes.analytics] key "retention": 395 is no duration.'),
        ("purposes.analytics.traces", "yes", '[purposes.analytics] key "traces": \'yes\' is neither true nor false.'),
        ("services.shop.purposes.media.refused", False, '[services.shop.purposes.media] key "refused": a service'),
        ("services.shop.purposes.media.refused", 1, '[services.shop.purposes.media] key "refused": a service'),
        ("signals.gpc", "media", '[signals] key "gpc": \'media\' is no list. Write it as in'),
        ("signals.dnt", True, '[signals] key "dnt": True is no list.'),
        ("texts.ja.accept_all", 1, '[texts.ja] key "accept_all": 1 is no text.'),
        ("texts.en.days", {"one": 1}, '[texts.en] key "days": 1 is no text. Put it in quotes.'),
        ("texts.en.days", {"one": "x", "other": ["y"]}, '[texts.en] key "days": [\'y\'] is no text.'),
        ("texts.en.days", ["x"], '[texts.en] key "days": [\'x\'] is no text.'),
        ("changes", [{"date": "2026-11-25", "text": {}}], '[[changes]] no. 1 key "date": \'2026-11-25\' is no date.'),
        ("records", {"keep": "for ever"}, '[records] key "keep": '),
        (
            "requests",
            {"keep": "1 day", "keep_address": "2 days"},
            '[requests] key "keep_address": a mail address cannot be kept for longer than its request',
        ),
        ("cookies", [{"name": "a b", "purpose": "media"}], '[[cookies]] "a b" key "name": \'a b\' is not valid here.'),
        ("cookies", [{"name": "a", "purpose": "media", "duration": "2 years"}], '[[cookies]] "a" key "duration": a'),
        ("recipients", [{"id": "maps", "purpose": 1}], '[[recipients]] "maps" key "purpose": 1 is no text.'),
    ],
)  # fmt: skip
def test_value_of_wrong_type_is_rejected_with_remedy(place: str, value: object, message: str) -> None:
    data, steps = full_policy_data(), tuple(place.split("."))
    table_of(data, steps)[steps[-1]] = value
    with pytest.raises(PolicyError, match=re.escape(message)):
        read_tables(data)


@pytest.mark.parametrize(
    ("place", "name", "meant"),
    [
        (("cookies",), "cookie", "cookies"),
        (("site", "controller"), "controler", "controller"),
        (("purposes", "analytics", "retention"), "retnetion", "retention"),
        (("purposes", "analytics", "traces"), "trace", "traces"),
        (("cookies", 0, "duration"), "Duration", "duration"),
        (("recipients", 0, "origins"), "origin", "origins"),
        (("features", "map", "fallback"), "fall_back", "fallback"),
        (("services", "whois", "policy_url"), "policy-url", "policy_url"),
        (("services", "whois", "purposes"), "purpose", "purposes"),
        (("services", "shop", "purposes", "media", "refused"), "refuse", "refused"),
        (("signals", "gpc"), "gcp", "gpc"),
    ],
)
def test_misspelt_key_gets_suggestion(place: Place, name: str, meant: str) -> None:
    data = full_policy_data()
    table = table_of(data, place)
    table[name] = table.pop(str(place[-1]))
    with pytest.raises(PolicyError, match=f'there is no (key|table) "{name}" here. Did you mean "{meant}"?') as caught:
        read_tables(data)
    assert names_table(caught.value, (*place[:-1], name))


REQUIRED = [
    *[("site", key) for key in ("name", "controller", "contact", "prevailing_language", "languages")],
    *[("site", "authority", key) for key in ("name", "url")],
    *[("purposes", "media", key) for key in ("title", "description")],
    *[("cookies", 0, key) for key in ("name", "purpose")],
    *[("recipients", 0, key) for key in ("id", "name", "purpose", "receives")],
    *[("features", "map", key) for key in ("title", "purposes", "fallback")],
    *[("changes", 0, key) for key in ("date", "text")],
]


@pytest.mark.parametrize("place", REQUIRED, ids=str)
def test_missing_required_key_is_named(tmp_path: Path, place: Place) -> None:
    data = full_policy_data()
    del table_of(data, place)[str(place[-1])]
    error = load(tmp_path, data)
    assert error is not None
    assert (error.key, error.remedy) == (place[-1], "Add it.")
    assert names_table(error, place)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KNOWN = {place[-1] for place in PLACES} | catalog.names() | {"domain", "hosts"}
UNKNOWN = TEXT.filter(lambda name: name not in KNOWN)
INVALID_EVERYWHERE = st.one_of(
    st.integers(-9, 9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(-9, 9), min_size=1, max_size=2),
    st.dictionaries(TEXT, st.integers(-9, 9), min_size=1, max_size=2),
)


@given(place=st.sampled_from(PLACES), value=INVALID_EVERYWHERE)
def test_error_for_any_wrong_type_names_its_table(folder: Path, place: Place, value: object) -> None:
    data = full_policy_data()
    table_of(data, place)[str(place[-1])] = value
    assert names_table(load(folder, data), place)


@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), INVALID_EVERYWHERE | TEXT), min_size=2, max_size=6))
def test_any_several_changes_are_accepted_or_rejected_once_each(folder: Path, changes: list[tuple[Place, Any]]) -> None:
    data = full_policy_data()
    for place, value in changes:
        with suppress(KeyError, IndexError, TypeError, AssertionError):  # a change before it removed the place
            table_of(data, place)[str(place[-1])] = value
    error = load(folder, data)
    errors = error.errors if error else ()
    assert all(one.table.startswith("[") and one.problem for one in errors)
    assert len({str(one) for one in errors}) == len(errors)


@given(place=st.sampled_from(KEYS), name=UNKNOWN)
def test_error_for_any_renamed_key_names_its_table(folder: Path, place: Place, name: str) -> None:
    data = full_policy_data()
    table = table_of(data, place)
    table[name] = table.pop(str(place[-1]))
    assert names_table(load(folder, data), (*place[:-1], name))


@examples(150)
@given(at=st.integers(0, len(FULL_POLICY.encode())), octets=st.binary(max_size=3), dropped=st.integers(0, 3))
@pytest.mark.slow
def test_any_changed_bytes_are_accepted_or_rejected(folder: Path, at: int, octets: bytes, dropped: int) -> None:
    path, content = folder / "bytes.toml", FULL_POLICY.encode()
    path.write_bytes(content[:at] + octets + content[at + dropped :])
    error = error_of(path)
    assert error is None or str(error).startswith(f"{path}: ")
