"""Tests of the banner in Firefox: an answer, the settings in place and a withdrawal, under a strict policy."""

from __future__ import annotations

import pytest

from tests.support.browsers.firefox import Firefox
from tests.support.browsers.visitor_browser import Sites

pytestmark = [pytest.mark.browser, pytest.mark.full_matrix]

TEMPLATES = "Array.from(document.querySelectorAll('main > p[id]'), (it) => it.id)"
VIOLATIONS = "sessionStorage.violations ?? ''"
POSITION = "getComputedStyle(document.querySelector('.pchoice')).position"
STATUS = "fetch('../privacy-choices/state').then((reply) => reply.json()).then((state) => state.status)"


@pytest.mark.requirement("CSP-01")
def test_banner_and_settings_work_under_strict_content_security_policy(firefox: Firefox, house: Sites) -> None:
    firefox.go(f"{house.address}/governed/trusted%20types")
    firefox.wait_for(f"{POSITION} === 'fixed'")
    firefox.evaluate("document.querySelector('.pchoice [value=media]').click()")
    firefox.answer("save")
    assert firefox.evaluate(TEMPLATES) == ["media"]
    assert firefox.evaluate(STATUS) == "partial"
    firefox.go(f"{house.address}/governed/trusted%20types")
    firefox.wait_for("window.consent?.allows('media')")
    firefox.evaluate("consent.show()")
    firefox.answer("refuse_all")
    firefox.wait_for(f"document.readyState === 'complete' && !({TEMPLATES}).length")
    assert firefox.evaluate(STATUS) == "refused"
    assert firefox.evaluate(VIOLATIONS) == ""
