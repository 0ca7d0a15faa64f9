"""Tests of the choice among the recipients of a purpose: which may get data, and how the cookie stores that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.consent_cookie import SALT, ConsentCookie
from cookie_consent.decision.cookie_settings import CookieSettings
from cookie_consent.decision.decision import Decision, decide, without_optional
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.held_cookies import HeldCookies
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import HTTPS
from cookie_consent.decision.recipients import RecipientBits, granted_recipients, takes_recipients_away
from cookie_consent.decision.record import ConsentRecord, State, newest
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visit import refused_cookie_names
from cookie_consent.policy.declarations import SignalRules
from cookie_consent.policy.laws import laws
from cookie_consent.policy.parts import LONGEST_PURPOSE_ID, Cookie, Service, ServicePurpose
from cookie_consent.policy.policy import Policy
from tests.support.policies import (
    KEY,
    NOW,
    chosen_policy,
    consent_record,
    granting_recipients,
    granting_record,
    purpose,
    recipient,
    refusing_record,
    site,
)

POLICY = chosen_policy("adnet", "bidder", "counter")
SOME = granting_recipients(POLICY, "adnet", "counter")
NOBODY = frozenset[str]()


def decided(policy: Policy, record: ConsentRecord | None, *signals: str) -> Decision:
    return decide(policy, record, frozenset(signals), NOW + 1)


# What is allowed.


def test_only_granted_recipients_are_allowed() -> None:
    decision = decided(POLICY, SOME)
    assert granted_recipients(decision) == {"adnet", "counter"}
    assert [decision.allows_recipient(id_) for id_ in ("adnet", "bidder", "counter")] == [True, False, True]
    assert dict(decision.purposes) == {"necessary": True, "ads": True, "media": False}
    assert (decision.status, decision.outcome, decision.should_ask) == ("partial", "partial", False)


@pytest.mark.parametrize(
    ("record", "granted"),
    [
        pytest.param(granting_record(POLICY), {"adnet", "bidder", "counter"}, id="all"),
        pytest.param(refusing_record(POLICY), set(), id="none"),
        pytest.param(None, set(), id="not answered"),
    ],
)
def test_answer_about_purpose_is_about_all_its_recipients(record: ConsentRecord | None, granted: set[str]) -> None:
    assert granted_recipients(decided(POLICY, record)) == granted


def test_purpose_without_choice_grants_all_its_recipients() -> None:
    policy = Policy(site=site(), purposes=(purpose("ads"),), recipients=(recipient("adnet", "ads"),))
    assert granted_recipients(decided(policy, granting_record(policy))) == {"adnet"}
    assert granted_recipients(decided(policy, None)) == set()


def test_answer_that_leaves_one_out_is_partial_although_it_grants_every_purpose() -> None:
    record = granting_record(POLICY)
    record = replace(record, answers={**record.answers, "ads": SOME.answers["ads"]})
    decision = decided(POLICY, record)
    assert (decision.status, decision.outcome) == ("partial", "partial")


def test_signal_refuses_all_recipients() -> None:
    policy = chosen_policy("adnet", "bidder", signals=SignalRules(gpc=("ads",)))
    assert granted_recipients(decided(policy, granting_recipients(policy, "adnet"), "gpc")) == set()
    # Answered in sight of the signal, the answer overrides it.
    record = granting_recipients(policy, "adnet", signals=frozenset({"gpc"}))
    assert granted_recipients(decided(policy, record, "gpc")) == {"adnet"}


def test_service_refuses_all_recipients() -> None:
    shop = Service(id="shop", path="/shop", purposes={"ads": ServicePurpose(refused=True)})
    assert granted_recipients(decided(chosen_policy("adnet", "bidder", "counter").under(shop), SOME)) == set()


def test_error_refuses_all_recipients() -> None:
    denied = without_optional(decided(POLICY, SOME))
    assert (granted_recipients(denied), denied.refused_recipients) == (NOBODY, NOBODY)


def test_unknown_recipient_is_named() -> None:
    with pytest.raises(LookupError, match=r'there is no recipient "adnett"\. .*"adnet"'):
        decided(POLICY, SOME).allows_recipient("adnett")


# Changes of the policy.


@pytest.mark.parametrize("history", [True, False])
def test_added_recipient_asks_again(history: bool) -> None:
    policy = chosen_policy("adnet", "another", "bidder", "counter", history=(POLICY,) if history else ())
    decision = decided(policy, SOME)
    assert (granted_recipients(decision), decision.should_ask) == (NOBODY, True)


def test_removed_recipient_asks_nobody_again() -> None:
    policy = chosen_policy("bidder", "counter", history=(POLICY,))
    decision = decided(policy, SOME)
    assert (granted_recipients(decision), decision.should_ask) == (frozenset({"counter"}), False)


def test_purpose_whose_granted_recipients_are_all_removed_is_refused() -> None:
    decision = decided(chosen_policy("bidder", history=(POLICY,)), SOME)
    assert (decision.purposes["ads"], granted_recipients(decision), decision.should_ask) == (False, NOBODY, False)


def test_reordered_recipients_are_the_same() -> None:
    assert granted_recipients(decided(chosen_policy("counter", "bidder", "adnet"), SOME)) == {"adnet", "counter"}


def test_answer_before_there_was_a_choice_grants_all() -> None:
    before = replace(POLICY, purposes=(purpose("ads"), purpose("media")))
    decision = decided(POLICY, granting_record(before))
    assert (granted_recipients(decision), decision.should_ask) == (frozenset({"adnet", "bidder", "counter"}), False)


@pytest.mark.parametrize("history", [True, False])
def test_who_left_one_out_is_asked_again_where_there_is_no_choice_any_more(history: bool) -> None:
    after = replace(POLICY, purposes=(purpose("ads"), purpose("media")), history=(POLICY,) if history else ())
    decision = decided(after, SOME)
    assert (granted_recipients(decision), decision.should_ask) == (NOBODY, True)
    assert granted_recipients(decided(after, granting_record(POLICY))) == {"adnet", "bidder", "counter"}


# Where the law is one of opting out.


def opt_out(policy: Policy) -> Policy:
    return policy.under_law(laws()["us-optout"])


def test_refused_recipients_stay_refused_where_the_rest_is_allowed_without_an_answer() -> None:
    more, without_choice = (
        chosen_policy("adnet", "another", "bidder", "counter"),
        replace(POLICY, purposes=(purpose("ads"), purpose("media"))),
    )
    assert granted_recipients(decided(opt_out(POLICY), None)) == {"adnet", "bidder", "counter"}
    for policy in (POLICY, more):
        assert granted_recipients(decided(opt_out(policy), SOME)) == {"adnet", "counter"}
    assert granted_recipients(decided(opt_out(without_choice), SOME)) == set()


# The cookie.


def cookie(*policies: Policy) -> ConsentCookie:
    return ConsentCookie(Signer(KEY, SALT), recipients=RecipientBits(policies))


def test_answer_that_leaves_none_out_is_written_as_before() -> None:
    for record in (granting_record(POLICY), refusing_record(POLICY)):
        token = cookie(POLICY).write(record)
        assert token == ConsentCookie(Signer(KEY, SALT)).write(record)
        assert token.startswith("1~")
        assert ConsentCookie(Signer(KEY, SALT)).read([token.encode()]) == [record]


def test_number_says_which_recipients_are_granted() -> None:
    token = cookie(POLICY).write(SOME)
    assert token.startswith(f"2~{POLICY.version}~en~0~~~ads+{SOME.answers['ads'].facts}:5*media-")
    assert cookie(POLICY).read([token.encode()]) == [SOME]


@given(st.sets(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=2, max_size=12), st.data())
def test_chosen_recipients_survive_writing_and_reading(ids: set[str], data: st.DataObject) -> None:
    policy = chosen_policy(*ids)
    chosen = data.draw(st.sets(st.sampled_from(sorted(ids)), min_size=1, max_size=len(ids) - 1))
    record = granting_recipients(policy, *chosen)
    assert cookie(policy).read([cookie(policy).write(record).encode()]) == [record]


def test_sixty_recipients_fit_into_one_kilobyte() -> None:
    names = [f"p{number}".ljust(LONGEST_PURPOSE_ID, "x") for number in range(8)]
    ids = [f"recipient-with-a-rather-long-id-{number}" for number in range(60)]
    purposes = tuple(replace(purpose(name), choice="recipient") for name in names)
    recipients = tuple(recipient(id_, names[number % 8]) for number, id_ in enumerate(ids))
    policy = Policy(site=site(), purposes=purposes, recipients=recipients)
    record = granting_record(policy, consent_id="x" * 22, signals=frozenset({"gpc", "dnt"}))
    # The highest bit is set, so that no number is shorter than it can be.
    chosen = {
        id_: replace(answer, recipients=frozenset(sorted(each.id for each in policy.recipients_of(id_))[1:]))
        for id_, answer in record.answers.items()
    }
    field = OwnCookies(CookieSettings(KEY), [policy]).set_consent(replace(record, answers=chosen), place=HTTPS)
    assert len(field.partition(b";")[0]) < 500
    assert len(field) < 1024


def test_number_is_read_under_the_policy_that_it_was_written_for() -> None:
    token = cookie(POLICY).write(SOME).encode()
    later = chosen_policy("aaa", "adnet", "bidder", "counter")
    [known] = cookie(later, POLICY).read([token])
    assert known.answers["ads"].recipients == frozenset({"adnet", "counter"})


def test_number_of_an_unknown_policy_grants_nobody_and_asks_again() -> None:
    later = chosen_policy("aaa", "adnet", "bidder", "counter")
    [read] = cookie(later).read([cookie(POLICY).write(SOME).encode()])
    assert (read.answers["ads"].state, read.answers["ads"].recipients) == (State.GRANTED, NOBODY)
    # Also where the digests were the same by chance.
    for policy in (later, POLICY):
        assert granted_recipients(decided(policy, read)) == set()
    assert decided(later, read).should_ask
    assert not read.refuses_recipient("ads", "adnet")  # nobody knows, so nothing is expired


@pytest.mark.parametrize(
    "answers", [b"ads-AbC_-:1", b"ads!AbC_-:1", b"ads+AbC_-", b"ads+AbC_-:", b"ads+AbC_-:G", b"ads+AbC_-:1*", b""]
)
def test_signed_value_of_wrong_shape_is_ignored(answers: bytes) -> None:
    value = b"2~v~en~0~~~" + answers
    assert cookie(POLICY).read([Signer(KEY, SALT).sign(value, NOW)]) == []


@pytest.mark.parametrize(("ids", "is_shared"), [(1, True), (12, False)])
def test_equal_answers_are_shared_unless_long(ids: int, is_shared: bool) -> None:
    others = [purpose(f"purpose-{number}-of-many-purposes") for number in range(ids)]
    policy = replace(POLICY, purposes=(*POLICY.purposes, *others))
    record = granting_recipients(policy, "adnet")
    own = cookie(policy)
    one, other = own.read([own.write(replace(record, consent_id=name * 22)).encode() for name in "ab"])
    assert one.answers == other.answers == record.answers
    assert (one.answers is other.answers) == is_shared


# Of two answers in one second.


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        (("adnet", "bidder"), ("bidder", "counter"), {"bidder"}),
        (("adnet",), ("bidder",), set()),
        (("adnet", "bidder", "counter"), ("adnet",), {"adnet"}),
    ],
)
def test_of_equally_new_answers_only_recipients_of_both_are_granted(
    one: tuple[str, ...], other: tuple[str, ...], left: set[str]
) -> None:
    first, second = (
        granting_record(POLICY, source="api")
        if len(ids) == len(POLICY.recipients)
        else granting_recipients(POLICY, *ids)
        for ids in (one, other)
    )
    for records in ((first, second), (second, first)):
        record = newest(records)
        assert record is not None
        assert granted_recipients(decided(POLICY, record)) == left
        assert record.answers["ads"].state is (State.GRANTED if left else State.REFUSED)


def test_answer_without_the_purpose_leaves_a_choice_as_it_is() -> None:
    other = consent_record(POLICY, {}, answers={})
    assert newest([SOME, other]) == SOME


def test_refused_purpose_is_stricter_than_a_choice() -> None:
    record = newest([refusing_record(POLICY), SOME])
    assert record is not None
    assert record.answers["ads"].state is State.REFUSED


# Cookies.


WITH_COOKIES = chosen_policy(
    "adnet",
    "bidder",
    cookies=(
        Cookie(name="_adnet", purpose="ads", recipient="adnet", duration=timedelta(days=1)),
        Cookie(name="_bidder", purpose="ads", recipient="bidder"),
        Cookie(name="_ads", purpose="ads"),
        Cookie(name="_away", purpose="ads", recipient="bidder", path="/away"),
    ),
)
FIELD = b"_adnet=1; _bidder=2; _ads=3; session=4"


def gate(held: HeldCookies | None = None) -> Gate:
    return Gate(WITH_COOKIES, {}, clock=lambda: NOW, held=held or HeldCookies())


def test_gate_holds_the_cookies_of_refused_recipients() -> None:
    decision = decided(WITH_COOKIES, granting_recipients(WITH_COOKIES, "adnet"))
    passed, held = gate().incoming(FIELD, decision.purposes, decision.refused_recipients)
    assert (passed, held) == (b"_adnet=1; _ads=3", {"ads/bidder": 1, "undeclared": 1})
    headers = [(b"set-cookie", b"_adnet=1"), (b"set-cookie", b"_bidder=2"), (b"set-cookie", b"_bidder=; Max-Age=0")]
    counted = HeldCookies()
    assert gate(counted).outgoing(headers, decision.purposes, decision.refused_recipients) == [
        (b"set-cookie", b"_adnet=1"),
        (b"set-cookie", b"_bidder=; Max-Age=0"),
    ]
    assert counted.totals() == {("response", "ads/bidder"): 1}


def test_cookies_of_recipients_are_held_with_their_purpose() -> None:
    decision = decided(WITH_COOKIES, refusing_record(WITH_COOKIES))
    passed, held = gate().incoming(FIELD, decision.purposes, decision.refused_recipients)
    assert (passed, held) == (b"", {"ads": 3, "undeclared": 1})


@pytest.mark.parametrize(
    ("record", "names", "unsent"),
    [
        pytest.param(granting_recipients(WITH_COOKIES, "adnet"), [b"_bidder"], ["_away"], id="one"),
        pytest.param(granting_record(WITH_COOKIES), [], [], id="all"),
        pytest.param(refusing_record(WITH_COOKIES), [b"_adnet", b"_bidder", b"_ads"], ["_away"], id="none"),
    ],
)
def test_cookies_of_refused_recipients_are_expired(
    record: ConsentRecord, names: list[bytes], unsent: list[str]
) -> None:
    assert [*refused_cookie_names(gate().refusable_cookies(FIELD), record)] == names
    assert [cookie.name for cookie in gate().cookies_not_sent_to(record, "/privacy-choices")] == unsent


# What an answer takes away.


@pytest.mark.parametrize(
    ("before", "after", "takes"),
    [
        pytest.param(granting_record(POLICY), SOME, True, id="one of all"),
        pytest.param(SOME, granting_record(POLICY), False, id="all instead of some"),
        pytest.param(SOME, SOME, False, id="the same"),
        pytest.param(None, SOME, False, id="a first answer"),
        pytest.param(SOME, granting_recipients(POLICY, "bidder"), True, id="others"),
    ],
)
def test_answer_that_leaves_out_an_allowed_recipient_takes_it_away(
    before: ConsentRecord | None, after: ConsentRecord, takes: bool
) -> None:
    assert takes_recipients_away(decided(POLICY, before), after) == takes
