"""Tests of what our tags may do under Content-Security-Policies: their nonces and inline styles."""

from __future__ import annotations

import pytest

from cookie_consent.enforcement.csp.parsing import has_policy, header_policies
from cookie_consent.enforcement.csp.tags import allows_inline_style, nonces

ENFORCED, REPORTED = b"content-security-policy", b"content-security-policy-report-only"


@pytest.mark.parametrize("name", [ENFORCED, REPORTED, b"Content-Security-Policy"])
def test_policy_is_found_in_any_case_and_if_report_only(name: bytes) -> None:
    assert has_policy([(b"x", b"y"), (name, b"")])
    assert not has_policy([(b"x-" + name, b"img-src x")])


# Nonces of the app.


@pytest.mark.parametrize(
    ("field", "script", "style"),
    [
        (b"script-src 'nonce-abc'; style-src 'self' 'nonce-xyz'", "abc", "xyz"),
        (b"default-src 'nonce-abc'", "abc", "abc"),
        (b"default-src 'nonce-abc'; script-src 'self'", "", "abc"),
        (b"script-src 'nonce-abc'; script-src-elem 'nonce-elem'; style-src-elem 'nonce-xyz'", "elem", "xyz"),
        (b"script-src 'nonce-abc'; script-src-elem 'self'", "", ""),
        (b"script-src-attr 'nonce-abc'; img-src 'nonce-abc'", "", ""),
        (b"script-src 'nonce-one' 'nonce-two'", "one", ""),
        (b"script-src 'self'; script-src 'nonce-late'", "", ""),
        (b"SCRIPT-Src\t'NONCE-aBc'", "aBc", ""),
        (b"script-src 'self', script-src 'nonce-abc'", "abc", ""),
        (b"script-src 'nonce-aZ09+/-_=='", "aZ09+/-_==", ""),
        (b"script-src 'nonce-abc'junk; style-src x'nonce-abc'", "", ""),
        (b"style-src-elem 'nonce-elem'; style-src 'nonce-xyz'", "", "elem"),
        (b"style-src 'nonce-xyz'", "", "xyz"),
        (b"script-src 'nonce-'", "", ""),
        (b"script-src 'nonce-==='", "", ""),
        (b"script-src 'nonce-abc==='", "", ""),
        (b"script-src 'nonce-a=b'", "", ""),
        (b"script-src nonce-abc", "", ""),
        (b"script-src 'nonce-a\"b'", "", ""),
        (b"script-src 'nonce-a&b' 'nonce-<b>' 'nonce-good'", "good", ""),
        (b"script-src 'nonce-abc' \xe9", "", ""),
        (b"script-src\x0b'nonce-abc'", "", ""),
        (b"", "", ""),
    ],
)
def test_first_nonce_of_effective_directive_is_used(field: bytes, script: str, style: str) -> None:
    assert nonces([(b"x", b"script-src 'nonce-no'"), (b"Content-Security-Policy", field)]) == (script, style)


def test_enforced_nonce_precedes_report_only_nonce() -> None:
    reported = (REPORTED, b"script-src 'nonce-reported'; style-src 'nonce-reported'")
    headers = [reported, (ENFORCED, b"script-src 'self'"), (ENFORCED, b"script-src 'nonce-enforced'")]
    assert nonces(headers) == ("enforced", "reported")


# Whether a page may have a <style> element.


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
        ([b"default-src 'none'"], None),
        ([b"default-src 'none'; style-src 'unsafe-inline'"], ""),
        ([b"style-src 'unsafe-inline'; style-src-elem 'self'"], None),
        ([b"style-src 'unsafe-inline' 'sha256-abc='"], None),
        ([b"style-src 'unsafe-inline' 'nonce-abc'"], "abc"),
        ([b"default-src 'nonce-abc' 'nonce-def'"], "abc"),
        ([b"style-src 'nonce-abc'; script-src 'nonce-def'"], "abc"),
        ([b"style-src 'nonce-abc'", b"default-src 'self'"], None),
        ([b"style-src 'nonce-abc', default-src 'self'"], None),
        ([b"style-src 'nonce-abc'", b"default-src 'nonce-abc'; script-src 'self'"], "abc"),
        ([b"style-src 'nonce-abc'", b"style-src 'nonce-def'"], None),
        ([b"style-src 'nonce-abc'", b"style-src 'unsafe-inline'"], "abc"),
        ([b"style-src 'unsafe-inline'", b"script-src 'none'"], ""),
    ],
)
@pytest.mark.parametrize("name", [ENFORCED, REPORTED, b"Content-Security-Policy"])
def test_style_element_needs_nonce_that_all_policies_allow(fields: list[bytes], nonce: str | None, name: bytes) -> None:
    headers = [(b"x", b"style-src 'none'"), *((name, field) for field in fields)]
    _, given = nonces(headers)
    assert (given if allows_inline_style(header_policies(headers), given) else None) == nonce
