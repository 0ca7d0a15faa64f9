"""Tests of the link to the settings at the end of each page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.pages.assets import assets
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    ROBOT,
    Fields,
    Reply,
    Visitor,
    call,
    drive,
    install,
    page_app,
    reply_app,
    run,
    scope,
)

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
_LINK = re.compile(r'<a href="([^"]*)" data-privacy-settings="[^"]*" [^>]*>([^<]*)</a>')


def linked(app: ASGIApp | None = None, **options: Any) -> ConsentMiddleware:
    return install(app or page_app(), settings_link=True, **options)


def links(reply: Reply) -> list[tuple[str, str]]:
    """Return the addresses and the texts of the links to the settings in a page."""
    return [(unescape(address), words) for address, words in _LINK.findall(reply.text)]


def visitor_with_answer(app: ASGIApp, choice: str = "refuse_all") -> Visitor:
    visitor = Visitor(app, HTML)
    visitor.post({"choice": choice})
    return visitor


@pytest.mark.parametrize(("choice", "state"), [(None, ""), ("refuse_all", ": refused"), ("accept_all", ": accepted")])
def test_every_page_ends_with_settings_link(choice: str | None, state: str) -> None:
    visitor = visitor_with_answer(linked(), choice) if choice else Visitor(linked(), HTML)
    reply = visitor.get("/there", query=b"a=b&c")
    assert links(reply) == [(f"{PREFIX}?language=en&next=/there%3Fa%3Db%26c", f"Privacy settings{state}")]
    before, _, end = reply.text.rpartition("<div ")
    assert re.fullmatch(r'class="pchoice-way-back" [^>]*><span><a [^>]*>[^<]*</a></span></div></body></html>', end)
    assert ("refuse_all" in before) is (choice is None)


def test_settings_page_links_back_to_linking_page() -> None:
    visitor = visitor_with_answer(linked())
    ((address, _),) = links(visitor.get("/there", query=b"a=b"))
    path, _, query = address.partition("?")
    reply = visitor.get(path, query=query.encode())
    assert reply.status == 200
    assert 'href="/there?a=b"' in reply.text


@pytest.mark.parametrize("options", [{"settings_link": False}, {"inject": False, "settings_link": True}])
def test_settings_link_can_be_switched_off(options: dict[str, Any]) -> None:
    visitor = visitor_with_answer(install(page_app(), **options))
    assert visitor.get().body == PAGE


def test_explaining_page_has_no_second_settings_link() -> None:
    """The page has a link of its own."""

    @requires("media")
    async def offices(request: Request) -> Response:
        return HTMLResponse(PAGE)

    visitor = visitor_with_answer(linked(Starlette(routes=[Route("/", offices)])))
    reply = visitor.get()
    assert (links(reply), "data-privacy-settings" in reply.text) == ([], False)
    assert f'href="{PREFIX}?language=en' in reply.text
    visitor.accept()
    assert links(visitor.get()) != []


def test_page_for_robot_has_settings_link() -> None:
    reply = call(linked(), headers=[("accept", "text/html"), ("user-agent", ROBOT)])
    assert "refuse_all" not in reply.text
    assert links(reply) != []


@pytest.mark.parametrize(
    ("page_language", "accepted", "language"),
    [("ja", "en", "ja"), ("", "ja", "ja"), ("fr", "ja;q=0.5", "ja"), ("en-GB", "ja", "en"), ("fr", "fr", "en")],
)
def test_settings_link_is_in_language_of_page_or_of_browser(page_language: str, accepted: str, language: str) -> None:
    html = PAGE.replace(b'lang="en"', f'lang="{page_language}"'.encode() if page_language else b"")
    visitor = visitor_with_answer(linked(reply_app(html, "text/html; charset=utf-8")))
    ((address, words),) = links(visitor.get(headers=[("accept-language", accepted)]))
    assert f"language={language}&" in address
    assert words == {"en": "Privacy settings: refused", "ja": "プライバシー設定：拒否済み"}[language]


def test_settings_link_is_ascii_in_other_encodings() -> None:
    html = PAGE.replace(b'"en"', b'"ja"')
    reply = visitor_with_answer(linked(reply_app(html, "text/html; charset=shift_jis"))).get()
    assert reply.body.isascii()
    assert unescape(links(reply)[0][1]) == "プライバシー設定：拒否済み"


@pytest.mark.parametrize("path", ['/"><script>', "/地図", "/\x00", "//evil.example", "/" + "x" * 5000])
def test_hostile_path_is_quoted_in_settings_link(path: str) -> None:
    ((address, _),) = links(visitor_with_answer(linked()).get(path, query=b'"&\xff<'))
    assert address.startswith(f"{PREFIX}?language=en")
    assert len(address) < 7000


# What it says, and how it looks.


def test_settings_link_says_what_was_answered_last() -> None:
    visitor = Visitor(linked(), HTML)
    said = [links(visitor.get())[0][1]]
    for choice in ("refuse_all", "accept_all", "refuse_all"):
        visitor.post({"choice": choice})
        said.append(links(visitor.get())[0][1])
    visitor.post({"choice": "save", "purposes": {"media": True}})
    said.append(links(visitor.get())[0][1])
    said.append(links(visitor.get(headers=[("sec-gpc", "1")]))[0][1])
    states = ("", ": refused", ": accepted", ": refused", ": partly accepted", ": refused")
    assert said == [f"Privacy settings{state}" for state in states]


@pytest.mark.parametrize(("signals", "state"), [(["sec-gpc", "dnt"], ": refused"), (["sec-gpc"], ""), ([], "")])
def test_signals_that_refuse_everything_count_as_refusal_in_settings_link(signals: list[str], state: str) -> None:
    reply = call(linked(), headers=[*HTML, *((signal, "1") for signal in signals)])
    assert links(reply)[0][1] == f"Privacy settings{state}"


@pytest.mark.parametrize("path", ["/whois/x", "/"])
def test_settings_link_leaves_out_purposes_that_service_refuses(path: str) -> None:
    visitor = visitor_with_answer(linked())
    visitor.post({"choice": "save", "purposes": {"media": True}})
    said = {"/whois/x": ": accepted", "/": ": partly accepted"}[path]
    assert links(visitor.get(path))[0][1] == f"Privacy settings{said}"


_INLINE = re.compile(r'<style class="pchoice-style"([^>]*)>[^<]*:where\(\.pchoice-way-back[^<]*</style></head>')
_FILE = re.compile(r'<link rel="stylesheet" href="([^"]*/assets/link\.[^"]*\.css)"></head>')


@pytest.mark.parametrize("choice", [None, "refuse_all"])
@pytest.mark.parametrize(
    ("field", "attributes"),
    [
        ("script-src 'self'", [""]),
        ("style-src 'unsafe-inline'", [""]),
        ("style-src 'nonce-abc'; script-src 'nonce-def'", [' nonce="abc"']),
        ("default-src 'self'", []),
    ],
)
def test_style_of_settings_link_is_inline_where_policy_allows_it(
    field: str, attributes: list[str], choice: str | None
) -> None:
    site = linked(page_app(headers=[("content-security-policy", field)]))
    visitor = visitor_with_answer(site, choice) if choice else Visitor(site, HTML)
    html = visitor.get().text
    assert _INLINE.findall(html) == attributes
    files = _FILE.findall(html)
    assert len(files) == (not attributes)
    for address in files:
        reply = visitor.get(address)
        assert (reply.status, reply.text) == (200, assets()["link.css"].content.decode())


# Caches and validators.


def test_page_with_settings_link_is_private_and_varies() -> None:
    reply = visitor_with_answer(linked(page_app(headers=[("cache-control", "public, max-age=60")]))).get()
    assert reply.get("cache-control") == "max-age=60, private"
    assert {"Cookie", "Accept-Language"} <= set(reply.get("vary").split(", "))
    fragment = call(linked(reply_app(b"{}", "application/json")), headers=HTML)
    assert (fragment.get("cache-control"), fragment.get("vary")) == ("", "")


VALIDATED: Fields = [("etag", '"1"'), ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("accept-ranges", "bytes")]


def test_page_after_answer_keeps_validators_and_gets_304() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        unchanged = (b"if-none-match", b'W/"1"') in scope["headers"]
        await reply_app(b"" if unchanged else PAGE, "text/html", 304 if unchanged else 200, headers=VALIDATED)(
            scope, receive, send
        )

    visitor = Visitor(linked(app), HTML)
    asked = visitor.get()
    assert (asked.get("etag"), asked.get("last-modified"), asked.get("accept-ranges")) == ("", "", "")
    visitor.refuse()
    reply = visitor.get()
    assert (reply.get("etag"), reply.get("last-modified")) == ('W/"1"', "Mon, 01 Jan 2024 00:00:00 GMT")
    assert reply.get("accept-ranges") == ""
    unchanged = visitor.get(headers=[("if-none-match", reply.get("etag"))])
    assert (unchanged.status, unchanged.body) == (304, b"")


def test_file_sent_with_pathsend_has_no_settings_link(tmp_path: Any) -> None:
    (tmp_path / "page.html").write_bytes(PAGE)

    async def home(request: Request) -> Response:
        return FileResponse(tmp_path / "page.html")

    site = linked(Starlette(routes=[Route("/", home)]))
    visitor = visitor_with_answer(site)
    request = scope(headers=[*HTML, ("cookie", visitor.cookies)], extensions={"http.response.pathsend": {}})
    begun, path = run(drive(site, request))
    assert path["type"] == "http.response.pathsend"
    assert (b"content-length", b"%d" % len(PAGE)) in begun["headers"]
    # Without the extension the same page has the link, and a length that includes it.
    reply = visitor.get()
    assert links(reply) != []
    assert PAGE.partition(b"</head>")[2].partition(b"</body>")[0] in reply.body
