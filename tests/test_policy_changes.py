from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision import decide
from cookie_consent.material import widened
from cookie_consent.parts import Change, Cookie
from cookie_consent.policy import Policy
from cookie_consent.policy_changes import EVERYBODY, WHO_ACCEPTED, PolicyChange, announcement, asks_again, compare
from cookie_consent.record import State
from tests.policies import (
    FULL,
    NOW,
    answered,
    feature,
    full,
    full_in,
    granted,
    inline,
    policies,
    policy_of,
    purpose,
    recipient,
    refused,
    small,
)
from tests.test_material import EDITORIAL, NARROWER, WIDER
from tests.test_material import POLICY as MATERIAL
from tests.test_policy import WORDS, Step, with_word

POLICY = policy_of(full())
TODAY = date(2027, 1, 31)
Data = dict[str, Any]
Edit = Callable[[Data], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Written(Policy):
    """A policy whose document says something else: also what no policy can say yet."""

    said: Data = field(default_factory=dict)

    def document(self) -> Data:
        return self.said


def written(said: Data) -> Policy:
    return Written(site=POLICY.site, purposes=POLICY.purposes, said=said)


def at(*path: Step, to: Any) -> Edit:
    """Write something else at a place of a policy file."""

    def edit(data: Data) -> None:
        table: Any = data
        for step in path[:-1]:
            table = table.setdefault(step, {}) if isinstance(table, dict) else table[step]
        table[path[-1]] = to

    return edit


def without(*path: Step) -> Edit:
    """Take a place of a policy file away."""

    def edit(data: Data) -> None:
        table: Any = data
        for step in path[:-1]:
            table = table[step]
        del table[path[-1]]

    return edit


def more(table: str, **part: Any) -> Edit:
    return lambda data: data[table].append(part)


def reverse(table: str) -> Edit:
    def edit(data: Data) -> None:
        parts = data[table]
        data[table] = parts[::-1] if isinstance(parts, list) else dict(reversed(parts.items()))

    return edit


def edited(*edits: Edit) -> Policy:
    data = full()
    for edit in edits:
        edit(data)
    return policy_of(data)


def both(text: str) -> dict[str, str]:
    return {"en": text, "ja": text}


MAPS = {"id": "films", "name": "Films Inc.", "receives": both("Address")}
SERVICE = ("services", "whois")
CONDITIONS = (*SERVICE, "purposes", "analytics")
EDITS: dict[str, tuple[Edit, tuple[str, ...]]] = {
    # The site.
    'the name changed from "Example Registry" to "Registry"': (at("site", "name", to="Registry"), ()),
    'the controller changed from "Example Registry Co., Ltd." to "A \\"B\\" Ltd."': (
        at("site", "controller", to='A "B" Ltd.'), ()
    ),
    'the contact changed from "privacy@example.jp" to "https://example.jp/contact"': (
        at("site", "contact", to="https://example.jp/contact"), ()
    ),
    'the prevailing language changed from "ja" to "en"': (at("site", "prevailing_language", to="en"), ()),
    'the policy address changed from "https://example.jp/privacy" to none': (without("site", "policy_url"), ()),
    "the order of the languages changed": (at("site", "languages", to=["en", "ja"]), ()),
    # Purposes.
    'the purpose "social" was added': (
        at("purposes", "social", to={"title": both("S"), "description": both("S")}), ("social",)
    ),
    'the title of "analytics" in "en" was reworded': (
        at("purposes", "analytics", "title", "en", to="T"), ("analytics",)
    ),
    'the description of "media" in "ja" was reworded': (
        at("purposes", "media", "description", "ja", to="T"), ("media",)
    ),
    'the retention of "analytics" grew from 395 days to 400 days': (
        at("purposes", "analytics", "retention", to="400 days"), ("analytics",)
    ),
    'the retention of "analytics" shrank from 395 days to 60 days': (
        at("purposes", "analytics", "retention", to="60 days"), ("analytics",)
    ),
    'the retention of "media" grew from nothing to 1 day': (
        at("purposes", "media", "retention", to="1 day"), ("media",)
    ),
    'tracing was switched on for "media"': (at("purposes", "media", "traces", to=True), ("media",)),
    'tracing was switched off for "analytics"': (at("purposes", "analytics", "traces", to=False), ("analytics",)),
    "the order of the purposes changed": (reverse("purposes"), ()),
    # Cookies.
    'the cookie "_new" was added to "analytics"': (
        more("cookies", name="_new", purpose="analytics", duration="1 day"), ("analytics",)
    ),
    'the cookie "csrf" was added to "necessary"': (more("cookies", name="csrf", purpose="necessary"), ("necessary",)),
    'the cookie "player" was removed from "media"': (without("cookies", 2), ("media",)),
    'the cookie "_ga*" was moved from "analytics" to "media"': (at("cookies", 1, "purpose", to="media"), ("media",)),
    'the cookie "player" was moved from "media" to "necessary"': (
        at("cookies", 2, "purpose", to="necessary"), ("media", "necessary")
    ),
    'the lifetime of the cookie "_ga*" grew from 395 days to 400 days': (
        at("cookies", 1, "duration", to="400 days"), ("analytics",)
    ),
    'the lifetime of the cookie "player" shrank from 30 days to 1 hour': (
        at("cookies", 2, "duration", to="1 hour"), ("media",)
    ),
    'the lifetime of the cookie "player" shrank from 30 days to the session': (
        at("cookies", 2, "duration", to="session"), ("media",)
    ),
    'the lifetime of the cookie "session" grew from the session to 90 minutes': (
        at("cookies", 0, "duration", to="90 minutes"), ("necessary",)
    ),
    'the path of the cookie "player" changed from "/videos" to "/"': (at("cookies", 2, "path", to="/"), ("media",)),
    'the domain of the cookie "_ga*" changed from "example.jp" to none': (
        without("cookies", 1, "domain"), ("analytics",)
    ),
    'the description of the cookie "session" in "en" was reworded': (
        at("cookies", 0, "description", "en", to="T"), ("necessary",)
    ),
    "the order of the cookies changed": (reverse("cookies"), ()),
    # Recipients.
    'the recipient "films" was added to "media"': (more("recipients", **MAPS, purpose="media"), ("media",)),
    'the recipient "example-maps" was removed from "media"': (without("recipients", 0), ("media",)),
    'the recipient "example-maps" was moved from "media" to "analytics"': (
        at("recipients", 0, "purpose", to="analytics"), ("analytics",)
    ),
    'the origin "https://a.example" was added to the recipient "example-maps"': (
        lambda data: data["recipients"][0]["origins"].append("https://a.example"), ("media",)
    ),
    'the origin "https://maps.example.com" was removed from the recipient "example-maps"': (
        without("recipients", 0, "origins", 0), ("media",)
    ),
    'the order of the origins of the recipient "example-maps" changed': (
        lambda data: data["recipients"][0]["origins"].reverse(), ("media",)
    ),
    'the directive "font" was added to the recipient "example-maps"': (
        lambda data: data["recipients"][0]["directives"].append("font"), ("media",)
    ),
    'the directive "img" was removed from the recipient "example-maps"': (
        without("recipients", 0, "directives", 1), ("media",)
    ),
    'the name of the recipient "example-maps" changed from "Example Maps Inc." to "Maps Ltd."': (
        at("recipients", 0, "name", to="Maps Ltd."), ("media",)
    ),
    'the text "receives" of the recipient "example-maps" in "en" was reworded': (
        at("recipients", 0, "receives", "en", to="T"), ("media",)
    ),
    'the policy address of the recipient "example-maps" changed from "https://maps.example.com/privacy" to "/maps"': (
        at("recipients", 0, "policy_url", to="/maps"), ("media",)
    ),
    # Features.
    'the feature "tour" was added': (
        at("features", "tour", to={"title": both("T"), "fallback": both("T"), "purposes": ["media"]}), ("media",)
    ),
    'the feature "map" was removed': (without("features", "map"), ("media",)),
    'the title of the feature "map" in "en" was reworded': (at("features", "map", "title", "en", to="T"), ("media",)),
    'the fallback of the feature "map" in "ja" was reworded': (
        at("features", "map", "fallback", "ja", to="T"), ("media",)
    ),
    'the purpose "analytics" was added to the feature "map"': (
        at("features", "map", "purposes", to=["media", "analytics"]), ("media", "analytics")
    ),
    # Services.
    'the service "forum" was added': (
        at("services", "forum", to={"path": "/forum", "purposes": {"media": {"refused": True}}}), ("media",)
    ),
    'the service "whois" was removed': (without(*SERVICE), ("analytics",)),
    'the path of the service "whois" changed from "/whois" to "/search"': (
        at(*SERVICE, "path", to="/search"), ("analytics",)
    ),
    'the host of the service "shop" changed from "shop.example.jp" to "example.jp"': (
        at("services", "shop", "host", to="example.jp"), ("media",)
    ),
    'the policy address of the service "whois" changed from "/whois/terms" to "/terms"': (
        at(*SERVICE, "policy_url", to="/terms"), ("analytics",)
    ),
    'the title of the service "whois" in "en" was reworded': (at(*SERVICE, "title", "en", to="T"), ("analytics",)),
    'the title of "analytics" in the service "whois" in "ja" was reworded': (
        at(*CONDITIONS, "title", "ja", to="T"), ("analytics",)
    ),
    'the retention of "analytics" in the service "whois" changed from 30 days to 60 days': (
        at(*CONDITIONS, "retention", to="60 days"), ("analytics",)
    ),
    'the retention of "analytics" in the service "whois" changed from 30 days to that of the site': (
        without(*CONDITIONS, "retention"), ("analytics",)
    ),
    '"analytics" in the service "whois" is now refused': (at(*CONDITIONS, "refused", to=True), ("analytics",)),
    '"media" in the service "shop" is no longer refused': (without("services", "shop", "purposes"), ("media",)),
    '"media" in the service "whois" is now refused': (
        at(*SERVICE, "purposes", "media", to={"refused": True}), ("media",)
    ),
    'the conditions of "media" in the service "whois" changed': (at(*SERVICE, "purposes", "media", to={}), ("media",)),
    "the order of the services changed": (reverse("services"), ()),
    # Signals, announcements and wording.
    'what Sec-GPC refuses changed from "media" to the default': (without("signals", "gpc"), ("media",)),
    'what Sec-GPC refuses changed from "media" to "media", "analytics"': (
        at("signals", "gpc", to=["media", "analytics"]), ("analytics",)
    ),
    "what DNT refuses changed from the default to nothing": (at("signals", "dnt", to="ignore"), ()),
    "the announcement of 2027-01-01 was added": (more("changes", date=date(2027, 1, 1), text=both("T")), ()),
    "the announcement of 2026-11-25 was removed": (without("changes"), ()),
    "the announcement of 2026-11-25 was reworded": (at("changes", 0, "text", "en", to="T"), ()),
    'the text "accept_all" in "en" was reworded': (at("texts", "en", "accept_all", to="Yes"), ()),
    'the text "accept_all" in "ja" was removed': (without("texts", "ja"), ()),
    'the text "refuse_all" in "en" was added': (at("texts", "en", "refuse_all", to="No"), ()),
    'the text "days" in "en" was added': (
        at("texts", "en", "days", to={"one": "{number} d", "other": "{number} d"}), ()
    ),
}  # fmt: skip
WIDENING = (
    'the purpose "social" was added',
    'the retention of "analytics" grew',
    'the retention of "media" grew',
    "tracing was switched on",
    'the cookie "_new" was added',
    'the cookie "_ga*" was moved',
    'the lifetime of the cookie "_ga*" grew',
    'the recipient "films" was added',
    'the recipient "example-maps" was moved',
    'the origin "https://a.example" was added',
)
TABLES = {"site", "purposes", "cookies", "recipients", "features", "services", "signals", "changes", "texts"}


def touched_table(edit: Edit) -> str:
    """The one table of a policy file that an edit is of; "" where it is of several."""
    before, after = full(), full()
    edit(after)
    tables = [table for table in TABLES if inline(before[table]) != inline(after.get(table, {}))]
    return tables[0] if len(tables) == 1 else ""


def whats(old: Policy, new: Policy) -> list[str]:
    return [change.what for change in compare(old, new)]


def material(changes: tuple[PolicyChange, ...]) -> set[str]:
    return {purpose for change in changes if change.material for purpose in change.purposes}


@pytest.mark.parametrize("what", EDITS)
def test_a_change_is_told_with_the_purposes_it_touches(what: str) -> None:
    edit, purposes = EDITS[what]
    assert compare(POLICY, edited(edit)) == (PolicyChange(what, purposes, what.startswith(WIDENING)),)


@pytest.mark.parametrize("what", EDITS)
def test_what_is_told_as_material_is_what_is_wider_both_ways(what: str) -> None:
    new = edited(EDITS[what][0])
    assert material(compare(POLICY, new)) == widened(POLICY, new)
    assert material(compare(new, POLICY)) == widened(new, POLICY)
    assert compare(new, POLICY)


def test_each_table_of_a_policy_is_changed_by_these_tests() -> None:
    assert {touched_table(edit) for edit, _ in EDITS.values()} - {""} == TABLES


@pytest.mark.parametrize(("first", "second"), [*permutations(sorted(TABLES), 2)])
def test_changes_of_two_tables_are_told_as_each_by_itself(first: str, second: str) -> None:
    def of(table: str) -> Edit:
        return next(edit for edit, _ in EDITS.values() if touched_table(edit) == table)

    together = compare(POLICY, edited(of(first), of(second)))
    assert {*together} == {*compare(POLICY, edited(of(first))), *compare(POLICY, edited(of(second)))}


@pytest.mark.parametrize("change", [*(edit[0] for edit in WIDER.values()), *(edit[0] for edit in NARROWER.values()),
                                    *EDITORIAL.values()], ids=[*WIDER, *NARROWER, *EDITORIAL])  # fmt: skip
def test_material_is_what_the_law_of_material_changes_says(change: Callable[[Policy], Policy]) -> None:
    new = change(MATERIAL)
    for old, after in ((MATERIAL, new), (new, MATERIAL)):
        changes = compare(old, after)
        assert changes
        assert material(changes) == widened(old, after)


@given(policies(), policies())
def test_every_difference_is_told_and_what_is_wider_is_material(old: Policy, new: Policy) -> None:
    changes = compare(old, new)
    assert bool(changes) is (old.version != new.version)
    assert material(changes) == widened(old, new)
    assert all(change.purposes for change in changes if change.material)
    assert len({*changes}) == len(changes)


@given(st.lists(st.sampled_from([edit for edit, _ in EDITS.values()]), max_size=4), st.data())
def test_several_edits_leave_nothing_untold(edits: list[Edit], data: st.DataObject) -> None:
    def applied() -> Iterator[Policy]:
        said = full()
        for edit in edits:
            copy = deepcopy(said)
            try:
                edit(copy)
                yield policy_of(copy)
            except (LookupError, ValueError):  # It takes away what another one needs.
                continue
            said = copy

    versions = [POLICY, *applied()]
    old, new = data.draw(st.sampled_from(versions)), data.draw(st.sampled_from(versions))
    changes = compare(old, new)
    assert bool(changes) is (old.version != new.version)
    assert material(changes) == widened(old, new)


@given(st.sampled_from(WORDS), st.text(min_size=1).filter(str.strip))
def test_words_are_never_material(place: tuple[Step, ...], text: str) -> None:
    new = with_word(place, text)
    changes = compare(POLICY, new)
    assert bool(changes) is (new.version != POLICY.version)
    assert not material(changes)


def leaves(value: Any, above: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list) and item:
            yield from leaves(item, (*above, key))
        else:
            yield (*above, key)


def other(value: Any, key: Step) -> Any:
    """Another value of the kind that stands there."""
    if value is None:
        return {"retention": 60, "duration": 60, "dnt": ["media"]}.get(str(key), "other")
    of_kind: dict[type, Any] = {bool: not value, str: "other", dict: {"en": "T"}, list: ["other"]}
    return of_kind.get(type(value), 60)


@pytest.mark.parametrize("path", [*leaves(POLICY.document())], ids=str)
def test_each_place_of_a_document_is_looked_at(path: tuple[Step, ...]) -> None:
    said: Any = POLICY.document()
    for step in path:
        said = said[step]
    changed = deepcopy(POLICY.document())
    at(*path, to=other(said, path[-1]))(changed)
    assert compare(POLICY, written(changed))
    assert compare(written(changed), POLICY)


def test_a_table_that_comes_later_is_told_by_its_name() -> None:
    said = POLICY.document()
    later = written({**said, "partners": [{"id": "example"}]})
    assert compare(POLICY, later) == (PolicyChange("the table [partners] changed"),)


def test_a_key_that_comes_later_is_told_by_its_name() -> None:
    said = deepcopy(POLICY.document())
    said["cookies"][2].update(secure=True, kind="local", note={"en": "A", "ja": "B"}, partners=["a"])
    assert whats(POLICY, written(said)) == [
        'the secure of the cookie "player" changed from none to true',
        'the kind of the cookie "player" changed from none to "local"',
        'the note of the cookie "player" changed from none to {"en": "A", "ja": "B"}',
        'the partners of the cookie "player" changed from none to ["a"]',
    ]


def test_announcements_in_another_order_are_told_as_their_table() -> None:
    changes = tuple(Change(date=date(2026, 1, day), text={"en": "T"}) for day in (1, 2))
    assert whats(small(changes=changes), small(changes=changes[::-1])) == ["the table [changes] changed"]


def test_wording_that_says_nothing_is_told_as_its_table() -> None:
    assert whats(small(), small(wording={"en": {}})) == ["the table [texts] changed"]


def test_an_origin_that_is_named_twice_is_told_as_another_order() -> None:
    old, new = (small("media", recipients=(recipient("r", "media", *["https://a.example"] * n),)) for n in (1, 2))
    assert whats(old, new) == ['the order of the origins of the recipient "r" changed']


@pytest.mark.parametrize("added", ["de", "id", "gpc", "one"])
def test_a_language_is_one_change_and_not_one_of_each_text(added: str) -> None:
    def offering(*languages: str) -> Policy:
        said = deepcopy(full_in("en").document())

        def spread(value: Any) -> Any:
            if isinstance(value, dict) and value.keys() == {"en"}:
                return dict.fromkeys(languages, value["en"])
            if isinstance(value, dict):
                return {key: spread(item) for key, item in value.items()}
            return [*map(spread, value)] if isinstance(value, list) else value

        said = spread({**said, "wording": {"en": {"days": {"one": "{number} d", "other": "{number} d"}}}})
        said["site"]["languages"] = [*languages]
        return written(said)

    assert compare(offering("en"), offering("en", added)) == (PolicyChange(f'the language "{added}" was added'),)
    assert compare(offering("en", added), offering("en")) == (PolicyChange(f'the language "{added}" was removed'),)


def test_a_change_in_the_languages_that_stay_is_told_beside_a_new_language() -> None:
    old, new = full_in("en"), full_in("en", "id")
    cookies = (*new.cookies, Cookie(name="_new", purpose="media"))
    assert whats(old, replace(new, cookies=cookies, site=replace(new.site, contact="a@b.example"))) == [
        'the contact changed from "privacy@example.jp" to "a@b.example"',
        'the language "id" was added',
        'the cookie "_new" was added to "media"',
    ]


def test_a_description_that_a_cookie_did_not_have_is_added() -> None:
    old = small(cookies=(Cookie(name="a", purpose="necessary"),))
    new = small(cookies=(Cookie(name="a", purpose="necessary", description={"en": "T"}),))
    assert whats(old, new) == ['the description of the cookie "a" in "en" was added']
    assert whats(new, old) == ['the description of the cookie "a" in "en" was removed']


def test_a_purpose_removed_is_told_and_nothing_to_ask() -> None:
    old, new = small("ads", "media"), small("ads")
    assert compare(old, new) == (PolicyChange('the purpose "media" was removed', ("media",)),)
    assert asks_again(old, new) == asks_again(old, new, history=False) == {}


def test_no_time_and_none_at_all_are_equally_long() -> None:
    old, new = (small(purposes=(replace(purpose("ads"), retention=length),)) for length in (None, timedelta(0)))
    assert compare(old, new) == (PolicyChange('the retention of "ads" changed from nothing to 0 days', ("ads",)),)


def test_a_feature_touches_what_it_needs_and_what_it_needed() -> None:
    old, new = (small("ads", "media", features=(feature("map", id_),)) for id_ in ("ads", "media"))
    assert [change.purposes for change in compare(old, new)] == [("ads", "media")] * 2


def test_a_purpose_refused_on_the_whole_site_is_told_and_not_asked_for() -> None:
    own = replace(purpose("ads"), refused=True)
    assert whats(small("ads"), small(purposes=(own,))) == ['"ads" is now refused']
    assert asks_again(small(), small(purposes=(own,))) == {}


def test_a_policy_is_compared_as_the_site_has_it() -> None:
    assert compare(POLICY, POLICY.under(POLICY.services[0]).with_history([small()])) == ()


SOCIAL = purpose("social")
ASKED: dict[str, tuple[Callable[[Policy], Policy], dict[str, str], dict[str, str]]] = {
    "words": (EDITORIAL["a title"], {}, {}),
    "wider": (WIDER["a cookie added"][0], {"media": WHO_ACCEPTED}, {"media": WHO_ACCEPTED}),
    "new": (WIDER["a purpose added"][0], {"social": EVERYBODY}, {"social": EVERYBODY}),
    "narrower": (NARROWER["a shorter retention"][0], {}, {"analytics": WHO_ACCEPTED}),
    "moved": (
        WIDER["a cookie moved to another purpose"][0],
        {"ads": WHO_ACCEPTED},
        {"ads": WHO_ACCEPTED, "analytics": WHO_ACCEPTED},
    ),
}


@pytest.mark.parametrize(("change", "with_history", "without_history"), ASKED.values(), ids=ASKED)
def test_only_what_changed_is_asked_again_and_without_history_also_what_became_narrower(
    change: Callable[[Policy], Policy], with_history: dict[str, str], without_history: dict[str, str]
) -> None:
    new = change(MATERIAL)
    assert asks_again(MATERIAL, new) == with_history
    assert asks_again(MATERIAL, new, history=False) == without_history


@given(policies(), policies(), st.booleans(), st.data())
def test_whom_it_asks_again_is_whom_the_middleware_asks(
    old: Policy, new: Policy, history: bool, data: st.DataObject
) -> None:
    asked = asks_again(old, new, history=history)
    in_force = new.with_history([old] if history else [])
    new_to_all = EVERYBODY in asked.values()
    assert decide(in_force, refused(old), frozenset(), NOW).should_ask is new_to_all
    assert decide(in_force, granted(old), frozenset(), NOW).should_ask is bool(asked)
    if old.optional:
        accepted = data.draw(st.sampled_from(old.optional))
        record = answered(old, {accepted: State.GRANTED})
        assert decide(in_force, record, frozenset(), NOW).should_ask is (new_to_all or accepted in asked)


def announced(policy: Policy, *days: date) -> Policy:
    texts = dict.fromkeys(policy.site.languages, "T")
    return replace(policy, changes=tuple(Change(date=day, text=texts) for day in days))


OLDER, OLD, NEWER = date(2025, 1, 1), date(2026, 1, 1), date(2027, 1, 1)


@pytest.mark.parametrize(
    ("before", "after", "is_announced"),
    [
        ((), (), False),
        ((OLD,), (OLD,), False),
        ((OLD,), (), False),
        ((OLD,), (OLD, OLDER), False),
        ((OLD, OLDER), (OLDER,), False),
        ((), (OLD,), True),
        ((OLD,), (OLD, NEWER), True),
        ((OLD,), (NEWER,), True),
        ((OLD,), (OLD, OLD), True),
    ],
)
def test_a_change_is_announced_by_an_entry_newer_than_those_before(
    before: tuple[date, ...], after: tuple[date, ...], is_announced: bool
) -> None:
    for words in (EDITORIAL["a title"], WIDER["a cookie added"][0]):
        old, new = announced(MATERIAL, *before), announced(words(MATERIAL), *after)
        assert (announcement(old, new, TODAY) == "") is is_announced


def test_what_is_to_announce_comes_as_toml_with_a_text_in_each_language() -> None:
    assert announcement(POLICY, edited(at("site", "name", to="Registry")), TODAY) == (
        '[[changes]]\ndate = 2027-01-31\ntext = { ja = "…", en = "…" }'
    )


@pytest.mark.parametrize("today", [date(2026, 1, 1), TODAY])
def test_what_is_pasted_announces_it_whatever_is_announced_for_later(today: date) -> None:
    new = edited(at("site", "name", to="Registry"))
    pasted = tomllib.loads(f"{FULL}\n{announcement(POLICY, new, today)}")
    pasted["site"]["name"] = "Registry"
    assert announcement(POLICY, policy_of(pasted), today) == ""


def test_nothing_is_to_announce_where_nothing_changed_but_announcements() -> None:
    assert announcement(POLICY, POLICY, TODAY) == ""
    assert announcement(POLICY, edited(without("changes")), TODAY) == ""
