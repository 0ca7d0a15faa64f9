"""Tests of the readers of other consent tools' cookies, and of the records that are made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import CONSENT_LIFETIME, decide, has_objected
from cookie_consent.decision.imported.readers import LONGEST_VALUE, EarlierAnswer, read
from cookie_consent.decision.imported.records import import_answer
from cookie_consent.decision.record import State
from cookie_consent.policy.imports import TOOLS, Import
from cookie_consent.policy.policy import Policy
from tests.support.examples import examples
from tests.support.policies import NOW, purpose, site, small_policy

ISO = "2025-06-01T10:00:00.000Z"
AT = 1_748_772_000
VANILLA = {
    "categories": ["necessary", "analytics"],
    "revision": 0,
    "data": None,
    "consentTimestamp": ISO,
    "consentId": "0b4f5a4e-5b0c-4b8e-9a39-3f1d3a5d2c11",
    "services": {"necessary": [], "analytics": [], "ads": []},
    "languageCode": "en",
    "lastConsentTimestamp": ISO,
    "expirationTime": 1_764_500_000_000,
}
COOKIEBOT = (
    "{stamp:%27oJ35SLjkzW4RaUoGqC9nv0TjIDn9KP4raUYB5i2R9p0pT/40h2LtBg==%27%2Cnecessary:true%2Cpreferences:false"
    "%2Cstatistics:true%2Cmarketing:false%2Cmethod:%27explicit%27%2Cver:1%2Cutc:1748772000000%2Cregion:%27de%27}"
)
C15T = "c.necessary:1,c.measurement:1,i.t:1748772000000,i.sid:sub_2VZxR7YmNpKq3WfLs8TgHd"
TEXTS = st.text(max_size=40) | st.sampled_from(["", "!", "{", "}", "[" * 200, "true", "allow", "c.a:1", "i.t:1", ISO])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


def encoded(data: object) -> bytes:
    """Return data as JavaScript's `encodeURIComponent(JSON.stringify(data))` writes it."""
    return quote(json.dumps(data, separators=(",", ":")), safe="!'()*").encode()


def states(tool: str, value: bytes | str, *names: str) -> list[bool | None] | None:
    """Return what was granted for each of some names, or None if the cookie is no answer."""
    answer = read(tool, value if isinstance(value, bytes) else value.encode())
    return answer and [answer.state([name]) for name in names]


def test_vanilla_cookieconsent_lists_what_was_accepted() -> None:
    answer = read("vanilla-cookieconsent", encoded(VANILLA))
    assert answer is not None
    assert (answer.at, answer.revision) == (AT, 0)
    assert [answer.state([name]) for name in ("analytics", "ads", "necessary")] == [True, False, True]
    later = read("vanilla-cookieconsent", encoded({**VANILLA, "lastConsentTimestamp": "2025-06-02T10:00:00.000Z"}))
    assert later is not None
    assert later.at == AT + 86_400


def test_category_of_vanilla_cookieconsent_with_services_is_granted_by_its_services_alone() -> None:
    """The cookie does not list refused services, so nobody knows whether all are accepted."""
    cookie = encoded({**VANILLA, "services": {"analytics": ["ga"], "ads": ["meta"]}})
    names = ("analytics", "analytics/ga", "analytics/hotjar", "ads/meta")
    # A service of a category that is not accepted is not accepted either.
    assert states("vanilla-cookieconsent", cookie, *names) == [None, True, False, False]


@pytest.mark.parametrize(
    "change",
    [
        {"categories": "analytics"},
        {"categories": ["analytics", 1]},
        {"services": ["ga"]},
        {"services": {"analytics": "ga"}},
        {"revision": "0"},
        {"revision": True},
        {"lastConsentTimestamp": "yesterday"},
        {"lastConsentTimestamp": "0001-01-01T00:00:00.000Z"},
        {"lastConsentTimestamp": None},
        {"lastConsentTimestamp": "2025-13-01T00:00:00.000Z"},
    ],
)
def test_cookie_of_vanilla_cookieconsent_of_another_shape_is_no_answer(change: Mapping[str, object]) -> None:
    assert read("vanilla-cookieconsent", encoded({**VANILLA, **change})) is None


@pytest.mark.parametrize("key", ["categories", "revision", "consentTimestamp"])
def test_cookie_of_vanilla_cookieconsent_needs_its_keys(key: str) -> None:
    data = {name: value for name, value in VANILLA.items() if name not in (key, "lastConsentTimestamp")}
    assert read("vanilla-cookieconsent", encoded(data)) is None


def test_klaro_has_one_boolean_for_each_service() -> None:
    answer = read("klaro", encoded({"matomo": True, "youtube": False, "odd": "true"}))
    assert answer == EarlierAnswer({"matomo": True, "youtube": False, "odd": None})
    assert answer.state(["matomo"]) is True
    assert answer.state(["matomo", "youtube"]) is False
    assert answer.state(["matomo", "odd"]) is answer.state(["added-later"]) is None


def test_orejime_writes_flags_and_once_wrote_json() -> None:
    expected = EarlierAnswer({"analytics": True, "ads": False, "x": None})
    assert read("orejime", b"analytics=1%3Bads=0%3Bx=2") == expected
    assert read("orejime", encoded({"analytics": True, "ads": False, "x": 1})) == expected


def test_tarteaucitron_writes_marks() -> None:
    cookie = b"!gtag=true!youtube=false!vimeo=wait!twice=true!twice=true"
    expected = {"gtag": True, "youtube": False, "vimeo": None, "twice": None}
    assert read("tarteaucitron", cookie) == EarlierAnswer(expected)
    assert read("tarteaucitron", b"gtag=true") is None


@pytest.mark.parametrize(("value", "granted"), [("allow", True), ("deny", False)])
def test_banner_of_osano_has_one_answer_for_all(value: str, granted: bool) -> None:
    assert read("osano", value.encode()) == EarlierAnswer({"all": granted})


@pytest.mark.parametrize("value", ["dismiss", "", "ALLOW", "aYnRItFYW85ts3NL4TJ5W3hdu2kG5wPLS_Za1TpifskPW_yzXMJ0"])
def test_closed_banner_of_osano_and_its_encrypted_cookie_are_no_answer(value: str) -> None:
    assert read("osano", value.encode()) is None


def test_cookiebot_counts_if_the_answer_was_explicit() -> None:
    expected = {"preferences": False, "statistics": True, "marketing": False}
    assert read("cookiebot", COOKIEBOT.encode()) == EarlierAnswer(expected, at=AT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("explicit", "implied"),
        ("%2Cmethod:%27explicit%27", ""),
        ("utc:1748772000000", "utc:17487720000001234"),
        ("utc:", "at:"),
        ("statistics:true", "statistics:true%2Cstatistics:true"),
        ("{", ""),
        ("ver:1", "ver:alert()"),
    ],
)
def test_other_cookies_of_cookiebot_are_no_answer(before: str, after: str) -> None:
    assert before in COOKIEBOT
    assert read("cookiebot", COOKIEBOT.replace(before, after).encode()) is None


@pytest.mark.parametrize("value", ["-1", "0", ""])
def test_visitors_whom_cookiebot_did_not_ask_have_no_answer(value: str) -> None:
    assert read("cookiebot", value.encode()) is None


def test_c15t_leaves_out_what_was_refused() -> None:
    answer = read("c15t", C15T.encode())
    assert answer is not None
    assert answer.at == AT
    assert states(
        "c15t", C15T.replace("c.necessary:1", "c.ads:0,c.odd:yes"), "measurement", "marketing", "ads", "odd"
    ) == [
        True,
        False,
        False,
        None,
    ]


@pytest.mark.parametrize(
    "value", ["c.measurement:1", "i.t:1748772000000", f"{C15T},c.measurement:0", f"{C15T},odd", f"{C15T},i.t:2"]
)
def test_other_cookies_of_c15t_are_no_answer(value: str) -> None:
    assert read("c15t", value.encode()) is None


@pytest.mark.parametrize(
    "value",
    [b"\xff", b"%FF", b'{"a":true,"a":false}', b"[true]", b'{"a":' + b"[" * 4000, b"[" * 4096, b'{"a":' + b"9" * 4090],
)
def test_malformed_json_is_no_answer(value: bytes) -> None:
    assert read("klaro", value) is None


def test_value_longer_than_browsers_keep_is_no_answer() -> None:
    value = b'{"a":true,"b":"' + b"x" * LONGEST_VALUE + b'"}'
    assert read("klaro", value) is None


@examples(400)
@given(st.sampled_from([*TOOLS]), st.binary(max_size=200) | TEXTS.map(str.encode) | JSON.map(encoded))
def test_no_cookie_raises(tool: str, value: bytes) -> None:
    answer = read(tool, value)
    assert answer is None or answer.state(["necessary"]) in (True, False, None)


# What follows is about the records that are made of these answers.


def policy_with(*imports: Import) -> Policy:
    return small_policy("analytics", "media", "ads", imports=imports)


def klaro(**purposes: str | list[str]) -> Import:
    return Import(
        id="klaro",
        purposes={id_: (names,) if isinstance(names, str) else tuple(names) for id_, names in purposes.items()},
    )


def imported(
    policy: Policy, *cookies: bytes, now: float = NOW, lifetime: timedelta = CONSENT_LIFETIME
) -> dict[str, str]:
    """Return the state of each purpose in the imported record, and its time; nothing without a record."""
    found = import_answer(policy, b"; ".join(cookies), now, lifetime)
    if found is None:
        return {}
    assert found.record.source == "imported"
    assert found.record.signals == frozenset()
    return {id_: answer.state.name.lower() for id_, answer in found.record.answers.items()}


def test_purpose_is_granted_if_all_of_its_names_were() -> None:
    policy = policy_with(klaro(analytics=["matomo", "hotjar"], media="youtube"))
    both = b"klaro=" + encoded({"matomo": True, "hotjar": True, "youtube": True})
    assert imported(policy, both) == {"analytics": "granted", "media": "granted", "ads": "unanswered"}
    one = b"klaro=" + encoded({"matomo": True, "hotjar": False, "youtube": True})
    assert imported(policy, one)["analytics"] == "refused"
    unclear = b"klaro=" + encoded({"matomo": True, "youtube": False})
    assert imported(policy, unclear) == {"analytics": "unanswered", "media": "refused", "ads": "unanswered"}


def test_refusal_there_is_not_asked_again_and_what_is_not_mapped_is_asked() -> None:
    policy = policy_with(klaro(analytics="matomo"))
    found = import_answer(policy, b"klaro=" + encoded({"matomo": False}), NOW, CONSENT_LIFETIME)
    assert found is not None
    decision = decide(policy, found.record, frozenset(), NOW)
    assert decision.purposes == {"necessary": True, "analytics": False, "media": False, "ads": False}
    assert decision.should_ask  # for media and ads
    whole = policy_with(klaro(analytics="matomo", media="matomo", ads="matomo"))
    found = import_answer(whole, b"klaro=" + encoded({"matomo": False}), NOW, CONSENT_LIFETIME)
    assert found is not None
    assert not decide(whole, found.record, frozenset(), NOW).should_ask


@pytest.mark.parametrize("cookies", [(), (b"other=1",), (b"klaro=",), (b"klaro=" + encoded({"youtube": True}),)])
def test_without_a_clear_answer_there_is_no_record(cookies: tuple[bytes, ...]) -> None:
    assert imported(policy_with(klaro(analytics="matomo")), *cookies) == {}


def test_several_cookies_have_to_agree_on_a_grant() -> None:
    policy = policy_with(klaro(analytics="matomo", media="youtube"))
    granted = b"klaro=" + encoded({"matomo": True, "youtube": True})
    assert imported(policy, granted, granted)["analytics"] == "granted"
    assert imported(policy, granted, b"klaro=" + encoded({"matomo": False}))["analytics"] == "refused"
    assert imported(policy, granted, b"klaro=" + encoded({"matomo": False}))["media"] == "unanswered"
    assert imported(policy, granted, b"klaro=broken") == {}


def test_only_the_first_tool_counts_whose_cookie_is_there() -> None:
    osano = Import(id="osano", purposes={"media": ("all",)})
    policy = policy_with(osano, klaro(media="youtube"))
    there = b"klaro=" + encoded({"youtube": True})
    assert imported(policy, there)["media"] == "granted"
    assert imported(policy, there, b"cookieconsent_status=deny")["media"] == "refused"


def c15t_at(seconds: float) -> bytes:
    return b"c15t=c.measurement:1,i.t:%d" % (seconds * 1000)


@pytest.mark.parametrize(
    ("age", "counts"),
    [
        (0, True),
        (-299, True),
        (-301, False),
        (CONSENT_LIFETIME.total_seconds() - 1, True),
        (CONSENT_LIFETIME.total_seconds(), False),
    ],
)
def test_time_of_answer_is_that_of_the_cookie_if_it_is_plausible(age: float, counts: bool) -> None:
    policy = policy_with(Import(id="c15t", purposes={"analytics": ("measurement",)}))
    found = import_answer(policy, c15t_at(NOW - age), NOW, CONSENT_LIFETIME)
    assert (found is not None) == counts
    if found:
        assert found.record.decided_at == min(NOW, NOW - age)


def test_answer_without_a_time_is_of_now() -> None:
    found = import_answer(policy_with(klaro(ads="x")), b"klaro=" + encoded({"x": True}), NOW + 0.7, CONSENT_LIFETIME)
    assert found is not None
    assert found.record.decided_at == NOW
    assert found.record.answers["ads"].state is State.GRANTED


def test_purpose_that_runs_without_consent_is_left_out_unless_it_was_answered_there() -> None:
    audience = replace(purpose("audience", traces=True, days=90), exempt="cnil_audience")
    for names, expected in (({"media": ("a",)}, {"media"}), ({"audience": ("b",)}, {"media", "audience"})):
        declared = Import(id="klaro", purposes=names)
        policy = Policy(site=site(), purposes=(purpose("media"), audience), imports=(declared,))
        found = import_answer(policy, b"klaro=" + encoded({"a": True, "b": False}), NOW, CONSENT_LIFETIME)
        assert found is not None
        assert found.record.answers.keys() == expected
        assert has_objected(policy, found.record) == ("audience" in expected)


def test_answer_to_another_revision_does_not_count() -> None:
    cookie = b"cc_cookie=" + encoded({**VANILLA, "revision": 2})
    for revision, counts in ((0, False), (1, False), (2, True)):
        declared = Import(id="vanilla-cookieconsent", purposes={"analytics": ("analytics",)}, revision=revision)
        assert bool(imported(policy_with(declared), cookie)) == counts


FLAGS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.booleans())


@examples(200)
@given(st.lists(FLAGS, min_size=1, max_size=3), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3))
def test_nothing_is_granted_that_was_not_granted_there(cookies: list[dict[str, bool]], names: list[str]) -> None:
    policy = policy_with(klaro(analytics=names))
    result = imported(policy, *(b"klaro=" + encoded(cookie) for cookie in cookies))
    all_granted = all(cookie.get(name) is True for cookie in cookies for name in names)
    assert (result.get("analytics") == "granted") == all_granted
    refused = any(cookie.get(name) is False for cookie in cookies for name in names)
    assert (result.get("analytics") == "refused") == refused
