"""Tests of the vendors' data file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cookie_consent.policy.vendors import Vendor, vendors

EACH = pytest.mark.parametrize("vendor", vendors().values(), ids=vendors().keys())


def calls(vendor: Vendor) -> list[list[Any]]:
    """Return all calls of a vendor."""
    optional = vendor.default.get("if_option", {}).values()
    named = [lists for part in (vendor.default, vendor.update) for when, lists in part.items() if when != "if_option"]
    return [call for lists in [*named, *optional] for call in lists]


def test_catalog_has_the_vendors_of_the_documentation() -> None:
    assert set(vendors()) == {
        *("google_consent_mode", "microsoft_uet", "microsoft_clarity", "meta_pixel", "tiktok", "linkedin"),
        *("pinterest", "matomo", "plausible", "posthog", "hotjar", "segment"),
    }


@EACH
def test_vendor_says_where_it_was_read_and_when(vendor: Vendor) -> None:
    assert vendor.sources
    assert all(source.startswith("https://") for source in vendor.sources)
    assert vendor.read_on <= date(2026, 12, 31)


@EACH
def test_vendor_is_either_told_something_or_has_a_note(vendor: Vendor) -> None:
    if vendor.gate_only:
        assert not calls(vendor)
        assert "loaded only once its purpose is allowed" in vendor.note
    else:
        assert calls(vendor)
        assert vendor.stub


@EACH
def test_calls_go_to_the_stub(vendor: Vendor) -> None:
    stub = vendor.stub.get("function") or vendor.stub.get("array")
    assert {call[0].partition(".")[0] for call in calls(vendor)} <= {stub}


@EACH
def test_vendor_hears_of_a_grant_as_much_as_of_a_withdrawal(vendor: Vendor) -> None:
    assert ("granted" in vendor.update) == ("denied" in vendor.update)


def test_google_has_all_its_signals() -> None:
    google = vendors()["google_consent_mode"]
    assert tuple(google.signals) == (
        *("ad_storage", "ad_user_data", "ad_personalization", "analytics_storage"),
        *("functionality_storage", "personalization_storage", "security_storage"),
    )
