"""Tests of what our tags may do under Content-Security-Policies: their nonces, and whether they are inline."""

from __future__ import annotations

import pytest

from cookie_consent.http.tags import NO_RULES, rules_in, tag_rules

ENFORCED, REPORTED = b"content-security-policy", b"content-security-policy-report-only"


@pytest.mark.parametrize(
    ("field", "script", "style"),
    [
        (b"script-src 'nonce-abc'; style-src 'self' 'nonce-xyz'", "abc", "xyz"),
        (b"default-src 'nonce-abc'", "abc", "abc"),
        (b"default-src 'nonce-abc'; script-src 'self'", "", "abc"),
        (b"script-src 'nonce-abc'; script-src-elem 'nonce-elem'; style-src-elem 'nonce-xyz'", "elem", "xyz"),
        (b"script-src-attr 'nonce-abc'; img-src 'nonce-abc'", "", ""),
        (b"script-src 'nonce-one' 'nonce-two'", "one", ""),
        (b"script-src 'self'; script-src 'nonce-late'", "", ""),
        (b"SCRIPT-Src\t'NONCE-aBc'", "aBc", ""),
        (b"script-src 'self', script-src 'nonce-abc'", "abc", ""),
        (b"script-src 'nonce-aZ09+/-_=='", "aZ09+/-_==", ""),
        (b"script-src 'nonce-'; style-src 'nonce-==='", "", ""),
        (b"script-src 'nonce-a\"b'", "", ""),
        (b"script-src 'nonce-a&b' 'nonce-<b>' 'nonce-good'", "good", ""),
        (b"", "", ""),
    ],
)
def test_first_nonce_of_effective_directive_is_used(field: bytes, script: str, style: str) -> None:
    rules = tag_rules([(b"x", b"script-src 'nonce-no'"), (b"Content-Security-Policy", field)])
    assert (rules.script_nonce, rules.style_nonce) == (script, style)


def test_enforced_nonce_precedes_report_only_nonce() -> None:
    reported = (REPORTED, b"script-src 'nonce-reported'; style-src 'nonce-reported'")
    headers = [reported, (ENFORCED, b"script-src 'self'"), (ENFORCED, b"script-src 'nonce-enforced'")]
    rules = tag_rules(headers)
    assert (rules.script_nonce, rules.style_nonce) == ("enforced", "reported")


@pytest.mark.parametrize(
    ("fields", "nonce"),
    [
        ([], ""),
        ([b""], ""),
        ([b"script-src 'self'; style-src-attr 'none'"], ""),
        ([b"style-src 'self' 'unsafe-inline'"], ""),
        ([b"default-src 'UNSAFE-INLINE'"], ""),
        ([b"style-src 'self'"], None),
        ([b"style-src"], None),
        ([b"default-src 'none'; style-src 'unsafe-inline'"], ""),
        ([b"style-src 'unsafe-inline'; style-src-elem 'self'"], None),
        ([b"style-src 'unsafe-inline' 'sha256-abc='"], None),
        ([b"style-src 'unsafe-inline' 'nonce-abc'"], "abc"),
        ([b"style-src 'nonce-abc'; script-src 'nonce-def'"], "abc"),
        ([b"style-src 'nonce-abc'", b"default-src 'self'"], None),
        ([b"style-src 'nonce-abc', default-src 'self'"], None),
        ([b"style-src 'nonce-abc'", b"default-src 'nonce-abc'; script-src 'self'"], "abc"),
        ([b"style-src 'nonce-abc'", b"style-src 'nonce-ABC'"], None),
    ],
)
@pytest.mark.parametrize("name", [ENFORCED, REPORTED, b"Content-Security-Policy"])
def test_style_element_needs_nonce_that_all_policies_allow(fields: list[bytes], nonce: str | None, name: bytes) -> None:
    rules = tag_rules([(b"x", b"style-src 'none'"), *((name, field) for field in fields)])
    assert (rules.style_nonce if rules.inline_style else None) == nonce


@pytest.mark.parametrize(
    ("field", "is_allowed"),
    [
        (b"img-src 'none'", True),
        (b"default-src 'self'", True),
        (b"script-src 'nonce-abc' 'strict-dynamic'", True),
        (b"script-src 'self' 'strict-dynamic'", False),
        (b"script-src 'none'", False),
    ],
)
def test_script_of_the_site_is_allowed_by_self_or_a_nonce(field: bytes, is_allowed: bool) -> None:
    assert rules_in(field).own_script is is_allowed


def test_page_is_plain_if_our_tags_are_as_without_a_policy() -> None:
    assert NO_RULES.is_plain
    assert rules_in(b"default-src 'self'; style-src 'unsafe-inline'").is_plain
    assert not rules_in(b"default-src 'self'").is_plain
    assert not rules_in(b"script-src 'nonce-abc'").is_plain
    assert rules_in(b"img-src a" + b" https://a.example" * 400).is_plain
