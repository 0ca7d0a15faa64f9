"""Tests of what our tags may do under Content-Security-Policies: their nonces, and whether they are inline."""

from __future__ import annotations

import pytest

from cookie_consent.http.csp import read_rules
from tests.support.asgi import PHONE, Visitor, install, page_app

BROWSER = [("user-agent", PHONE), ("accept", "text/html")]


@pytest.mark.requirement("CSP-02")
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
    rules = read_rules(field)
    assert (rules.script_nonce, rules.style_nonce) == (script, style)


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
def test_style_element_needs_nonce_that_all_policies_allow(fields: list[bytes], nonce: str | None) -> None:
    rules = read_rules(b",".join(fields))
    assert (rules.style_nonce if rules.inline_style else None) == nonce


def test_markup_is_kept_for_all_pages_and_visitors_that_get_the_same() -> None:
    """A mount path can come from the client: markup below a long one is not kept."""
    app = install(page_app())
    for path in ("/a", "/b?c=1"):
        Visitor(app, BROWSER).get(path)
    assert len(app._site.pieces_kept) == 1
    Visitor(app, BROWSER).get("/a", root_path=f"/{'x' * 300}")
    assert len(app._site.pieces_kept) == 1
    Visitor(app, BROWSER).get("/a", root_path="/x")
    assert len(app._site.pieces_kept) == 2
