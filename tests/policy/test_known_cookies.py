"""Tests of whose a cookie usually is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cookie_consent.policy.vendors import _known_cookies, known_cookie, vendors
from tests.support.documentation import ROOT
from tests.support.policies import recipient


@pytest.mark.parametrize(
    ("name", "vendor", "purpose"),
    [
        ("_ga", "Google", "analytics"),
        ("_ga*", "Google", "analytics"),
        ("_ga_JX2K1", "Google", "analytics"),
        ("_gid", "Google", "analytics"),
        ("_gac_UA-1", "Google", "ads"),
        ("_gcl_au", "Google", "ads"),
        ("_fbp", "Meta", "ads"),
        ("_uetsid", "Microsoft", "ads"),
        ("_clck", "Microsoft", "analytics"),
        ("_hjSession_1", "Hotjar", "analytics"),
        ("_pk_id.1.1fff", "Matomo", "analytics"),
        ("ph_phc_x_posthog", "PostHog", "analytics"),
        ("ajs_anonymous_id", "Segment", "analytics"),
    ],
)
def test_table_knows_vendor_and_usual_purpose(name: str, vendor: str, purpose: str) -> None:
    found = known_cookie(name)
    assert found is not None
    assert (found.vendor, found.purpose) == (vendor, purpose)


@pytest.mark.parametrize("name", ["session", "sessionid", "csrftoken", "lang", "ga", "_g", "mtm_consent_removed", ""])
def test_cookie_of_nobody_in_particular_is_not_known(name: str) -> None:
    assert known_cookie(name) is None


def test_each_name_stands_in_the_table_once() -> None:
    names = [cookie.name for cookie in _known_cookies()]
    assert len(names) == len({*names})


def test_cookies_that_recipes_of_vendors_declare_are_known_or_necessary() -> None:
    text = (ROOT / "docs" / "vendors.md").read_text(encoding="utf-8")
    declared = re.findall(r'\[\[cookies\]\]\nname = "([^"]+)"\npurpose = "([^"]+)"', text)
    assert len(declared) > len(vendors())
    assert {(name, known.purpose if (known := known_cookie(name)) else "necessary") for name, _ in declared} == {
        *declared
    }


def test_vendor_is_known_by_name_or_origin() -> None:
    google = known_cookie("_ga")
    assert google is not None
    named = replace(recipient("tags", "analytics"), name="Google Ireland Limited")
    reached = recipient("tags", "analytics", "https://stats.g.doubleclick.net")
    other = recipient("maps", "analytics", "https://maps.example.com")
    assert google.is_of([other, named])
    assert google.is_of([reached])
    assert not google.is_of([other])
    assert not google.is_of([])
