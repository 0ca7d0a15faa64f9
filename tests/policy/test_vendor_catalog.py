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


@pytest.mark.requirement("VC-01")
@EACH
def test_vendor_has_sources_and_calls_that_go_to_its_stub(vendor: Vendor) -> None:
    assert vendor.sources
    assert all(source.startswith("https://") for source in vendor.sources)
    assert vendor.read_on <= date(2026, 12, 31)
    assert bool(calls(vendor)) is not vendor.gate_only
    assert ("loaded only once its purpose is allowed" in vendor.note) or not vendor.gate_only
    stub = vendor.stub.get("function") or vendor.stub.get("array")
    assert {call[0].partition(".")[0] for call in calls(vendor)} <= {stub}
    assert ("granted" in vendor.update) == ("denied" in vendor.update)
