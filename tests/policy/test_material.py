"""Tests of material changes: the digests of purposes, and which changes of a policy ask again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from cookie_consent.policy.diff import digests, widened
from cookie_consent.policy.parts import Cookie, Purpose, Recipient
from cookie_consent.policy.policy import Policy
from tests.support.policies import full_policy_data, policy_of, purpose, recipient, small_policy
from tests.support.policy_strategies import policies

DAY = timedelta(days=1)
POLICY = small_policy(
    purposes=(purpose("ads"), purpose("analytics", traces=True, days=30), purpose("media")),
    cookies=(
        Cookie(name="_ga*", purpose="analytics", duration=30 * DAY),
        Cookie(name="player", purpose="media"),
        Cookie(name="session", purpose="necessary"),
    ),
    recipients=(recipient("maps", "media", "https://a.example", "https://b.example"),),
)
FULL = policy_of(full_policy_data())
Change = Callable[[Policy], Policy]


def change_purpose(id_: str, **changes: Any) -> Change:
    return lambda policy: replace(
        policy, purposes=tuple(replace(own, **changes) if own.id == id_ else own for own in policy.purposes)
    )


def change_cookie(name: str, **changes: Any) -> Change:
    return lambda policy: replace(
        policy, cookies=tuple(replace(own, **changes) if own.name == name else own for own in policy.cookies)
    )


def change_recipient(**changes: Any) -> Change:
    return lambda policy: replace(policy, recipients=tuple(replace(own, **changes) for own in policy.recipients))


def add(*, purpose: Purpose | None = None, cookie: Cookie | None = None, recipient: Recipient | None = None) -> Change:
    return lambda policy: replace(
        policy,
        purposes=(*policy.purposes, *filter(None, [purpose])),
        cookies=(*policy.cookies, *filter(None, [cookie])),
        recipients=(*policy.recipients, *filter(None, [recipient])),
    )


WIDER: dict[str, tuple[Change, set[str], set[str]]] = {
    "a purpose added": (add(purpose=purpose("social")), {"social"}, set()),
    "a cookie added": (add(cookie=Cookie(name="new", purpose="media")), {"media"}, set()),
    "a recipient added": (add(recipient=recipient("new", "ads")), {"ads"}, set()),
    "an origin added": (
        change_recipient(origins=("https://a.example", "https://b.example", "https://c.example")), {"media"}, set()
    ),
    "an origin exchanged": (change_recipient(origins=("https://a.example", "https://c.example")), {"media"}, set()),
    "a longer retention": (change_purpose("analytics", retention=31 * DAY), {"analytics"}, set()),
    "a first retention": (change_purpose("media", retention=DAY), {"media"}, set()),
    "a longer lifetime": (change_cookie("_ga*", duration=31 * DAY), {"analytics"}, set()),
    "a lifetime beyond the session": (change_cookie("player", duration=DAY), {"media"}, set()),
    "a cookie that moved to the browser's storage": (
        change_cookie("player", kind="storage", path="/"), {"media"}, set()
    ),
    "tracing switched on": (change_purpose("ads", traces=True), {"ads"}, set()),
    "a cookie moved to another purpose": (change_cookie("_ga*", purpose="ads"), {"ads"}, {"analytics"}),
    "a recipient moved to another purpose": (
        change_recipient(purpose="ads"), {"ads"}, {"media"}
    ),
    "a necessary cookie moved to a purpose": (change_cookie("session", purpose="ads"), {"ads"}, set()),
}  # fmt: skip
NARROWER: dict[str, tuple[Change, set[str]]] = {
    "a cookie removed": (lambda policy: replace(policy, cookies=policy.cookies[1:]), {"analytics"}),
    "a recipient removed": (lambda policy: replace(policy, recipients=()), {"media"}),
    "an origin removed": (change_recipient(origins=("https://b.example",)), {"media"}),
    "a shorter retention": (change_purpose("analytics", retention=29 * DAY), {"analytics"}),
    "no retention": (change_purpose("analytics", retention=None), {"analytics"}),
    "a shorter lifetime": (change_cookie("_ga*", duration=29 * DAY), {"analytics"}),
    "a lifetime of the session": (change_cookie("_ga*", duration=None), {"analytics"}),
    "tracing switched off": (change_purpose("analytics", traces=False), {"analytics"}),
    "a cookie moved to the necessary purpose": (change_cookie("player", purpose="necessary"), {"media"}),
}
EDITORIAL: dict[str, Change] = {
    "a title": change_purpose("media", title={"en": "Films"}),
    "a description": change_purpose("media", description={"en": "About films."}),
    "a recipient's name": change_recipient(name="Maps Inc."),
    "what a recipient receives": change_recipient(receives={"en": "Your address"}),
    "a recipient's country": change_recipient(country="US"),
    "the safeguard of a transfer": change_recipient(safeguard={"en": "Standard clauses"}),
    "what a recipient uses data for": change_recipient(use={"en": "To show maps"}),
    "a purpose's kinds of data": change_purpose("media", data={"en": "Your address"}),
    "a purpose's legal basis": change_purpose("media", legal_basis={"en": "Consent"}),
    "a recipient's policy": change_recipient(policy_url="https://a.example/privacy"),
    "a cookie's description": change_cookie("player", description={"en": "Remembers the volume."}),
    "the order of origins": change_recipient(origins=("https://b.example", "https://a.example")),
    "the order of purposes": lambda policy: replace(policy, purposes=policy.purposes[::-1]),
    "the order of cookies": lambda policy: replace(policy, cookies=policy.cookies[::-1]),
    "the site's name": lambda policy: replace(policy, site=replace(policy.site, name="Other")),
    "a necessary cookie added": add(cookie=Cookie(name="csrf", purpose="necessary")),
}


def with_new_digest(old: Policy, new: Policy) -> set[str]:
    """Return the purposes whose digests differ."""
    before, after = digests(old), digests(new)
    return {id_ for id_ in before.keys() | after.keys() if before.get(id_) != after.get(id_)}


def test_each_optional_purpose_has_digest_of_five_characters() -> None:
    assert digests(POLICY).keys() == {"ads", "analytics", "media"}
    assert all(re.fullmatch(r"[\w-]{5}", digest) for digest in digests(POLICY).values())
    assert len(set(digests(POLICY).values())) == 3


CHANGES = {
    **WIDER,
    **{name: (change, set[str](), narrower) for name, (change, narrower) in NARROWER.items()},
    **{name: (change, set[str](), set[str]()) for name, change in EDITORIAL.items()},
}


@pytest.mark.requirement("PO-09")
@pytest.mark.parametrize(("change", "wider", "narrower"), CHANGES.values(), ids=CHANGES)
def test_change_alters_the_digests_of_its_purposes_and_widens_some(
    change: Change, wider: set[str], narrower: set[str]
) -> None:
    new = change(POLICY)
    assert new.version != POLICY.version
    assert with_new_digest(POLICY, new) == wider | narrower
    assert widened(POLICY, new) == wider
    assert all(digests(new.under(service)) == digests(new) for service in new.services)


@given(policies(), policies())
@pytest.mark.slow
def test_every_widened_purpose_has_new_digest(old: Policy, new: Policy) -> None:
    assert widened(old, new) <= with_new_digest(old, new)


@given(policies(), policies(), policies())
@pytest.mark.slow
def test_widening_appears_in_one_of_two_steps(first: Policy, second: Policy, third: Policy) -> None:
    assert widened(first, third) <= widened(first, second) | widened(second, third)
