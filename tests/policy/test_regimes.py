"""Tests of regimes in a policy: what they are, how a policy names them, and what they ask of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cookie_consent import Policy, PolicyError
from cookie_consent.decision.cookie_settings import consent_lifetime
from cookie_consent.policy.policy import policy_in_use
from cookie_consent.policy.regimes import overdue, regimes, strictest
from cookie_consent.visitors.pages.rendering import checked_later
from tests.support.policies import full_policy_data, policy_of

CODES = {"eu", "fr", "de", "it", "uk", "us-optout", "jp", "br", "ca-qc"}


def under(regime: str, **by_place: str) -> dict[str, Any]:
    """Return the data of a policy file with a regime, and others by place; "_" in a place stands for "-"."""
    data = full_policy_data()
    data["site"]["regime"] = regime
    if by_place:
        data["site"]["regimes"] = {place.replace("_", "-"): code for place, code in by_place.items()}
    return data


def test_each_regime_is_dated_and_has_law_sources_and_certainty() -> None:
    assert regimes().keys() == CODES
    for regime in regimes().values():
        assert regime.name
        assert regime.law
        assert regime.sources
        assert all(regime.sources)
        assert date(2026, 11, 1) < regime.reviewed_on < regime.review_by
        assert regime.certainty in {"primary", "secondary"}
        assert regime.model in {"opt-in", "opt-out"}
        assert {*regime.binding_signals} <= {"gpc", "dnt"}
        assert regime.transmission_notice == bool(regime.notice_language)


def test_policy_knows_its_regimes_the_one_for_all_other_places_first() -> None:
    policy = policy_in_use(policy_of(under("eu", US="us-optout", CA_QC="ca-qc", FR="eu")))
    assert policy.regime is regimes()["eu"]
    assert [regime.code for regime in policy.regimes] == ["eu", "us-optout", "ca-qc"]
    assert not policy.is_opt_out
    there = policy.in_regime(regimes()["us-optout"])
    assert there.is_opt_out
    assert there.version == policy.version
    assert policy.in_regime(regimes()["eu"]) is policy
    assert there.under(there.services[0]).is_opt_out


def test_policy_without_regime_has_the_version_that_it_had() -> None:
    policy = policy_of(full_policy_data())
    assert (policy.regime, policy.regimes, policy.is_opt_out) == (None, (), False)
    assert not {"regime", "regimes"} & policy.document()["site"].keys()
    assert policy_of(under("eu")).version != policy.version


def test_policy_with_regimes_is_read_again_from_its_document() -> None:
    policy = policy_of(under("eu", JP="jp"))
    assert Policy.from_document(policy.document()).version == policy.version


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (under("us-out"), 'there is no regime "us-out" here. Did you mean "us-optout"?'),
        (under("eu", US="us"), 'key "regimes.US": there is no regime "us" here'),
        (under("eu", USA="us-optout"), '"USA" is no country, and no part of one. Write codes of ISO 3166'),
        (under("eu", us="us-optout"), '"us" is no country'),
        (under("eu", XX="us-optout"), '"XX" is no country'),
        (under("", US="us-optout"), "the regime for all other places is missing"),
    ],
)
def test_wrong_regime_stops_the_start(data: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data)
    assert message in str(caught.value)


def test_regimes_have_to_be_a_table() -> None:
    with pytest.raises(PolicyError, match="is no table"):
        policy_of({**under("eu"), "site": {**under("eu")["site"], "regimes": ["jp"]}})


@pytest.mark.parametrize("data", [under("us-optout"), under("eu", US="us-optout")])
def test_policy_cannot_ignore_a_binding_signal(data: dict[str, Any]) -> None:
    data["signals"] = {"gpc": "ignore"}
    with pytest.raises(PolicyError, match="no site may ignore Sec-GPC under the law of states of the USA"):
        policy_in_use(policy_of(data))
    data["site"]["regime"], data["site"]["regimes"] = "eu", {}
    assert policy_in_use(policy_of(data))


def test_notice_of_transmission_needs_the_use_of_each_recipient_and_its_language() -> None:
    data = under("eu", JP="jp")
    assert policy_in_use(policy_of(data)).tells_transmission
    del data["recipients"][0]["use"], data["site"]["regions"]  # a region asks for the same key
    problem = r'"example-maps" key "use": the law of Japan asks for this key \(Telecommunications Business Act'
    with pytest.raises(PolicyError, match=problem):
        policy_in_use(policy_of(data))
    english = full_policy_data()["site"] | {"languages": ["en"], "prevailing_language": "en", "regime": "jp"}
    del english["authority"]
    with pytest.raises(PolicyError, match='asks for a page in the language "ja"'):
        policy_in_use(policy_of({"site": english}))


@pytest.mark.parametrize(("code", "days"), [("eu", 184), ("fr", 184), ("it", 184), ("us-optout", 366)])
def test_answers_last_as_long_as_the_strictest_regime_asks(code: str, days: int) -> None:
    policy = policy_of(under("eu", FR=code))
    assert consent_lifetime(None, policy) == timedelta(days=days)


@pytest.mark.parametrize(("code", "days"), [("it", 100), ("us-optout", 200)])
def test_shorter_answers_than_a_regime_asks_for_stop_the_start(code: str, days: int) -> None:
    with pytest.raises(ValueError, match="is not asked again for"):
        consent_lifetime(days, policy_of(under("eu", IT=code)))
    assert consent_lifetime(days, policy_of(under("eu"))) == timedelta(days=days)


def test_closing_has_to_refuse_where_the_law_says_so() -> None:
    with pytest.raises(ValueError, match='write later="refuse"'):
        checked_later("ask", policy_of(under("eu", IT="it")))
    assert checked_later("refuse", policy_of(under("eu", IT="it"))) == "refuse"
    assert checked_later("ask", policy_of(under("eu"))) == "ask"


def test_strictest_regime_is_one_of_opting_in() -> None:
    known = regimes()
    assert strictest([known["us-optout"], known["de"], known["eu"]]) is known["de"]
    assert strictest([known["us-optout"], known["jp"]]) is known["us-optout"]


def test_overdue_review_is_told() -> None:
    (line,) = overdue([regimes()["de"]], date(2030, 1, 1)).splitlines()
    assert line.startswith('What the regime "de" says was last compared with the law on 2026-11-28.')
    assert overdue(regimes().values(), date(2026, 12, 1)) == ""
