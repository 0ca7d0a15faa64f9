"""Counting the audience without consent, where the law has it: what a policy may say of it, and when it is off."""

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
from cookie_consent.policy.diff import asks_again, compare
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.exemptions import exemptions, overdue
from cookie_consent.policy.material import digests, widened
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.answers.posted import Posted, make_record
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.question import Asking
from tests.ledgers.test_receipt import purpose_of
from tests.support.asgi import PREFIX, SITE, Visitor, install
from tests.support.policies import (
    NOW,
    SIGNALS,
    answered,
    full,
    full_in,
    granted,
    policy_of,
    purpose,
    recipient,
    refused,
    small,
)

GRANTED, REFUSED, UNANSWERED = State.GRANTED, State.REFUSED, State.UNANSWERED
DAYS = timedelta(days=1)
AUDIENCE = replace(purpose("audience", traces=True, days=90), exempt="cnil_audience")
ANALYTICS = purpose("analytics", traces=True, days=30)
POLICY = small(purposes=(ANALYTICS, AUDIENCE, purpose("media")), recipients=(recipient("maps", "media"),))
BEFORE = replace(POLICY, purposes=(ANALYTICS, POLICY.purposes[-1]))
"""The same policy before "audience" was added to it."""
ALONE = small(purposes=(AUDIENCE,))
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


def of_audience(policy: Policy, record: ConsentRecord | None = None, signals: frozenset[str] = NOTHING) -> Decision:
    return decide(policy, record, signals, NOW)


# The data.


def test_each_exemption_is_dated_and_says_where_it_is_from() -> None:
    assert exemptions().keys() == {"cnil_audience", "uk_statistics"}
    for own in exemptions().values():
        assert date(2026, 1, 1) < own.reviewed_on < own.review_by <= own.reviewed_on + timedelta(days=366)
        assert own.law
        assert own.sources
        assert own.conditions
    assert exemptions()["cnil_audience"].longest_retention == 760 * DAYS  # 25 months
    assert exemptions()["uk_statistics"].longest_retention is None


# What a policy may say.


def exempt_data() -> dict[str, Any]:
    """The data of a policy file that has an exempt purpose beside the others."""
    data = full()
    data["purposes"]["audience"] = {**data["purposes"]["analytics"], "exempt": "cnil_audience"}
    return data


def test_a_policy_file_can_name_an_exemption() -> None:
    policy = policy_of(exempt_data())
    assert policy.in_force["audience"].exempt == "cnil_audience"
    assert (policy.exempt, BEFORE.exempt) == ("audience", "")
    assert policy.traced == BEFORE.traced == {"analytics"}


Damage = Callable[[dict[str, Any]], object]
DAMAGE: dict[str, tuple[Damage, str]] = {
    "an exemption that there is not": (
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
    "no retention where the law names none": (
        lambda data: (
            data["purposes"]["audience"].update(exempt="uk_statistics"),
            data["purposes"]["audience"].pop("retention"),
        ),
        'key "retention": what is exempt has to say how long it is kept. Write how long its records are kept.',
    ),
    "a longer retention than the law has": (
        lambda data: data["purposes"]["audience"].update(retention="761 days"),
        'key "retention": 761 days are longer than "cnil_audience" allows. Write "760 days" at most.',
    ),
    "a promise that cannot be kept": (
        lambda data: data["purposes"]["audience"].update(erase_on_withdrawal=True),
        'key "erase_on_withdrawal": after a day nobody can tell which records of an exempt purpose are whose. Leave it',
    ),
    "a second one": (
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
    "erasing where nothing is recorded": (
        lambda data: data["purposes"]["media"].update(erase_on_withdrawal=True),
        '[purposes.media] key "erase_on_withdrawal": nothing is recorded that could be erased. Leave it out, or write',
    ),
    "no text": (
        lambda data: data["purposes"]["audience"].update(exempt=True),
        '[purposes.audience] key "exempt": True is no text.',
    ),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_what_the_law_does_not_exempt_stops_the_start(damage: Damage, said: str) -> None:
    data = exempt_data()
    damage(data)
    with pytest.raises(PolicyError, match=re.escape(said)):
        policy_of(data)


def test_a_retention_as_long_as_the_law_has_it_is_good() -> None:
    data = exempt_data()
    data["purposes"]["audience"]["retention"] = "760 days"
    assert policy_of(data).in_force["audience"].retention == 760 * DAYS


def test_a_service_can_refuse_it_or_keep_it_for_a_shorter_time() -> None:
    data = exempt_data()
    data["services"]["whois"]["purposes"]["audience"] = {"refused": True}
    data["services"]["shop"]["purposes"]["audience"] = {"retention": "1 day"}
    policy = policy_of(data)
    whois, shop = (policy.under(service) for service in policy.services)
    assert of_audience(whois).purposes["audience"] is False
    assert of_audience(shop).purposes["audience"] is True
    assert shop.in_force["audience"].retention == DAYS


def test_policies_that_say_nothing_of_it_are_the_versions_that_they_were() -> None:
    assert [*POLICY.document()["purposes"][1]] == ["id", "title", "description", "retention", "traces", "refused"]
    assert POLICY.document()["purposes"][2]["exempt"] == "cnil_audience"
    assert small("analytics", "media").version == "4696472460b86fbb"
    for policy in (POLICY, ERASING):
        assert Policy.from_document(policy.document()).version == policy.version
    assert len({POLICY.version, BEFORE.version, ERASING.version}) == 3


# What holds.


def test_it_is_allowed_until_somebody_objects_and_nobody_is_asked_for_it() -> None:
    decision = of_audience(ALONE)
    assert decision.purposes == {NECESSARY: True, "audience": True}
    assert (decision.status, decision.should_ask, decision.exempt, decision.traces) == (
        "unknown",
        False,
        "audience",
        False,
    )
    assert of_audience(POLICY).should_ask is True
    assert of_audience(POLICY).exempt == "audience"
    assert of_audience(BEFORE).exempt == ""


@pytest.mark.parametrize(
    ("answers", "allowed"),
    [
        ({"analytics": REFUSED, "audience": REFUSED, "media": REFUSED}, False),
        ({"analytics": GRANTED, "audience": REFUSED, "media": GRANTED}, False),
        ({"analytics": REFUSED, "audience": GRANTED, "media": REFUSED}, True),
        ({"analytics": UNANSWERED, "audience": UNANSWERED, "media": GRANTED}, True),
        # Answers from before it was there, or that said nothing of it.
        ({"analytics": REFUSED, "media": REFUSED}, False),
        ({"analytics": REFUSED, "media": GRANTED}, False),
        ({"analytics": GRANTED, "media": REFUSED}, True),
        ({"analytics": UNANSWERED, "media": GRANTED}, True),
        ({"media": REFUSED}, False),
        ({"media": GRANTED}, True),
    ],
)
def test_an_objection_is_a_refusal_like_any_other(answers: Mapping[str, State], allowed: bool) -> None:
    record = replace(
        granted(POLICY), answers={id_: Answer(given, digests(POLICY)[id_]) for id_, given in answers.items()}
    )
    assert of_audience(POLICY, record).purposes["audience"] is allowed


def test_who_refused_all_before_it_was_there_stays_refused_and_is_not_asked() -> None:
    for policy in (POLICY, POLICY.with_history([BEFORE])):
        decision = of_audience(policy, refused(BEFORE))
        assert (decision.purposes["audience"], decision.should_ask) == (False, False)
        decision = of_audience(policy, granted(BEFORE))
        assert (decision.purposes["audience"], decision.should_ask, decision.traces) == (True, False, True)


def test_an_objection_lasts_as_long_as_a_refusal() -> None:
    record, lifetime = refused(POLICY), timedelta(days=180)
    last = NOW + lifetime.total_seconds()
    assert decide(POLICY, record, NOTHING, last - 1).purposes["audience"] is False
    assert decide(POLICY, record, NOTHING, last).purposes["audience"] is True


def test_consent_to_tracing_wins() -> None:
    decision = of_audience(POLICY, granted(POLICY))
    assert (decision.traces, decision.exempt, decision.purposes["audience"]) == (True, "", True)


@pytest.mark.parametrize("signal", ["gpc", "dnt"])
def test_a_signal_objects_unless_the_policy_passes_it_over(signal: str) -> None:
    signals, ignoring = frozenset({signal}), replace(POLICY, signals=SignalRules(gpc=(), dnt=()))
    assert of_audience(POLICY, None, signals).purposes["audience"] is False
    assert of_audience(POLICY, answered(POLICY, {"audience": UNANSWERED}), signals).purposes["audience"] is False
    assert of_audience(POLICY, granted(POLICY), signals).purposes["audience"] is False
    assert of_audience(POLICY, granted(POLICY, signals=signals), signals).purposes["audience"] is True
    assert of_audience(ignoring, None, signals).purposes["audience"] is True


def test_gpc_refuses_what_has_recipients_or_is_exempt() -> None:
    assert POLICY.gpc_refuses == BEFORE.gpc_refuses | {"audience"} == {"audience", "media"}
    assert POLICY.dnt_refuses == BEFORE.dnt_refuses | {"audience"} == {"analytics", "audience"}


@given(st.data(), SIGNALS)
def test_it_changes_nothing_for_what_is_asked_for(data: st.DataObject, signals: frozenset[str]) -> None:
    states = {id_: data.draw(st.sampled_from(State)) for id_ in BEFORE.optional}
    before = decide(BEFORE, answered(BEFORE, states), signals, NOW)
    after = decide(POLICY.with_history([BEFORE]), answered(BEFORE, states), signals, NOW)
    assert {id_: after.purposes[id_] for id_ in before.purposes} == before.purposes
    assert (after.should_ask, after.traces, after.status) == (before.should_ask, before.traces, before.status)
    assert not (after.exempt and after.traces)
    said_no = REFUSED in (states["analytics"], *([states["media"]] if states["media"] is states["analytics"] else []))
    assert after.purposes["audience"] is (not signals and not said_no)


# What is answered.


def answer(posted: Posted, before: Decision) -> dict[str, str]:
    record = make_record(posted, before, before.policy, now=NOW, language="en")
    return {id_: given.state.value for id_, given in record.answers.items()}


def test_refusing_all_objects_and_accepting_all_does_not() -> None:
    before = of_audience(POLICY)
    assert answer(Posted(choice="refuse_all"), before) == {"analytics": "-", "audience": "-", "media": "-"}
    assert answer(Posted(choice="accept_all"), before) == {"analytics": "+", "audience": "+", "media": "+"}


@pytest.mark.parametrize("surface", ["settings", "again", ""])
def test_to_save_without_it_objects(surface: str) -> None:
    before, ticked = of_audience(POLICY), {"analytics": True}
    posted = Posted(choice="save", purposes=ticked, surface=surface)
    assert answer(posted, before) == {"analytics": "+", "audience": "-", "media": "-"}
    kept = replace(posted, purposes={"audience": True})
    assert answer(kept, before) == {"analytics": "-", "audience": "+", "media": "-"}


def test_the_question_has_no_tick_for_it_so_that_to_save_there_says_nothing_of_it() -> None:
    posted = Posted(choice="save", purposes={"analytics": True}, surface="banner")
    assert answer(posted, of_audience(POLICY)) == {"analytics": "+", "media": "-"}
    assert answer(posted, of_audience(POLICY, refused(POLICY))) == {"analytics": "+", "audience": "-", "media": "-"}
    assert answer(posted, of_audience(POLICY, granted(POLICY))) == {"analytics": "+", "audience": "+", "media": "-"}


def test_to_grant_something_else_leaves_it_as_it_was() -> None:
    posted = Posted(choice="grant", purposes={"media": True})
    assert answer(posted, of_audience(POLICY)) == {"analytics": "!", "media": "+"}
    assert answer(posted, of_audience(POLICY, refused(POLICY)))["audience"] == "-"
    # Also who refused all before it was there.
    assert answer(posted, of_audience(POLICY, refused(BEFORE)))["audience"] == "-"
    assert answer(posted, of_audience(POLICY, granted(POLICY), frozenset({"dnt"})))["audience"] == "+"


# Changes of the policy.


def test_adding_it_is_told_and_asks_nobody_again() -> None:
    (change,) = (own for own in compare(BEFORE, POLICY) if "added" in own.what)
    assert (change.what, change.purposes, change.material) == ('purpose "audience" added', ("audience",), False)
    assert widened(BEFORE, POLICY) == set()
    assert asks_again(BEFORE, POLICY) == asks_again(BEFORE, POLICY, history=False) == {}


def with_audience(**changes: Any) -> Policy:
    own = (replace(AUDIENCE, **changes) if part is AUDIENCE else part for part in POLICY.purposes)
    return replace(POLICY, purposes=tuple(own))


def test_what_needs_consent_from_now_on_is_asked_for() -> None:
    asked = with_audience(exempt="")
    (change,) = compare(POLICY, asked)
    assert (change.what, change.material) == ('purpose "audience": exempt "cnil_audience" -> not set', True)
    assert widened(POLICY, asked) == set(change.purposes) == {"audience"}
    for policy in (asked, asked.with_history([POLICY])):
        decision = of_audience(policy, granted(POLICY))
        assert (decision.purposes["audience"], decision.should_ask) == (False, True)
        decision = of_audience(policy, refused(POLICY))
        assert (decision.purposes["audience"], decision.should_ask) == (False, False)


def test_what_needs_no_consent_from_now_on_stays_refused_where_it_was() -> None:
    asked = with_audience(exempt="")
    (change,) = compare(asked, POLICY)
    assert (change.what, change.material) == ('purpose "audience": exempt not set -> "cnil_audience"', False)
    assert of_audience(POLICY, refused(asked)).purposes["audience"] is False
    assert of_audience(POLICY, granted(asked)).purposes["audience"] is True


def test_a_longer_retention_of_it_asks_nobody() -> None:
    longer = with_audience(retention=91 * DAYS)
    (change,) = compare(POLICY, longer)
    assert (change.material, widened(POLICY, longer)) == (False, NOTHING)
    assert of_audience(longer, granted(POLICY)).should_ask is False


@pytest.mark.parametrize(("before", "said"), [(False, "not set -> true"), (True, "true -> not set")])
def test_erasing_on_withdrawal_is_no_material_change(before: bool, said: str) -> None:
    old, new = (ERASING, BEFORE) if before else (BEFORE, ERASING)
    (change,) = compare(old, new)
    assert change.what == f'purpose "analytics": erase_on_withdrawal {said}'
    assert (change.material, digests(old)) == (False, digests(new))


# What visitors read.


def shown(decision: Decision) -> str:
    return Pages().settings(decision, base=PREFIX, language="en")


def ticks(html: str) -> dict[str, bool]:
    """The ticks of a page: purpose id -> whether it is set."""
    boxes = re.findall(r'<input type="checkbox" name="purpose" value="(\w+)"([^>]*)>', html)
    return {id_: "checked" in attributes for id_, attributes in boxes}


@pytest.mark.slow
def test_the_settings_show_it_ticked_and_say_by_which_law_it_runs_and_how_to_object() -> None:
    html = shown(of_audience(POLICY))
    assert ticks(html) == {"analytics": False, "audience": True, "media": False}
    assert "This runs without your consent, as the law allows (France: audience measurement, Article 82" in html
    assert html.count("You can object at any time") == 1
    assert 'value="audience" aria-describedby="pchoice-exempt" checked' in html
    assert "Only what is strictly necessary is used, and what runs without consent until you object: audience." in html
    assert "and what the law allows without consent" in html


def test_who_objected_reads_that_and_finds_no_tick() -> None:
    html = shown(of_audience(POLICY, refused(POLICY)))
    assert ticks(html) == {"analytics": False, "audience": False, "media": False}
    assert "You refused all purposes that are not strictly necessary." in html


def test_a_site_without_it_says_what_it_said() -> None:
    html = shown(of_audience(BEFORE))
    assert "without consent" not in html
    assert "without your consent" not in html


def test_where_a_service_refuses_it_nothing_is_said_of_it() -> None:
    data = exempt_data()
    data["services"]["whois"]["purposes"]["audience"] = {"refused": True}
    policy = policy_of(data)
    html = shown(of_audience(policy.under(policy.services[0])))
    assert ticks(html) == {"analytics": False, "media": False}
    assert "without your consent" not in html


def question(decision: Decision, *, again: bool = False) -> str:
    return Pages().banner(decision, asking=Asking(again=again), **PLACE).decode()


def test_the_question_tells_of_it_and_neither_asks_for_it_nor_ticks_it() -> None:
    html = question(of_audience(POLICY))
    assert "for: analytics and media?" in html
    assert "Runs without consent until you object under “Privacy settings”: audience." in html
    assert ticks(html) == {"analytics": False, "media": False}
    assert "without consent" not in question(of_audience(BEFORE))


def test_who_calls_for_the_answers_can_object_there() -> None:
    html = question(of_audience(POLICY), again=True)
    assert ticks(html) == {"analytics": False, "audience": True, "media": False}
    assert html.count("You can object at any time") == 1
    alone = question(of_audience(ALONE), again=True)
    assert ticks(alone) == {"audience": True}
    assert "pchoice-question" not in alone


@pytest.mark.parametrize("language", ["de", "ja", "ar", "th"])
def test_it_is_told_in_the_visitors_language(language: str) -> None:
    data = full_in("en", language)
    own = replace(
        data.in_force["analytics"], id="audience", exempt="uk_statistics", title={"en": "Audience", language: "X"}
    )
    policy = replace(data, purposes=(*data.purposes, own))
    html = Pages().settings(of_audience(policy), base=PREFIX, language=language)
    text = policy.texts[language]["exempt_uk_statistics"]
    assert isinstance(text, str)
    assert text.replace("'", "&#39;") in re.sub("[\u2068\u2069]", "", html)
    assert "{" not in html


def test_what_is_erased_on_withdrawal_is_said() -> None:
    said = "Kept for 30 days. What was recorded is erased when you withdraw your consent."
    assert said in shown(of_audience(ERASING))
    assert said not in shown(of_audience(BEFORE))


# Receipts.


def test_a_receipt_gives_it_another_lawful_basis_than_consent() -> None:
    for record, objected in ((granted(POLICY), "NotObjected"), (refused(POLICY), "Objected")):
        made = receipt(document(record, timedelta(days=180)), POLICY, PREFIX)
        assert purpose_of(made, "audience")["lawful_basis"] == "dpv:LegitimateInterest"
        assert purpose_of(made, "media")["lawful_basis"] == "dpv:Consent"
        (event,) = (event for event in made["events"] if "audience" in event["purposes"])
        assert (event["event_type"], event["event_state"], event["purposes"]) == (
            "dpv:LegitimateInterest", f"dpv:LegitimateInterest{objected}", ["audience"],
        )  # fmt: skip


# A site.


def test_a_visitor_objects_and_comes_back() -> None:
    visitor = Visitor(install(text=SITE + TABLE))
    assert visitor.state()["purposes"]["audience"] is True
    assert visitor.state()["status"] == "unknown"
    visitor.refuse()
    assert visitor.state()["purposes"]["audience"] is False
    visitor.save(audience=True)
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "audience": True, "media": False}
    visitor.save(media=True)
    assert visitor.state()["purposes"]["audience"] is False


def test_an_answer_that_cannot_be_read_counts_as_an_objection() -> None:
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
def test_an_error_while_deciding_switches_it_off() -> None:
    app = install(text=SITE + TABLE)
    visits = app._installed.visits

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    visits._own_cookies = Broken()  # type: ignore[assignment]
    decision = visits.read({"headers": [], "scheme": "https"}, "/").decision
    assert decision.purposes == {"necessary": True, "analytics": False, "audience": False, "media": False}


def test_who_checks_a_policy_is_told_when_somebody_has_to_look_at_the_law_again() -> None:
    names, last = ["cnil_audience", "uk_statistics"], max(known.review_by for known in exemptions().values())
    assert overdue(names, last - timedelta(days=400)) == ""
    told = overdue(names, last + DAYS).splitlines()
    assert len(told) == 2
    assert told[0].startswith('What the exemption "cnil_audience" allows was last compared with the law on 20')
