"""Tests of the option `csp` and of what it means together with `edit_csp` and the policy file."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.enforcement.csp.modes import checked_mode
from tests.support.asgi import SITE, policy

WITH_TEXT = SITE + "\n[security]\ncontent_security_policy = \"default-src 'self'\"\n"


@pytest.mark.parametrize(
    ("csp", "edit_csp", "text", "mode"),
    [
        (None, False, SITE, ""),
        (None, True, SITE, "edit"),
        ("edit", True, SITE, "edit"),
        ("edit", False, SITE, "edit"),
        ("enforce", False, SITE, "enforce"),
        ("report", False, SITE, "report"),
        (None, False, WITH_TEXT, "enforce"),
        ("enforce", False, WITH_TEXT, "enforce"),
        ("report", False, WITH_TEXT, "report"),
        (None, False, f"{SITE}\n[security]\nconnection_allowlist = []\n", "enforce"),
    ],
)
def test_policy_file_with_a_policy_is_enforced_unless_an_option_says_more(
    csp: Any, edit_csp: Any, text: str, mode: str
) -> None:
    assert checked_mode(csp, policy(text), edit_csp=edit_csp) == mode


@pytest.mark.parametrize(
    ("csp", "edit_csp", "text", "advice"),
    [
        ("off", False, SITE, "csp: 'off' is not valid"),
        (["edit"], False, SITE, "csp: .* is not valid"),
        (None, 1, SITE, "edit_csp: 1 is not valid"),
        ("enforce", True, SITE, "contradicts edit_csp=True"),
        ("report", True, SITE, "contradicts edit_csp=True"),
        ("edit", False, WITH_TEXT, 'csp: .* which only "enforce" and "report" send'),
        (
            "edit",
            False,
            f"{SITE}\n[security]\nconnection_allowlist = []\n",
            'csp: .* which only "enforce" and "report"',
        ),
        (None, True, WITH_TEXT, 'edit_csp: .* which only "enforce" and "report" send'),
    ],
)
def test_contradiction_stops_the_start(csp: Any, edit_csp: Any, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        checked_mode(csp, policy(text), edit_csp=edit_csp)
