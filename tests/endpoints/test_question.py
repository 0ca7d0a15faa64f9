"""Tests of the endpoint question: the banner for cached pages, and for visitors who reopen it."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from tests.support.asgi import (
    PHONE,
    PREFIX,
    SITE,
    Reply,
    Visitor,
    call,
    install,
    page_app,
    policy,
    without_form_ids,
)
from tests.support.browsers.browser import forms
from tests.support.policies import text_of

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
QUESTION = f"{PREFIX}/question"


def question(visitor: Visitor, query: str = "", **more: Any) -> Reply:
    return visitor.get(QUESTION, query=query.encode(), **more)


def script_state(reply: Reply) -> Any:
    return json.loads(unescape(reply.text.partition('data-state="')[2].partition('"')[0]))


def test_question_endpoint_returns_same_banner_as_page() -> None:
    visitor = Visitor(install(page_app()), HTML)
    brought = without_form_ids(question(visitor, "next=%2Fthere%3Fa%3Db").text)
    in_the_page = without_form_ids(visitor.get("/there", query=b"a=b").text)
    assert brought[brought.index("<section") :] in in_the_page
    assert brought.startswith('<link rel="stylesheet" href="/privacy-choices/assets/choices.')


def test_each_banner_has_its_own_form_id() -> None:
    visitor = Visitor(install(page_app()), HTML)
    texts = [visitor.get().text, visitor.get().text, question(visitor).text, question(visitor).text]
    assert len({dict(forms(text)[0].hidden)["once"] for text in texts}) == 4


def test_question_form_answers_and_redirects_back() -> None:
    visitor = Visitor(install())
    (form,) = forms(question(visitor, "next=%2Fthere%3Fa%3Db").text)
    reply = visitor.send_form(form.pressed("refuse_all"))
    assert (reply.status, reply.get("location")) == (303, "/there?a=b#pchoice")
    assert (visitor.state()["status"], visitor.state()["source"]) == ("refused", "banner")


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        *(("", "ja", "ja"), ("language=en", "ja", "en"), ("language=ja-JP", "en", "ja"), ("language=fr", "ja", "ja")),
        *(("page_language=ja-JP", "en", "ja"), ("page_language=fr", "ja", "ja"), ("page_language=", "ja", "ja")),
        *(("language=en&page_language=ja", "ja", "en"), ("language=fr&page_language=ja", "en", "ja")),
    ],
)
def test_question_is_in_language_of_visitor_then_page_then_browser(query: str, accepted: str, language: str) -> None:
    reply = question(Visitor(install(), [("accept-language", accepted)]), query)
    assert reply.get("content-language") == language
    assert text_of(policy(), language, "refuse_all") in reply.text


def by_cookie(request: HTTPConnection) -> str | None:
    return request.cookies.get("lang")


def by_query(request: HTTPConnection) -> str | None:
    return request.query_params.get("lang") if request.url.path == "/there" else None


@pytest.mark.parametrize(
    ("tells", "query", "language"),
    [
        ("path", "next=/ja/there&page_language=en", "ja"),
        ("path", "next=/ja%3Fa%3Db&page_language=en", "ja"),
        ("path", "next=/there&page_language=ja", "ja"),
        ("path", "next=//ja/there&page_language=en", "en"),
        ("path", "next=/ja/there&language=en", "en"),
        ("path", "page_language=ja", "ja"),
        (by_cookie, "next=/there&page_language=en", "ja"),
        (by_cookie, "page_language=en", "ja"),
        (by_cookie, "next=/there&language=en", "en"),
        (by_query, "next=/there%3Flang%3Dja&page_language=en", "ja"),
        (by_query, "next=/there%3Flang%3Den&page_language=ja&lang=ja", "en"),
        (by_query, "next=/elsewhere%3Flang%3Dja&page_language=en", "en"),
    ],
)
def test_app_language_of_next_path_ranks_between_visitor_and_page(tells: Any, query: str, language: str) -> None:
    text = SITE.replace("[[cookies]]", '[[cookies]]\nname = "lang"\npurpose = "necessary"\n\n[[cookies]]', 1)
    reply = question(Visitor(install(text=text, language=tells), [("cookie", "lang=ja")]), query)
    assert reply.get("content-language") == language
    assert text_of(policy(), language, "refuse_all") in reply.text


def test_app_language_of_next_path_ignores_mount_path() -> None:
    visitor = Visitor(Starlette(routes=[Mount("/shop", install(language="path"))]))
    reply = visitor.get(f"/shop{QUESTION}", query=b"next=/shop/ja/x&page_language=en")
    assert reply.get("content-language") == "ja"


def test_reopened_question_shows_current_answer() -> None:
    visitor = Visitor(install())
    visitor.save(media=True)
    text = question(visitor, "again&next=/there").text
    assert text_of(policy(), "en", "status_partial") in text
    assert 'value="media" aria-describedby="pchoice-about-media" checked' in text
    assert 'value="analytics" aria-describedby="pchoice-about-analytics" checked' not in text
    assert script_state(question(visitor, "again")) == {"necessary": True, "analytics": False, "media": True}
    (form,) = forms(text)
    assert visitor.send_form(form.pressed("accept_all")).status == 303
    assert (visitor.state()["status"], visitor.state()["source"]) == ("granted", "settings")


@pytest.mark.parametrize("query", ["next=/whois/terms", "next=/whois/terms%3Fa%3Db&language=ja"])
def test_question_for_policy_page_is_empty_unless_reopened(query: str) -> None:
    reply = question(Visitor(install()), query)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.get("cache-control") == "no-store"
    assert question(Visitor(install()), f"{query}&again").status == 200


@pytest.mark.parametrize("address", ["/規約", quote("/規約")])
def test_policy_page_with_non_ascii_path_has_no_banner(address: str) -> None:
    text = SITE.replace('contact = "', f'policy_url = "{address}"\ncontact = "')
    visitor = Visitor(install(page_app(), text), HTML)
    in_the_page = b"refuse_all" in visitor.get("/規約").body
    assert (in_the_page, question(visitor, f"next={quote(quote('/規約'))}").status) == (False, 204)


def test_question_form_posts_below_mount_path() -> None:
    site = Starlette(routes=[Mount("/shop", install())])
    (form,) = forms(call(site, path=f"/shop{QUESTION}", query=b"next=/shop/x").text)
    assert form.action == f"/shop{PREFIX}"


@pytest.mark.parametrize(
    "query", [b"\xff", b"next=%ff%00", b"again=&again", b"next=/" + b"x" * 5000, b"next=%2F%22%3E%3Cscript%3E", b"&&="]
)
def test_malformed_query_still_gets_question(query: bytes) -> None:
    reply = call(install(), path=QUESTION, query=query)
    assert reply.status == 200
    assert "<script>" not in reply.text
    assert len(forms(reply.text)) == 1


# Pages without injection, which caches may keep.

VISITORS: dict[str, Callable[[Visitor], object]] = {
    "nobody answered": lambda visitor: None,
    "refused": lambda visitor: visitor.refuse(),
    "granted": lambda visitor: visitor.accept(),
    "some granted": lambda visitor: visitor.save(media=True),
}
