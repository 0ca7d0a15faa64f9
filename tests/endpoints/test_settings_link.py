"""Tests of the link to the settings at the end of each page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from starlette.types import ASGIApp

from cookie_consent import ConsentMiddleware
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    Fields,
    Reply,
    Visitor,
    call,
    install,
    page_app,
    reply_app,
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


@pytest.mark.requirement("EU-02")
@pytest.mark.parametrize(("choice", "state"), [(None, ""), ("refuse_all", ": refused"), ("accept_all", ": accepted")])
def test_every_page_ends_with_settings_link(choice: str | None, state: str) -> None:
    visitor = visitor_with_answer(linked(), choice) if choice else Visitor(linked(), HTML)
    reply = visitor.get("/there", query=b"a=b&c")
    assert links(reply) == [(f"{PREFIX}?language=en&next=/there%3Fa%3Db%26c", f"Privacy settings{state}")]
    before, _, end = reply.text.rpartition("<div ")
    assert re.fullmatch(r'class="pchoice-way-back" [^>]*><span><a [^>]*>[^<]*</a></span></div></body></html>', end)
    assert ("refuse_all" in before) is (choice is None)


def test_settings_link_is_ascii_in_other_encodings() -> None:
    html = PAGE.replace(b'"en"', b'"ja"')
    reply = visitor_with_answer(linked(reply_app(html, "text/html; charset=shift_jis"))).get()
    assert reply.body.isascii()
    assert unescape(links(reply)[0][1]) == "プライバシー設定：拒否済み"


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


# Caches and validators.


VALIDATED: Fields = [("etag", '"1"'), ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("accept-ranges", "bytes")]
