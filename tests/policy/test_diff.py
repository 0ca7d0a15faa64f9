"""Tests of comparing two versions of a policy."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import State
from cookie_consent.policy.diff import (
    EVERYBODY,
    WHO_ACCEPTED,
    PolicyChange,
    announcement,
    asks_again,
    compare,
    hosts_asking_again,
    widened,
)
from cookie_consent.policy.parts import Change, Cookie
from cookie_consent.policy.policy import Policy
from tests.policy.test_material import EDITORIAL, NARROWER, WIDER
from tests.policy.test_material import POLICY as MATERIAL
from tests.policy.test_policy import Step
from tests.support.policies import (
    FULL_POLICY,
    NOW,
    consent_record,
    feature,
    full_policy_data,
    full_policy_in,
    granting_record,
    policy_of,
    purpose,
    refusing_record,
    small_policy,
)
from tests.support.policy_strategies import policies

POLICY = policy_of(full_policy_data())
TODAY = date(2027, 1, 31)
Data = dict[str, Any]
Edit = Callable[[Data], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyWithDocument(Policy):
    """A policy with any document, also one that no policy has."""

    content: Data = field(default_factory=dict)

    def document(self) -> Data:
        return self.content


def policy_with_document(content: Data) -> Policy:
    return PolicyWithDocument(site=POLICY.site, purposes=POLICY.purposes, content=content)


def put(*path: Step, to: Any) -> Edit:
    """Return an edit that sets a value in the data of a policy file."""

    def edit(data: Data) -> None:
        table: Any = data
        for step in path[:-1]:
            table = table.setdefault(step, {}) if isinstance(table, dict) else table[step]
        table[path[-1]] = to

    return edit


def drop(*path: Step) -> Edit:
    """Return an edit that removes a key from the data of a policy file."""

    def edit(data: Data) -> None:
        table: Any = data
        for step in path[:-1]:
            table = table[step]
        del table[path[-1]]

    return edit


def append_part(table: str, **part: Any) -> Edit:
    return lambda data: data[table].append(part)


def reverse(table: str) -> Edit:
    def edit(data: Data) -> None:
        parts = data[table]
        data[table] = parts[::-1] if isinstance(parts, list) else dict(reversed(parts.items()))

    return edit


def edited(*edits: Edit) -> Policy:
    data = full_policy_data()
    for edit in edits:
        edit(data)
    return policy_of(data)


def bilingual(text: str) -> dict[str, str]:
    return {"en": text, "ja": text}


FILMS = {"id": "films", "name": "Films Inc.", "receives": bilingual("Address")}
SERVICE = ("services", "whois")
CONDITIONS = (*SERVICE, "purposes", "analytics")
EDITS: dict[str, tuple[Edit, tuple[str, ...]]] = {
    # The site.
    'site: name "Example Registry" -> "Registry"': (put("site", "name", to="Registry"), ()),
    'site: policy_url "https://example.jp/privacy" -> not set': (drop("site", "policy_url"), ()),
    'site: updated "2026-11-25" -> "2026-11-26"': (put("site", "updated", to=date(2026, 11, 26)), ()),
    'site: laws "uk" added': (put("site", "laws", to=["jp", "uk"]), ()),
    "site: authority.name.ja reworded": (put("site", "authority", "name", "ja", to="T"), ()),
    "[site] changed": (put("site", "languages", to=["en", "ja"]), ()),
    # Purposes.
    'purpose "social" added': (
        put("purposes", "social", to={"title": bilingual("S"), "description": bilingual("S")}), ("social",)
    ),
    'purpose "analytics": title.en reworded': (put("purposes", "analytics", "title", "en", to="T"), ("analytics",)),
    'purpose "analytics": retention 395 days -> 400 days': (
        put("purposes", "analytics", "retention", to="400 days"), ("analytics",)
    ),
    'purpose "media": retention not set -> 1 day': (put("purposes", "media", "retention", to="1 day"), ("media",)),
    'purpose "media": traces false -> true': (put("purposes", "media", "traces", to=True), ("media",)),
    "[purposes] changed": (reverse("purposes"), ()),
    'purpose "media": data.ja reworded': (put("purposes", "media", "data", "ja", to="T"), ("media",)),
    'purpose "media": legal_basis.ja reworded': (put("purposes", "media", "legal_basis", "ja", to="T"), ("media",)),
    # Cookies.
    'cookie "_new" added to "analytics"': (
        append_part("cookies", name="_new", purpose="analytics", duration="1 day"), ("analytics",)
    ),
    'cookie "csrf" added to "necessary"': (append_part("cookies", name="csrf", purpose="necessary"), ("necessary",)),
    'cookie "player" removed from "media"': (drop("cookies", 2), ("media",)),
    'cookie "_ga*": purpose "analytics" -> "media"': (put("cookies", 1, "purpose", to="media"), ("media",)),
    'cookie "player": purpose "media" -> "necessary"': (
        put("cookies", 2, "purpose", to="necessary"), ("media", "necessary")
    ),
    'cookie "_ga*": duration 395 days -> 400 days': (put("cookies", 1, "duration", to="400 days"), ("analytics",)),
    'cookie "player": duration 30 days -> session': (put("cookies", 2, "duration", to="session"), ("media",)),
    'cookie "session": duration session -> 90 minutes': (
        put("cookies", 0, "duration", to="90 minutes"), ("necessary",)
    ),
    'cookie "player": path "/videos" -> "/"': (put("cookies", 2, "path", to="/"), ("media",)),
    'cookie "session": description.en reworded': (put("cookies", 0, "description", "en", to="T"), ("necessary",)),
    "[cookies] changed": (reverse("cookies"), ()),
    # Recipients.
    'recipient "films" added to "media"': (append_part("recipients", **FILMS, purpose="media"), ("media",)),
    'recipient "example-maps" removed from "media"': (drop("recipients", 0), ("media",)),
    'recipient "example-maps": purpose "media" -> "analytics"': (
        put("recipients", 0, "purpose", to="analytics"), ("analytics",)
    ),
    'recipient "example-maps": origins "https://a.example" added': (
        lambda data: data["recipients"][0]["origins"].append("https://a.example"), ("media",)
    ),
    'recipient "example-maps": origins "https://maps.example.com" removed': (
        drop("recipients", 0, "origins", 0), ("media",)
    ),
    "[recipients] changed": (lambda data: data["recipients"][0]["origins"].reverse(), ()),
    'recipient "example-maps": directives "font" added': (
        lambda data: data["recipients"][0]["directives"].append("font"), ("media",)
    ),
    'recipient "example-maps": directives "img" removed': (drop("recipients", 0, "directives", 1), ("media",)),
    'recipient "example-maps": receives.en reworded': (put("recipients", 0, "receives", "en", to="T"), ("media",)),
    'recipient "example-maps": country "US" -> "JP"': (put("recipients", 0, "country", to="JP"), ("media",)),
    'recipient "example-maps": country "US" -> not set': (drop("recipients", 0, "country"), ("media",)),
    'recipient "example-maps": safeguard.en reworded': (put("recipients", 0, "safeguard", "en", to="T"), ("media",)),
    'recipient "example-maps": use.en reworded': (put("recipients", 0, "use", "en", to="T"), ("media",)),
    # Features.
    'feature "tour" added': (
        put("features", "tour", to={"title": bilingual("T"), "fallback": bilingual("T"), "purposes": ["media"]}),
        ("media",),
    ),
    'feature "map" removed': (drop("features", "map"), ("media",)),
    'feature "map": fallback.ja reworded': (put("features", "map", "fallback", "ja", to="T"), ("media",)),
    'feature "map": purposes "analytics" added': (
        put("features", "map", "purposes", to=["media", "analytics"]), ("media", "analytics")
    ),
    # Services.
    'service "forum" added': (
        put("services", "forum", to={"path": "/forum", "purposes": {"media": {"refused": True}}}), ("media",)
    ),
    'service "whois" removed': (drop(*SERVICE), ("analytics",)),
    'service "whois": path "/whois" -> "/search"': (put(*SERVICE, "path", to="/search"), ("analytics",)),
    'service "whois": purposes.analytics.title.ja reworded': (put(*CONDITIONS, "title", "ja", to="T"), ("analytics",)),
    'service "whois": purposes.analytics.retention 30 days -> 60 days': (
        put(*CONDITIONS, "retention", to="60 days"), ("analytics",)
    ),
    'service "whois": purposes.analytics.retention 30 days -> not set': (
        drop(*CONDITIONS, "retention"), ("analytics",)
    ),
    'service "whois": purposes.analytics.refused false -> true': (put(*CONDITIONS, "refused", to=True), ("analytics",)),
    'service "shop": purposes.media.refused true -> false': (drop("services", "shop", "purposes"), ("media",)),
    'service "whois": purposes.media.refused false -> true': (
        put(*SERVICE, "purposes", "media", to={"refused": True}), ("media",)
    ),
    'service "whois": purposes.media added': (put(*SERVICE, "purposes", "media", to={}), ("media",)),
    "[services] changed": (reverse("services"), ()),
    # Signals, announcements and wording.
    'signals: gpc ["media"] -> not set': (drop("signals", "gpc"), ("media",)),
    'signals: gpc "analytics" added': (put("signals", "gpc", to=["media", "analytics"]), ("analytics",)),
    "signals: dnt not set -> []": (put("signals", "dnt", to="ignore"), ()),
    "changes: 2027-01-01 added": (append_part("changes", date=date(2027, 1, 1), text=bilingual("T")), ()),
    "changes: 2026-11-25 removed": (drop("changes"), ()),
    "changes: 2026-11-25 reworded": (put("changes", 0, "text", "en", to="T"), ()),
    "texts: en.accept_all reworded": (put("texts", "en", "accept_all", to="Yes"), ()),
    "texts: ja removed": (drop("texts", "ja"), ()),
    "texts: en.refuse_all added": (put("texts", "en", "refuse_all", to="No"), ()),
}  # fmt: skip
WIDENING = (
    'purpose "social" added',
    'purpose "analytics": retention',
    'purpose "media": retention',
    'purpose "media": traces',
    'cookie "_new" added',
    'cookie "_ga*": purpose',
    'cookie "_ga*": duration',
    'recipient "films" added',
    'recipient "example-maps": purpose',
    'recipient "example-maps": origins "https://a.example" added',
)


def descriptions(old: Policy, new: Policy) -> list[str]:
    return [change.what for change in compare(old, new)]


def material_purposes(changes: tuple[PolicyChange, ...]) -> set[str]:
    return {purpose for change in changes if change.material for purpose in change.purposes}


@pytest.mark.parametrize("what", EDITS)
def test_compare_reports_each_change_with_its_purposes(what: str) -> None:
    edit, purposes = EDITS[what]
    new = edited(edit)
    assert compare(POLICY, new) == (PolicyChange(what, purposes, what.startswith(WIDENING)),)
    assert material_purposes(compare(new, POLICY)) == widened(new, POLICY)
    assert compare(new, POLICY)


@pytest.mark.parametrize("change", [*(edit[0] for edit in WIDER.values()), *(edit[0] for edit in NARROWER.values()),
                                    *EDITORIAL.values()], ids=[*WIDER, *NARROWER, *EDITORIAL])  # fmt: skip
def test_material_changes_agree_with_widened_purposes(change: Callable[[Policy], Policy]) -> None:
    new = change(MATERIAL)
    for old, after in ((MATERIAL, new), (new, MATERIAL)):
        changes = compare(old, after)
        assert changes
        assert material_purposes(changes) == widened(old, after)


@given(policies(), policies())
@pytest.mark.slow
def test_every_difference_between_policies_is_reported(old: Policy, new: Policy) -> None:
    changes = compare(old, new)
    assert bool(changes) is (old.version != new.version)
    assert material_purposes(changes) == widened(old, new)
    assert all(change.purposes for change in changes if change.material)
    assert len({*changes}) == len(changes)


def leaves(value: Any, above: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list) and item:
            yield from leaves(item, (*above, key))
        else:
            yield (*above, key)


def other(value: Any, key: Step) -> Any:
    """Return another value of the same type."""
    if value is None:
        return {"retention": 60, "duration": 60, "dnt": ["media"]}.get(str(key), "other")
    of_kind: dict[type, Any] = {bool: not value, str: "other", dict: {"en": "T"}, list: ["other"]}
    return of_kind.get(type(value), 60)


@pytest.mark.parametrize("path", [*leaves(POLICY.document())], ids=str)
def test_compare_sees_every_value_of_document(path: tuple[Step, ...]) -> None:
    value: Any = POLICY.document()
    for step in path:
        value = value[step]
    changed = deepcopy(POLICY.document())
    put(*path, to=other(value, path[-1]))(changed)
    assert compare(POLICY, policy_with_document(changed))
    assert compare(policy_with_document(changed), POLICY)


def test_unknown_table_is_reported_by_name() -> None:
    document = POLICY.document()
    later = policy_with_document({**document, "partners": [{"id": "example"}]})
    assert compare(POLICY, later) == (PolicyChange("[partners] changed"),)


def test_unknown_key_is_reported_by_name() -> None:
    document = deepcopy(POLICY.document())
    document["cookies"][2].update(secure=True, sort="local", note={"en": "A", "ja": "B"}, partners=["a"])
    assert descriptions(POLICY, policy_with_document(document)) == [
        'cookie "player": secure not set -> true',
        'cookie "player": sort not set -> "local"',
        'cookie "player": note not set -> {"en": "A", "ja": "B"}',
        'cookie "player": partners not set -> ["a"]',
    ]


def test_added_language_does_not_hide_other_changes() -> None:
    old, new = full_policy_in("en"), full_policy_in("en", "id")
    cookies = (*new.cookies, Cookie(name="_new", purpose="media"))
    assert descriptions(old, replace(new, cookies=cookies, site=replace(new.site, contact="a@b.example"))) == [
        'site: contact "privacy@example.jp" -> "a@b.example"',
        'site: languages "id" added',
        'cookie "_new" added to "media"',
    ]


ADS = small_policy("ads")
REFUSED_BY_SITE = small_policy(purposes=(replace(purpose("ads"), refused=True),))
PLAIN, DESCRIBED = (
    small_policy(cookies=(Cookie(name="a", purpose="necessary", description=text),)) for text in ({}, {"en": "T"})
)
KEPT, NEVER_KEPT = (small_policy(purposes=(replace(purpose("ads"), retention=it),)) for it in (None, timedelta(0)))
FOR_ADS, FOR_MEDIA = (small_policy("ads", "media", features=(feature("map", id_),)) for id_ in ("ads", "media"))
TWO = tuple(Change(date=date(2026, 1, day), text={"en": "T"}) for day in (1, 2))


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (small_policy("ads", "media"), ADS, [('purpose "media" removed', ("media",))]),
        (ADS, REFUSED_BY_SITE, [('purpose "ads": refused false -> true', ("ads",))]),
        (PLAIN, DESCRIBED, [('cookie "a": description.en added', ("necessary",))]),
        (DESCRIBED, PLAIN, [('cookie "a": description.en removed', ("necessary",))]),
        (KEPT, NEVER_KEPT, [('purpose "ads": retention not set -> 0 days', ("ads",))]),
        (
            FOR_ADS,
            FOR_MEDIA,
            [
                ('feature "map": purposes "ads" removed', ("ads", "media")),
                ('feature "map": purposes "media" added', ("ads", "media")),
            ],
        ),
        (small_policy(changes=TWO), small_policy(changes=TWO[::-1]), [("[changes] changed", ())]),
        (small_policy(), small_policy(wording={"en": {}}), [("texts: en added", ())]),
        (POLICY, POLICY.under(POLICY.services[0]).with_history([small_policy()]), []),
    ],
)
def test_change_that_widens_nothing_is_reported(
    old: Policy, new: Policy, what: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert [(change.what, change.purposes, change.material) for change in compare(old, new)] == [
        (text, purposes, False) for text, purposes in what
    ]
    assert asks_again(old, new) == {}


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
def test_narrower_purpose_is_asked_again_only_without_history(
    change: Callable[[Policy], Policy], with_history: dict[str, str], without_history: dict[str, str]
) -> None:
    new = change(MATERIAL)
    assert asks_again(MATERIAL, new) == with_history
    assert asks_again(MATERIAL, new, history=False) == without_history


@given(policies(), policies(), st.booleans(), st.data())
@pytest.mark.slow
def test_asks_again_agrees_with_decision(old: Policy, new: Policy, history: bool, data: st.DataObject) -> None:
    asking = asks_again(old, new, history=history)
    in_force = new.with_history([old] if history else [])
    new_to_all = EVERYBODY in asking.values()
    assert decide(in_force, refusing_record(old), frozenset(), NOW).should_ask is new_to_all
    assert decide(in_force, granting_record(old), frozenset(), NOW).should_ask is bool(asking)
    if old.optional:
        accepted = data.draw(st.sampled_from(old.optional))
        record = consent_record(old, {accepted: State.GRANTED})
        assert decide(in_force, record, frozenset(), NOW).should_ask is (new_to_all or accepted in asking)


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
def test_only_newer_entry_announces_change(
    before: tuple[date, ...], after: tuple[date, ...], is_announced: bool
) -> None:
    for words in (EDITORIAL["a title"], WIDER["a cookie added"][0]):
        old, new = announced(MATERIAL, *before), announced(words(MATERIAL), *after)
        assert (announcement(old, new, TODAY) == "") is is_announced


@pytest.mark.parametrize("today", [date(2026, 1, 1), TODAY])
def test_pasted_announcement_announces_change(today: date) -> None:
    new = edited(put("site", "name", to="Registry"))
    assert announcement(POLICY, new, today).endswith('text = { ja = "…", en = "…" }')
    pasted = tomllib.loads(f"{FULL_POLICY}\n{announcement(POLICY, new, today)}")
    pasted["site"]["name"] = "Registry"
    assert announcement(POLICY, policy_of(pasted), today) == ""


def sharing(domain: str, *hosts: str) -> Policy:
    return replace(POLICY, site=replace(POLICY.site, domain=domain, hosts=hosts))


@pytest.mark.parametrize(
    ("old", "new", "asking"),
    [
        (("", ()), ("a.example", ("a.example", "b.a.example")), ()),
        (("a.example", ("a.example",)), ("a.example", ("a.example",)), ()),
        (("a.example", ("a.example",)), ("a.example", ("c.a.example", "a.example")), ("c.a.example",)),
        (("a.example", ("a.example", "c.a.example")), ("a.example", ("a.example",)), ("c.a.example",)),
        (
            ("a.example", ("b.a.example", "c.b.a.example")),
            ("b.a.example", ("b.a.example",)),
            ("b.a.example", "c.b.a.example"),
        ),
        (("a.example", ("a.example",)), ("", ()), ("a.example",)),
    ],
)
def test_hosts_ask_again_where_no_earlier_answer_counts(
    old: tuple[str, tuple[str, ...]], new: tuple[str, tuple[str, ...]], asking: tuple[str, ...]
) -> None:
    before, after = sharing(old[0], *old[1]), sharing(new[0], *new[1])
    assert hosts_asking_again(before, after) == asking
    assert bool(compare(before, after)) == (old != new)
    assert asks_again(before, after) == {}
