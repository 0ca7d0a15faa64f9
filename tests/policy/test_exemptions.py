"""Tests of exempt purposes: measuring the audience without consent where the law allows it, until a visitor objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.ledgers.records import document
from cookie_consent.policy.declarations import SignalRules
from cookie_consent.policy.diff import EVERYBODY, asks_again, compare
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.exemptions import exemptions, overdue
from cookie_consent.policy.material import digests, widened
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.answers.posted import PostedAnswer, make_record
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import QuestionOptions
from tests.ledgers.test_receipt import purpose_of
from tests.support.asgi import PREFIX, SITE, Visitor, install
from tests.support.policies import (
    NOW,
    consent_record,
    full_policy_data,
    full_policy_in,
    granting_record,
    policy_of,
    purpose,
    recipient,
    refusing_record,
    small_policy,
)
from tests.support.policy_strategies import SIGNALS

GRANTED, REFUSED, UNANSWERED = State.GRANTED, State.REFUSED, State.UNANSWERED
DAYS = timedelta(days=1)
AUDIENCE = replace(purpose("audience", traces=True, days=90), exempt="cnil_audience")
ANALYTICS = purpose("analytics", traces=True, days=30)
POLICY = small_policy(purposes=(ANALYTICS, AUDIENCE, purpose("media")), recipients=(recipient("maps", "media"),))
BEFORE = replace(POLICY, purposes=(ANALYTICS, POLICY.purposes[-1]))
"""The policy before the exempt purpose was added."""
ONLY_AUDIENCE = small_policy(purposes=(AUDIENCE,))
ERASING = replace(BEFORE, purposes=(replace(ANALYTICS, erase_on_withdrawal=True), BEFORE.purposes[-1]))
NOTHING: frozenset[str] = frozenset()
PLACE = {"base": PREFIX, "language": "en", "next_path": ""}
TABLE = """
[purposes.audience]
title = { en = "Audience", ja = "利用状況" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "90 days"
traces = true
exempt = "uk_statistics"
"""


def decision_for(policy: Policy, record: ConsentRecord | None = None, signals: frozenset[str] = NOTHING) -> Decision:
    return decide(policy, record, signals, NOW)


# The data.


def test_each_exemption_has_review_dates_and_sources() -> None:
    assert exemptions().keys() == {"cnil_audience", "uk_statistics"}
    for own in exemptions().values():
        assert date(2026, 1, 1) < own.reviewed_on < own.review_by <= own.reviewed_on + timedelta(days=366)
        assert own.law
        assert own.sources
        assert own.conditions
    assert exemptions()["cnil_audience"].longest_retention == 760 * DAYS  # 25 months
    assert exemptions()["uk_statistics"].longest_retention is None


# The policy file.


def exempt_data() -> dict[str, Any]:
    """Return the data of a policy file with an exempt purpose."""
    data = full_policy_data()
    data["purposes"]["audience"] = {**data["purposes"]["analytics"], "exempt": "cnil_audience"}
    return data


def test_a_policy_file_can_name_an_exemption() -> None:
    policy = policy_of(exempt_data())
    assert policy.in_force["audience"].exempt == "cnil_audience"
    assert (policy.exempt, BEFORE.exempt) == ("audience", "")
    assert policy.traced == BEFORE.traced == {"analytics"}


Damage = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, tuple[Damage, str]] = {
    "an unknown exemption": (
        lambda data: data["purposes"]["audience"].update(exempt="cnil_audiense"),
        '[purposes.audience] key "exempt": there is no exemption "cnil_audiense". Did you mean "cnil_audience"?',
    ),
    "a purpose that does not trace": (
        lambda data: data["purposes"]["audience"].update(traces=False),
        '[purposes.audience] key "exempt": only counting the audience can do without consent. Write traces = true',
    ),
    "no retention": (
        lambda data: data["purposes"]["audience"].pop("retention"),
        '[purposes.audience] key "retention": what is exempt has to say how long it is kept. Write "760 days" at most',
    ),
    "no retention though the law has no limit": (
        lambda data: (
            data["purposes"]["audience"].update(exempt="uk_statistics"),
            data["purposes"]["audience"].pop("retention"),
        ),
        'key "retention": what is exempt has to say how long it is kept. Write how long its records are kept.',
    ),
    "a longer retention than the law allows": (
        lambda data: data["purposes"]["audience"].update(retention="761 days"),
        'key "retention": 761 days are longer than "cnil_audience" allows. Write "760 days" at most.',
    ),
    "erasure on withdrawal": (
        lambda data: data["purposes"]["audience"].update(erase_on_withdrawal=True),
        'key "erase_on_withdrawal": after a day nobody can tell which records of an exempt purpose are whose. Leave it',
    ),
    "a second exempt purpose": (
        lambda data: data["purposes"].update(more={**data["purposes"]["audience"], "exempt": "uk_statistics"}),
        '[purposes.more] key "exempt": "audience" is exempt already. One purpose can be.',
    ),
    "a cookie": (
        lambda data: data["cookies"][1].update(purpose="audience"),
        '[[cookies]] "_ga*" key "purpose": "audience" runs without consent, and so without cookies. Name a purpose',
    ),
    "a recipient": (
        lambda data: data["recipients"][0].update(purpose="audience"),
        '[[recipients]] "example-maps" key "purpose": "audience" runs without consent, and so for this site alone.',
    ),
    "a feature": (
        lambda data: data["features"]["map"].update(purposes=["media", "audience"]),
        '[features.map] key "purposes": "audience" runs without consent, and so for counting alone.',
    ),
    "erasure of a purpose that does not trace": (
        lambda data: data["purposes"]["media"].update(erase_on_withdrawal=True),
        '[purposes.media] key "erase_on_withdrawal": nothing is recorded that could be erased. Leave it out, or write',
    ),
    "an exemption that is not a text": (
        lambda data: data["purposes"]["audience"].update(exempt=True),
        '[purposes.audience] key "exempt": True is no text.',
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_purpose_outside_its_exemption_is_rejected(damage: Damage, message: str) -> None:
    data = exempt_data()
    damage(data)
    with pytest.raises(PolicyError, match=re.escape(message)):
        policy_of(data)


def test_longest_allowed_retention_is_accepted() -> None:
    data = exempt_data()
    data["purposes"]["audience"]["retention"] = "760 days"
    assert policy_of(data).in_force["audience"].retention == 760 * DAYS


def test_service_can_refuse_exempt_purpose_or_shorten_retention() -> None:
    data = exempt_data()
    data["services"]["whois"]["purposes"]["audience"] = {"refused": True}
    data["services"]["shop"]["purposes"]["audience"] = {"retention": "1 day"}
    policy = policy_of(data)
    whois, shop = (policy.under(service) for service in policy.services)
    assert decision_for(whois).purposes["audience"] is False
    assert decision_for(shop).purposes["audience"] is True
    assert shop.in_force["audience"].retention == DAYS


def test_policy_without_exemption_keeps_its_version() -> None:
    assert [*POLICY.document()["purposes"][1]] == ["id", "title", "description", "retention", "traces", "refused"]
    assert POLICY.document()["purposes"][2]["exempt"] == "cnil_audience"
    assert small_policy("analytics", "media").version == "4696472460b86fbb"
    for policy in (POLICY, ERASING):
        assert Policy.from_document(policy.document()).version == policy.version
    assert len({POLICY.version, BEFORE.version, ERASING.version}) == 3


# Decisions.


def test_exempt_purpose_is_allowed_without_asking() -> None:
    decision = decision_for(ONLY_AUDIENCE)
    assert decision.purposes == {NECESSARY: True, "audience": True}
    assert (decision.status, decision.should_ask, decision.exempt, decision.traces) == (
        "unknown",
        False,
        "audience",
        False,
    )
    assert decision_for(POLICY).should_ask is True
    assert decision_for(POLICY).exempt == "audience"
    assert decision_for(BEFORE).exempt == ""


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        ({"analytics": REFUSED, "audience": REFUSED, "media": REFUSED}, False),
        ({"analytics": GRANTED, "audience": REFUSED, "media": GRANTED}, False),
        ({"analytics": REFUSED, "audience": GRANTED, "media": REFUSED}, True),
        ({"analytics": UNANSWERED, "audience": UNANSWERED, "media": GRANTED}, True),
        # Answers without the exempt purpose.
        ({"analytics": REFUSED, "media": REFUSED}, False),
        ({"analytics": REFUSED, "media": GRANTED}, False),
        ({"analytics": GRANTED, "media": REFUSED}, True),
        ({"analytics": UNANSWERED, "media": GRANTED}, True),
        ({"media": REFUSED}, False),
        ({"media": GRANTED}, True),
    ],
)
def test_refusal_switches_exempt_purpose_off(answers: Mapping[str, State], allowed: bool) -> None:
    record = replace(
        granting_record(POLICY), answers={id_: Answer(given, digests(POLICY)[id_]) for id_, given in answers.items()}
    )
    assert decision_for(POLICY, record).purposes["audience"] is allowed


def test_earlier_refusal_of_all_covers_new_exempt_purpose() -> None:
    for policy in (POLICY, POLICY.with_history([BEFORE])):
        decision = decision_for(policy, refusing_record(BEFORE))
        assert (decision.purposes["audience"], decision.should_ask) == (False, False)
        decision = decision_for(policy, granting_record(BEFORE))
        assert (decision.purposes["audience"], decision.should_ask, decision.traces) == (True, False, True)


def test_objection_expires_after_consent_lifetime() -> None:
    record, lifetime = refusing_record(POLICY), timedelta(days=184)
    last = NOW + lifetime.total_seconds()
    assert decide(POLICY, record, NOTHING, last - 1).purposes["audience"] is False
    assert decide(POLICY, record, NOTHING, last).purposes["audience"] is True


def test_consent_to_tracing_replaces_exemption() -> None:
    decision = decision_for(POLICY, granting_record(POLICY))
    assert (decision.traces, decision.exempt, decision.purposes["audience"]) == (True, "", True)


@pytest.mark.parametrize("signal", ["gpc", "dnt"])
def test_signal_counts_as_objection_unless_policy_ignores_signal(signal: str) -> None:
    signals, ignoring = frozenset({signal}), replace(POLICY, signals=SignalRules(gpc=(), dnt=()))
    assert decision_for(POLICY, None, signals).purposes["audience"] is False
    assert decision_for(POLICY, consent_record(POLICY, {"audience": UNANSWERED}), signals).purposes["audience"] is False
    assert decision_for(POLICY, granting_record(POLICY), signals).purposes["audience"] is False
    assert decision_for(POLICY, granting_record(POLICY, signals=signals), signals).purposes["audience"] is True
    assert decision_for(ignoring, None, signals).purposes["audience"] is True


def test_gpc_and_dnt_refuse_exempt_purpose() -> None:
    assert POLICY.gpc_refuses == BEFORE.gpc_refuses | {"audience"} == {"audience", "media"}
    assert POLICY.dnt_refuses == BEFORE.dnt_refuses | {"audience"} == {"analytics", "audience"}


@given(st.data(), SIGNALS)
def test_exempt_purpose_does_not_affect_other_purposes(data: st.DataObject, signals: frozenset[str]) -> None:
    states = {id_: data.draw(st.sampled_from(State)) for id_ in BEFORE.optional}
    before = decide(BEFORE, consent_record(BEFORE, states), signals, NOW)
    after = decide(POLICY.with_history([BEFORE]), consent_record(BEFORE, states), signals, NOW)
    assert {id_: after.purposes[id_] for id_ in before.purposes} == before.purposes
    assert (after.should_ask, after.traces, after.status) == (before.should_ask, before.traces, before.status)
    assert not (after.exempt and after.traces)
    said_no = REFUSED in (states["analytics"], *([states["media"]] if states["media"] is states["analytics"] else []))
    assert after.purposes["audience"] is (not signals and not said_no)


# Answers.


def states_of(posted: PostedAnswer, before: Decision) -> dict[str, str]:
    record = make_record(posted, before, before.policy, now=NOW, language="en")
    return {id_: given.state.value for id_, given in record.answers.items()}


def test_refuse_all_objects_and_accept_all_does_not() -> None:
    before = decision_for(POLICY)
    assert states_of(PostedAnswer(choice="refuse_all"), before) == {"analytics": "-", "audience": "-", "media": "-"}
    assert states_of(PostedAnswer(choice="accept_all"), before) == {"analytics": "+", "audience": "+", "media": "+"}


@pytest.mark.parametrize("surface", ["settings", "again", ""])
def test_saving_without_exempt_purpose_objects(surface: str) -> None:
    before, ticked = decision_for(POLICY), {"analytics": True}
    posted = PostedAnswer(choice="save", purposes=ticked, surface=surface)
    assert states_of(posted, before) == {"analytics": "+", "audience": "-", "media": "-"}
    kept = replace(posted, purposes={"audience": True})
    assert states_of(kept, before) == {"analytics": "-", "audience": "+", "media": "-"}


def test_saving_in_banner_leaves_exempt_purpose_unchanged() -> None:
    posted = PostedAnswer(choice="save", purposes={"analytics": True}, surface="banner")
    assert states_of(posted, decision_for(POLICY)) == {"analytics": "+", "media": "-"}
    assert states_of(posted, decision_for(POLICY, refusing_record(POLICY))) == {
        "analytics": "+",
        "audience": "-",
        "media": "-",
    }
    assert states_of(posted, decision_for(POLICY, granting_record(POLICY))) == {
        "analytics": "+",
        "audience": "+",
        "media": "-",
    }


def test_granting_another_purpose_leaves_exempt_purpose_unchanged() -> None:
    posted = PostedAnswer(choice="grant", purposes={"media": True})
    assert states_of(posted, decision_for(POLICY)) == {"analytics": "!", "media": "+"}
    assert states_of(posted, decision_for(POLICY, refusing_record(POLICY)))["audience"] == "-"
    # A refusal of all from before the purpose was added counts too.
    assert states_of(posted, decision_for(POLICY, refusing_record(BEFORE)))["audience"] == "-"
    assert states_of(posted, decision_for(POLICY, granting_record(POLICY), frozenset({"dnt"})))["audience"] == "+"


# Changes of the policy.


def test_added_exempt_purpose_is_reported_and_asks_nobody() -> None:
    (change,) = (own for own in compare(BEFORE, POLICY) if "added" in own.what)
    assert (change.what, change.purposes, change.material) == ('purpose "audience" added', ("audience",), False)
    assert widened(BEFORE, POLICY) == set()
    assert asks_again(BEFORE, POLICY) == asks_again(BEFORE, POLICY, history=False) == {}


def with_audience(**changes: Any) -> Policy:
    own = (replace(AUDIENCE, **changes) if part is AUDIENCE else part for part in POLICY.purposes)
    return replace(POLICY, purposes=tuple(own))


def test_purpose_that_loses_exemption_is_asked_for() -> None:
    without_exemption = with_audience(exempt="")
    (change,) = compare(POLICY, without_exemption)
    assert (change.what, change.material) == ('purpose "audience": exempt "cnil_audience" -> not set', True)
    assert widened(POLICY, without_exemption) == set(change.purposes) == {"audience"}
    assert asks_again(POLICY, without_exemption) == {"audience": EVERYBODY}
    for policy in (without_exemption, without_exemption.with_history([POLICY])):
        decision = decision_for(policy, granting_record(POLICY))
        assert (decision.purposes["audience"], decision.should_ask) == (False, True)
        decision = decision_for(policy, refusing_record(POLICY))
        assert (decision.purposes["audience"], decision.should_ask) == (False, False)


def test_refusal_persists_when_purpose_becomes_exempt() -> None:
    without_exemption = with_audience(exempt="")
    (change,) = compare(without_exemption, POLICY)
    assert (change.what, change.material) == ('purpose "audience": exempt not set -> "cnil_audience"', False)
    assert decision_for(POLICY, refusing_record(without_exemption)).purposes["audience"] is False
    assert decision_for(POLICY, granting_record(without_exemption)).purposes["audience"] is True


def test_longer_retention_of_exempt_purpose_asks_nobody() -> None:
    longer = with_audience(retention=91 * DAYS)
    (change,) = compare(POLICY, longer)
    assert (change.material, widened(POLICY, longer)) == (False, NOTHING)
    assert decision_for(longer, granting_record(POLICY)).should_ask is False


@pytest.mark.parametrize(("before", "difference"), [(False, "not set -> true"), (True, "true -> not set")])
def test_erase_on_withdrawal_is_not_a_material_change(before: bool, difference: str) -> None:
    old, new = (ERASING, BEFORE) if before else (BEFORE, ERASING)
    (change,) = compare(old, new)
    assert change.what == f'purpose "analytics": erase_on_withdrawal {difference}'
    assert (change.material, digests(old)) == (False, digests(new))


# Pages.


def settings_html(decision: Decision) -> str:
    return Pages().settings(decision, base=PREFIX, language="en")


def ticked_boxes(html: str) -> dict[str, bool]:
    """Return the purposes with a box on a page, and whether each is ticked."""
    boxes = re.findall(r'<input type="checkbox" name="purpose" value="(\w+)"([^>]*)>', html)
    return {id_: "checked" in attributes for id_, attributes in boxes}


@pytest.mark.slow
def test_settings_show_exempt_purpose_ticked_with_its_law() -> None:
    html = settings_html(decision_for(POLICY))
    assert ticked_boxes(html) == {"analytics": False, "audience": True, "media": False}
    assert "This runs without your consent, as the law allows (France: audience measurement, Article 82" in html
    assert html.count("You can object at any time") == 1
    assert 'value="audience" aria-describedby="pchoice-exempt" checked' in html
    assert "Only what is strictly necessary is used, and what runs without consent until you object: audience." in html
    assert "and what the law allows without consent" in html


def test_settings_after_objection_show_exempt_purpose_unticked() -> None:
    html = settings_html(decision_for(POLICY, refusing_record(POLICY)))
    assert ticked_boxes(html) == {"analytics": False, "audience": False, "media": False}
    assert "You refused all purposes that are not strictly necessary." in html


def test_settings_without_exempt_purpose_mention_no_exemption() -> None:
    html = settings_html(decision_for(BEFORE))
    assert "without consent" not in html
    assert "without your consent" not in html


def test_settings_of_service_omit_refused_exempt_purpose() -> None:
    data = exempt_data()
    data["services"]["whois"]["purposes"]["audience"] = {"refused": True}
    policy = policy_of(data)
    html = settings_html(decision_for(policy.under(policy.services[0])))
    assert ticked_boxes(html) == {"analytics": False, "media": False}
    assert "without your consent" not in html


def banner_html(decision: Decision, *, again: bool = False) -> str:
    return Pages().banner(decision, options=QuestionOptions(again=again), **PLACE).decode()


def test_banner_mentions_exempt_purpose_without_asking() -> None:
    html = banner_html(decision_for(POLICY))
    assert "for: <b>analytics</b> and <b>media</b>?" in html
    assert "Runs without consent until you object under “Privacy settings”: audience." in html
    assert ticked_boxes(html) == {"analytics": False, "media": False}
    assert "without consent" not in banner_html(decision_for(BEFORE))


def test_reopened_banner_offers_objection() -> None:
    html = banner_html(decision_for(POLICY), again=True)
    assert ticked_boxes(html) == {"analytics": False, "audience": True, "media": False}
    assert html.count("You can object at any time") == 1
    alone = banner_html(decision_for(ONLY_AUDIENCE), again=True)
    assert ticked_boxes(alone) == {"audience": True}
    assert "pchoice-question" not in alone


@pytest.mark.parametrize("language", ["de", "ja", "ar", "th"])
def test_exemption_is_described_in_visitor_language(language: str) -> None:
    data = full_policy_in("en", language)
    own = replace(
        data.in_force["analytics"], id="audience", exempt="uk_statistics", title={"en": "Audience", language: "X"}
    )
    policy = replace(data, purposes=(*data.purposes, own))
    html = Pages().settings(decision_for(policy), base=PREFIX, language=language)
    text = policy.texts[language]["exempt_uk_statistics"]
    assert isinstance(text, str)
    assert text.replace("'", "&#39;") in re.sub("[\u2068\u2069]", "", html)
    assert "{" not in html


def test_settings_mention_erasure_on_withdrawal() -> None:
    sentence = "Kept for 30 days. What was recorded is erased when you withdraw your consent."
    assert sentence in settings_html(decision_for(ERASING))
    assert sentence not in settings_html(decision_for(BEFORE))


# Receipts.


def test_receipt_gives_lawful_basis_of_exempt_purpose() -> None:
    for record, objected in ((granting_record(POLICY), "NotObjected"), (refusing_record(POLICY), "Objected")):
        made = receipt(document(record, timedelta(days=184)), POLICY, PREFIX)
        assert purpose_of(made, "audience")["lawful_basis"] == "dpv:LegitimateInterest"
        assert purpose_of(made, "media")["lawful_basis"] == "dpv:Consent"
        (event,) = (event for event in made["events"] if "audience" in event["purposes"])
        assert (event["event_type"], event["event_state"], event["purposes"]) == (
            "dpv:LegitimateInterest", f"dpv:LegitimateInterest{objected}", ["audience"],
        )  # fmt: skip


# Visitors of a site.


def test_visitor_can_object_and_allow_again() -> None:
    visitor = Visitor(install(text=SITE + TABLE))
    assert visitor.state()["purposes"]["audience"] is True
    assert visitor.state()["status"] == "unknown"
    visitor.refuse()
    assert visitor.state()["purposes"]["audience"] is False
    visitor.save(audience=True)
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "audience": True, "media": False}
    visitor.save(media=True)
    assert visitor.state()["purposes"]["audience"] is False


def test_unreadable_answer_counts_as_objection() -> None:
    visitor = Visitor(install(text=SITE + TABLE))
    visitor.refuse()
    visitor.jar["__Host-consent"] = visitor.jar["__Host-consent"][:-1] + "?"
    held = visitor.state()
    assert (held["status"], held["purposes"]["audience"]) == ("unknown", False)
    visitor.jar["__Host-consent"] = "anything"
    assert visitor.state()["purposes"]["audience"] is False
    visitor.jar = {"unconsent": "1"}
    assert visitor.state()["purposes"]["audience"] is True


@pytest.mark.logs_an_exception
def test_error_while_deciding_switches_exempt_purpose_off() -> None:
    app = install(text=SITE + TABLE)
    visits = app._installed.visits

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    visits._own_cookies = Broken()  # type: ignore[assignment]
    decision = visits.read({"headers": [], "scheme": "https"}, "/").decision
    assert decision.purposes == {"necessary": True, "analytics": False, "audience": False, "media": False}


def test_overdue_review_of_exemption_is_reported() -> None:
    names, last = ["cnil_audience", "uk_statistics"], max(known.review_by for known in exemptions().values())
    assert overdue(names, last - timedelta(days=400)) == ""
    lines = overdue(names, last + DAYS).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith('What the exemption "cnil_audience" allows was last compared with the law on 20')
