"""Tests of what the laws of a region ask the policy in force to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent import Policy, PolicyError
from cookie_consent.policy.policy import policy_in_use
from cookie_consent.policy.regions import regions
from tests.support.policies import full_policy_data, policy_of, purpose, site, small_policy, write_policy_file

DATA = {"en": "Address", "ja": "アドレス"}


def in_region(region: str) -> dict[str, Any]:
    """Return the data of a policy file that says all that any region asks for, in one region."""
    data = full_policy_data()
    data["site"]["regions"] = [region]
    for part in data["purposes"].values():
        part["data"] = DATA
    return data


def test_each_region_has_name_sources_and_review_date() -> None:
    assert regions().keys() == {"EU", "GB", "JP"}
    for region in regions().values():
        assert region.name
        assert all(region.sources)
        assert date(2026, 11, 1) < region.reviewed_on
        assert {*region.purposes} <= {"data", "legal_basis"}
        assert {*region.recipients} <= {"country", "use"}


@pytest.mark.parametrize(
    ("region", "place", "message"),
    [
        (
            "JP",
            ("recipients", 0, "country"),
            "law of Japan asks for this key (APPI, Article 28). Write where it handles",
        ),
        ("JP", ("recipients", 0, "use"), 'Say what the recipient uses the data for, as in use = { ja = "…" }.'),
        ("EU", ("recipients", 0, "country"), 'as in country = "US".'),
        ("EU", ("purposes", "media", "data"), 'Say which kinds of data it uses, as in data = { ja = "…" }.'),
        ("GB", ("recipients", 0, "country"), "law of the United Kingdom"),
    ],
)
def test_policy_in_force_without_key_of_region_is_rejected(
    tmp_path: Path, region: str, place: tuple[str, Any, str], message: str
) -> None:
    table, part, key = place
    data = in_region(region)
    assert policy_in_use(policy_of(data)).site.regions == (region,)
    del data[table][part][key]
    path = write_policy_file(tmp_path, data)
    with pytest.raises(PolicyError) as caught:
        policy_in_use(path)
    label = '[[recipients]] "example-maps"' if table == "recipients" else f"[purposes.{part}]"
    assert str(caught.value).startswith(f'{path}: {label} key "{key}": the law of ')
    assert message in str(caught.value)


def test_earlier_policy_may_lack_key_of_region() -> None:
    old = in_region("JP")
    del old["recipients"][0]["country"]
    assert policy_in_use(policy_of(in_region("JP")), [policy_of(old)]).history


def test_region_asks_nothing_of_necessary_and_consented_purposes() -> None:
    """The package itself writes the necessary purpose, and consent is the legal basis of a purpose that asks for it."""
    own = replace(purpose("media"), data={"en": "Address"})
    policy = small_policy(site=replace(site(), regions=("EU",)), purposes=(own,))
    assert policy_in_use(policy) is policy


def test_site_without_region_needs_no_further_keys() -> None:
    policy = Policy(site=site(), purposes=(purpose("media"), purpose("analytics", traces=True, days=30)))
    assert policy_in_use(policy).purposes[-1].retention == timedelta(days=30)
