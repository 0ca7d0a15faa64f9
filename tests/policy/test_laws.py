"""Tests of the laws that a policy names: what they are, and what they ask of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cookie_consent import Policy, PolicyError
from cookie_consent.policy.laws import is_place, laws, overdue
from cookie_consent.policy.policy import policy_in_use
from tests.support.policies import full_policy_data, policy_of, purpose, site, small_policy, write_policy_file

CODES = {"eu", "fr", "de", "it", "uk", "us-optout", "jp", "jp-optout", "br", "ca-qc"}
DATA = {"en": "Address", "ja": "アドレス"}


def under(*codes: str) -> dict[str, Any]:
    """Return the data of a policy file that names laws, and says all that any of them asks for."""
    data = full_policy_data()
    data["site"]["laws"] = [*codes]
    for part in data["purposes"].values():
        part["data"] = DATA
    return data


@pytest.mark.requirement("EU-30")
def test_each_law_is_dated_and_has_places_provisions_sources_and_certainty() -> None:
    assert laws().keys() == CODES
    for law in laws().values():
        assert law.name
        assert law.provisions
        assert all(law.sources)
        assert law.places
        assert all(map(is_place, law.places))
        assert date(2026, 11, 1) < law.reviewed_on < law.review_by
        assert law.certainty in {"primary", "secondary"}
        assert law.model in {"opt-in", "opt-out"}
        assert {*law.binding_signals} <= {"gpc", "dnt"}
        assert {*law.purposes} <= {"data"}
        assert {*law.recipients} <= {"country", "use"}


@pytest.mark.requirement("BR-01")
def test_policy_is_under_the_first_law_of_opting_in_or_that_of_a_place() -> None:
    policy = policy_in_use(policy_of(under("us-optout", "eu", "ca-qc")))
    assert policy.law is laws()["eu"]
    assert [law.code for law in policy.laws] == ["us-optout", "eu", "ca-qc"]
    assert (policy.is_opt_out, policy.is_by_country) == (False, True)
    there = policy.under_law(laws()["us-optout"])
    assert there.is_opt_out
    assert there.version == policy.version
    assert policy.under_law(laws()["eu"]) is policy
    assert there.under(there.services[0]).is_opt_out


@pytest.mark.requirement("EU-01")
def test_laws_of_opting_in_hold_everywhere() -> None:
    assert not policy_of(under("eu", "jp")).is_by_country
    only = policy_of(under("us-optout"))
    assert (only.law, only.is_opt_out) == (None, False)


def test_policy_with_laws_is_read_again_from_its_document() -> None:
    policy = policy_of(under("eu", "jp"))
    assert Policy.from_document(policy.document()).version == policy.version


def test_unknown_law_stops_the_start() -> None:
    with pytest.raises(PolicyError, match=r"'us-out' is no law here. Did you mean \"us-optout\"\?"):
        policy_of(under("us-out"))


@pytest.mark.requirement("US-02")
def test_policy_cannot_ignore_a_binding_signal() -> None:
    data = under("eu", "us-optout")
    data["signals"] = {"gpc": "ignore"}
    with pytest.raises(PolicyError, match="no site may ignore Sec-GPC under the law of states of the USA"):
        policy_in_use(policy_of(data))
    data["site"]["laws"] = ["eu"]
    assert policy_in_use(policy_of(data))


@pytest.mark.requirement("EU-04", "JP-02")
@pytest.mark.parametrize(
    ("law", "place", "message"),
    [
        ("jp", ("recipients", 0, "country"), "law of Japan asks for this key (APPI, Article 28). Write where it"),
        ("jp", ("recipients", 0, "use"), 'Say what the recipient uses the data for, as in use = { ja = "…" }.'),
        ("eu", ("recipients", 0, "country"), 'as in country = "US".'),
        ("eu", ("purposes", "media", "data"), 'Say which kinds of data it uses, as in data = { ja = "…" }.'),
        ("uk", ("recipients", 0, "country"), "law of the United Kingdom"),
    ],
)
def test_policy_in_force_needs_each_key_that_a_law_asks_for(
    tmp_path: Path, law: str, place: tuple[str, Any, str], message: str
) -> None:
    table, part, key = place
    data = under(law)
    assert policy_in_use(policy_of(data)).site.laws == (law,)
    del data[table][part][key]
    path = write_policy_file(tmp_path, data)
    with pytest.raises(PolicyError) as caught:
        policy_in_use(path)
    label = '[[recipients]] "example-maps"' if table == "recipients" else f"[purposes.{part}]"
    assert str(caught.value).startswith(f'{path}: {label} key "{key}": the law of ')
    assert message in str(caught.value)


def test_earlier_policy_may_lack_what_a_law_asks_for() -> None:
    old = under("jp")
    del old["recipients"][0]["country"]
    assert policy_in_use(policy_of(under("jp")), [policy_of(old)]).history


@pytest.mark.requirement("JP-05")
def test_law_asks_nothing_of_necessary_purposes() -> None:
    own = replace(purpose("media"), data={"en": "Address"})
    policy = small_policy(site=replace(site(), laws=("eu",)), purposes=(own,))
    assert policy_in_use(policy) is policy


def test_site_without_law_needs_no_further_keys() -> None:
    policy = Policy(site=site(), purposes=(purpose("media"), purpose("analytics", traces=True, days=30)))
    assert policy_in_use(policy).law is None


@pytest.mark.requirement("JP-04")
def test_page_on_what_is_sent_needs_its_language() -> None:
    assert policy_in_use(policy_of(under("jp"))).tells_transmission
    english = full_policy_data()["site"] | {"languages": ["en"], "prevailing_language": "en", "laws": ["jp"]}
    del english["authority"]
    with pytest.raises(PolicyError, match='asks for a page in the language "ja"'):
        policy_in_use(policy_of({"site": english}))


def test_overdue_review_is_told() -> None:
    (line,) = overdue([laws()["de"]], date(2030, 1, 1)).splitlines()
    assert line.startswith('What the law "de" asks was last compared with its text on 2026-11-28.')
    assert overdue(laws().values(), date(2026, 12, 1)) == ""
