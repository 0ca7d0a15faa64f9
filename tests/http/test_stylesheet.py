"""Tests of how a page brings the banner's stylesheet and script, by what its Content-Security-Policies allow."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.pages.assets import assets
from tests.support.asgi import PREFIX, Reply, call, install, reply_app

HTML = [("accept", "text/html"), ("user-agent", "Mozilla/5.0")]
ADDRESS = f"{PREFIX}/assets/{assets()['choices.css'].name}"
SCRIPT = f"{PREFIX}/assets/{assets()['choices.js'].name}"
LINK_ADDRESS = f"{PREFIX}/assets/{assets()['link.css'].name}"
TEXT = assets()["choices.css"].content.decode().strip()
LINK_TEXT = assets()["link.css"].content.decode().strip()
CSP, REPORT = "content-security-policy", "content-security-policy-report-only"


def page_app(*policies: tuple[str, str], head: str = "", body: str = "<body>") -> ASGIApp:
    page = f'<!doctype html><html lang="en"><head><title>t</title>{head}</head>{body}<h1>Hello</h1></body></html>'
    return reply_app(page.encode(), "text/html", headers=list(policies))


def style_of(app: ASGIApp, *headers: tuple[str, str], **options: Any) -> str:
    """Return how a page brings our stylesheets, the same on the first, the second and the third request."""
    site = install(app, settings_link=True, **options)
    found = {_style_in(call(site, headers=[*HTML, *headers])) for _ in range(3)}
    assert len(found) == 1
    return found.pop()


def _style_in(reply: Reply) -> str:
    """Return "inline" or "linked". Both are the last of the head."""
    assert int(reply.get("content-length")) == len(reply.body)
    assert reply.all("link") == []
    head, _, body = reply.text.partition("</head>")
    assert "<style" not in body
    assert "<link" not in body
    styles = re.findall(r"<style[^>]*>([^<]*)</style>$", head)
    links = re.findall(r'<link rel="stylesheet" href="([^"]*)"[^>]*>', head)
    if styles:
        assert (styles, links) == ([TEXT + LINK_TEXT], [])
        return "inline"
    assert links == [ADDRESS, LINK_ADDRESS]
    return "linked"


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], "inline"),
        ([(CSP, "script-src 'self'; frame-ancestors 'none'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'; script-src 'nonce-abc'")], "inline"),
        ([(CSP, "default-src 'nonce-abc'")], "inline"),
        ([(CSP, "style-src 'self' 'UNSAFE-INLINE'")], "inline"),
        ([(CSP, "style-src 'none'; style-src-elem 'unsafe-inline'")], "inline"),
        ([(CSP, "default-src 'self'")], "linked"),
        ([(CSP, "style-src 'self'")], "linked"),
        ([(CSP, "style-src 'self' 'sha256-abc='")], "linked"),
        ([(CSP, "style-src 'unsafe-inline' 'sha256-abc='")], "linked"),
        ([(CSP, "style-src 'unsafe-inline'; style-src-elem 'self'")], "linked"),
        ([(CSP, "style-src 'self'; script-src https:")], "linked"),
        ([(CSP, "style-src 'self'; script-src 'nonce-abc' 'strict-dynamic'")], "linked"),
        ([(CSP, "style-src 'self'; script-src 'self' 'strict-dynamic'")], "linked"),
        ([(CSP, "style-src 'self'; script-src https://cdn.example")], "linked"),
        ([(CSP, "style-src 'self'; script-src 'none'")], "linked"),
        ([(REPORT, "default-src 'self'")], "linked"),
        ([(REPORT, "style-src 'nonce-abc'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'"), (CSP, "style-src 'self'")], "linked"),
        ([(CSP, "style-src 'nonce-abc'"), (CSP, "img-src 'self'")], "inline"),
        ([(CSP, "style-src 'nonce-abc'"), (REPORT, "style-src 'nonce-xyz'")], "linked"),
        ([(CSP, "style-src 'nonce-abc', default-src 'self'")], "linked"),
    ],
)
def test_policy_of_page_decides_how_stylesheet_comes(policies: list[tuple[str, str]], expected: str) -> None:
    assert style_of(page_app(*policies)) == expected


@pytest.mark.parametrize(
    ("policies", "nonce"),
    [
        ([], ""),
        ([(CSP, "script-src 'self'")], ""),
        ([(CSP, "script-src 'strict-dynamic' 'nonce-abc'")], "abc"),
        ([(REPORT, "script-src 'nonce-abc'"), (CSP, "script-src 'self'")], "abc"),
    ],
)
def test_script_is_one_file_of_the_site_with_the_nonce_of_the_page(policies: list[tuple[str, str]], nonce: str) -> None:
    site = install(page_app(*policies))
    attribute = f' nonce="{nonce}"' if nonce else ""
    for _ in range(3):
        scripts = re.findall("<script.*</script>", call(site, headers=HTML).text)
        assert scripts == [f'<script type="module" src="{SCRIPT}"{attribute}></script>']


META = '<meta http-equiv="Content-Security-Policy" content="{}">'


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (META.format("default-src 'self'"), "linked"),
        ("<META CONTENT='style-src x.example' HTTP-EQUIV=content-security-policy>", "linked"),
        (META.format("style-src 'unsafe-inline'"), "linked"),
        ('<meta name="description" content="Policies explained">', "inline"),
    ],
)
def test_under_a_policy_in_a_meta_tag_the_tags_name_files(head: str, expected: str) -> None:
    assert style_of(page_app(head=head)) == expected


def test_meta_tag_counts_beside_header() -> None:
    policy = (CSP, "style-src 'nonce-abc'; script-src 'nonce-abc'")
    assert style_of(page_app(policy)) == "inline"
    assert style_of(page_app(policy, head=META.format("style-src 'nonce-abc'"))) == "linked"


def test_meta_tag_in_body_does_not_count() -> None:
    assert style_of(page_app(body="<body>" + META.format("default-src 'none'"))) == "inline"


def test_stylesheet_is_linked_while_end_of_head_is_unknown() -> None:
    page = b'<!doctype html><html lang="en"><head><title>t</title></head><body><h1>Hello</h1></body></html>'

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": page[:50], "more_body": True})
        await send({"type": "http.response.body", "body": page[50:]})

    text = call(install(app), headers=HTML).text
    assert f'<title>t</title><link rel="stylesheet" href="{ADDRESS}"></head><body><section ' in text
    assert text.endswith("</h1></body></html>")


@pytest.mark.parametrize(("destination", "expected"), [("document", "inline"), ("empty", "linked")])
def test_swapped_page_is_under_policy_of_first_page_with_its_nonce(destination: str, expected: str) -> None:
    field = ("sec-fetch-dest", destination)
    assert style_of(page_app((CSP, "style-src 'self' 'nonce-abc'")), field) == expected
    assert style_of(page_app(), field) == "inline"


def test_style_carries_nonce() -> None:
    text = call(install(page_app((CSP, "style-src 'nonce-a/b=='"))), headers=HTML).text
    assert '<style class="pchoice-style" nonce="a/b==">' in text


def test_address_of_stylesheet_and_script_has_the_path_of_a_mount() -> None:
    app = install(page_app((CSP, "style-src 'self'")))
    text = call(app, path="/shop/x", root_path="/shop", headers=HTML).text
    assert f'<link rel="stylesheet" href="/shop{ADDRESS}">' in text
    assert f' src="/shop{SCRIPT}"' in text
    text = call(install(page_app()), headers=HTML, root_path='/a"></script>&').text
    assert f'src="/a&#34;&gt;&lt;/script&gt;&amp;{SCRIPT}"' in text
