"""Tests of how a page brings the banner's stylesheet and script, by what its Content-Security-Policies allow."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import ASGIApp

from cookie_consent.pages.assets import assets
from tests.support.asgi import PREFIX, Reply, call, install, reply_app

HTML = [("accept", "text/html"), ("user-agent", "Mozilla/5.0")]
ADDRESS = f"{PREFIX}/assets/{assets()['choices.css'].name}"
SCRIPT = f"{PREFIX}/assets/{assets()['choices.js'].name}"
TEXT = assets()["choices.css"].content.decode().strip()
LINK = f'<link rel="stylesheet" href="{ADDRESS}">'
CSP, REPORT = "content-security-policy", "content-security-policy-report-only"


def page_app(*policies: tuple[str, str], head: str = "", body: str = "<body>") -> ASGIApp:
    page = f'<!doctype html><html lang="en"><head><title>t</title>{head}</head>{body}<h1>Hello</h1></body></html>'
    return reply_app(page.encode(), "text/html", headers=list(policies))


def style_of(app: ASGIApp, *headers: tuple[str, str], **options: Any) -> str:
    """Return how a page brings the stylesheet, the same on the first, the second and the third request.

    That is "inline", or "deferred" with a link for browsers without scripts, or "deferred, no script" with one for all.
    """
    site = install(app, settings_link=True, **options)
    found = {_style_in(call(site, headers=[*HTML, *headers])) for _ in range(3)}
    assert len(found) == 1
    return found.pop()


def _style_in(reply: Reply) -> str:
    text, end = reply.text, reply.text.rpartition("</h1>")[2]
    assert int(reply.get("content-length")) == len(reply.body)
    if "<style" in text:
        assert f">{TEXT}</style>\n<section class=" in text
        assert "<link" not in text
        assert 'hidden="until-styled"' not in text
        return "inline"
    assert text.count('<link rel="stylesheet" media="print" class="pchoice-style" href="') == 1
    assert '<section class="pchoice pchoice-corner pchoice-part" hidden="until-styled"' in text
    assert end.count(f'<link rel="stylesheet" href="{ADDRESS}"') == 1
    return "deferred" if "<noscript><link" in end else "deferred, no script"


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], "inline"),
        ([(CSP, "script-src 'self'; frame-ancestors 'none'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'; script-src 'nonce-abc'")], "inline"),
        ([(CSP, "default-src 'nonce-abc'")], "inline"),
        ([(CSP, "style-src 'self' 'UNSAFE-INLINE'")], "inline"),
        ([(CSP, "style-src 'none'; style-src-elem 'unsafe-inline'")], "inline"),
        ([(CSP, "default-src 'self'")], "deferred"),
        ([(CSP, "style-src 'self'")], "deferred"),
        ([(CSP, "style-src 'self' 'sha256-abc='")], "deferred"),
        ([(CSP, "style-src 'unsafe-inline' 'sha256-abc='")], "deferred"),
        ([(CSP, "style-src 'unsafe-inline'; style-src-elem 'self'")], "deferred"),
        ([(CSP, "style-src 'self'; script-src https:")], "deferred, no script"),
        ([(CSP, "style-src 'self'; script-src 'nonce-abc' 'strict-dynamic'")], "deferred"),
        ([(CSP, "style-src 'self'; script-src 'self' 'strict-dynamic'")], "deferred, no script"),
        ([(CSP, "style-src 'self'; script-src https://cdn.example")], "deferred, no script"),
        ([(CSP, "style-src 'self'; script-src 'none'")], "deferred, no script"),
        ([(REPORT, "default-src 'self'")], "deferred"),
        ([(REPORT, "style-src 'nonce-abc'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'"), (CSP, "style-src 'self'")], "deferred"),
        ([(CSP, "style-src 'nonce-abc'"), (CSP, "img-src 'self'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'"), (REPORT, "style-src 'nonce-xyz'")], "deferred"),
        ([(CSP, "style-src 'nonce-abc', default-src 'self'")], "deferred"),
    ],
)
def test_policy_of_page_decides_how_stylesheet_comes(policies: list[tuple[str, str]], expected: str) -> None:
    assert style_of(page_app(*policies)) == expected


def script_of(app: ASGIApp, *headers: tuple[str, str], **options: Any) -> str:
    """Return how a page brings the script, the same on the first, the second and the third request.

    That is "early" or "late", and the nonce of its tag.
    """
    site = install(app, settings_link=True, **options)
    found = {_script_in(call(site, headers=[*HTML, *headers]).text) for _ in range(3)}
    assert len(found) == 1
    return found.pop()


def _script_in(text: str) -> str:
    (tag, content) = re.findall(r"<script([^>]*)>([^<]*)</script>", text)[0]
    nonce = "".join(re.findall(r' nonce="(.*?)"', tag))
    if content:
        assert content == f'requestAnimationFrame(() => setTimeout(() => import("{SCRIPT}").catch(() => {{}})))'
        assert tag.startswith(' type="module" async data-choices')
        return f"late {nonce}".strip()
    assert f' src="{SCRIPT}"' in tag
    return f"early {nonce}".strip()


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], "late"),
        ([(CSP, "frame-ancestors 'none'")], "late"),
        ([(CSP, "script-src 'unsafe-inline' 'self'")], "late"),
        ([(CSP, "script-src 'nonce-abc'")], "late abc"),
        ([(CSP, "script-src 'strict-dynamic' 'nonce-abc'")], "late abc"),
        ([(CSP, "script-src 'nonce-abc'; style-src 'self'")], "early abc"),
        ([(CSP, "script-src 'self'")], "early"),
        ([(CSP, "script-src 'self' 'unsafe-inline' 'sha256-abc='")], "early"),
        ([(CSP, "script-src 'unsafe-inline' 'strict-dynamic'")], "early"),
        ([(REPORT, "script-src 'self'")], "early"),
        ([(CSP, "script-src 'nonce-abc'"), (CSP, "script-src 'self'")], "early abc"),
    ],
)
def test_script_is_imported_late_where_both_inline_tags_are_allowed(
    policies: list[tuple[str, str]], expected: str
) -> None:
    assert script_of(page_app(*policies)) == expected


def test_script_comes_early_where_a_policy_may_forbid_the_line_or_a_dialog_needs_it() -> None:
    assert script_of(page_app(head=META.format("script-src 'self'"))) == "early"
    assert script_of(page_app(), csp="enforce") == "late"
    assert script_of(page_app(), layout="modal") == "early"


def test_path_of_a_mount_stays_in_the_text_of_the_line() -> None:
    text = call(install(page_app()), headers=HTML, root_path="/a\"</script>&'").text
    assert 'import("/a\\"\\u003c/script\\u003e\\u0026\\u0027' in text


META = '<meta http-equiv="Content-Security-Policy" content="{}">'


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (META.format("default-src 'self'"), "deferred, no script"),
        ("<META CONTENT='style-src x.example' HTTP-EQUIV=content-security-policy>", "deferred, no script"),
        (META.format("style-src 'unsafe-inline'"), "deferred, no script"),
        ('<meta name="description" content="Policies explained">', "inline"),
    ],
)
def test_under_a_policy_in_a_meta_tag_the_tags_name_files(head: str, expected: str) -> None:
    assert style_of(page_app(head=head)) == expected


def test_meta_tag_counts_beside_header() -> None:
    policy = (CSP, "style-src 'nonce-abc'; script-src 'nonce-abc'")
    assert style_of(page_app(policy)) == "inline"
    assert style_of(page_app(policy, head=META.format("style-src 'nonce-abc'"))) == "deferred, no script"


def test_meta_tag_in_body_does_not_count() -> None:
    assert style_of(page_app(body="<body>" + META.format("default-src 'none'"))) == "inline"


@pytest.mark.parametrize(("destination", "expected"), [("document", "inline"), ("empty", "deferred")])
def test_swapped_page_is_under_policy_of_first_page_with_its_nonce(destination: str, expected: str) -> None:
    field = ("sec-fetch-dest", destination)
    assert style_of(page_app((CSP, "style-src 'self' 'nonce-abc'")), field) == expected
    assert style_of(page_app(), field) == "inline"


def test_style_carries_nonce() -> None:
    text = call(install(page_app((CSP, "style-src 'nonce-a/b=='"))), headers=HTML).text
    assert f'<style class="pchoice-style" data-href="{ADDRESS}" nonce="a/b==">' in text


def test_stylesheet_can_be_inline() -> None:
    """The text is not escaped, and is the same in each encoding."""
    assert "<" not in TEXT
    assert TEXT.isascii()
