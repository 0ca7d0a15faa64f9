"""Tests of the option language: the app's language, from the path or from a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from cookie_consent.http.options import BY_PATH, AppLanguage, read_language
from tests.support.asgi import PAGE, PHONE, Reply, Visitor, call, install, page_app, policy, reply_app, scope
from tests.support.policies import text_of

HTML = [("accept", "text/html"), ("user-agent", PHONE), ("accept-language", "en")]
OFFERED = ("en", "pt-BR", "zh-Hant")


def asks_in(reply: Reply, language: str) -> bool:
    """Return whether the banner in a page is in a language."""
    asked = [own for own in ("en", "ja") if text_of(policy(), own, "refuse_all") in reply.text]
    return asked == [language]


def visitor_with(function: Callable[[HTTPConnection], str | None], **options: Any) -> Visitor:
    return Visitor(install(page_app(), language=function, **options), HTML)


def language_reader(language: str | Callable[[HTTPConnection], str | None]) -> AppLanguage:
    reader = read_language(language, OFFERED)
    assert reader is not None
    return reader


@pytest.mark.parametrize(
    ("path", "language"),
    [
        *(("/en", "en"), ("/en/", "en"), ("/EN/a", "en"), ("/pt-br/sobre", "pt-BR"), ("/zh-Hant/x", "zh-Hant")),
        *(("/", None), ("", None), ("/english", None), ("/pt/x", None), ("/a/en", None), ("//en", None), ("en", None)),
    ],
)
def test_first_path_segment_selects_offered_language(path: str, language: str) -> None:
    assert language_reader(BY_PATH)(scope(path=path)) == language


@pytest.mark.parametrize(
    ("returned", "language"),
    [
        *(("en", "en"), ("EN-gb", "en"), ("pt", "pt-BR"), ("zh-TW", "zh-Hant")),
        *(("ja", None), ("", None), (None, None), ("!", None)),
    ],
)
def test_language_tag_from_function_selects_offered_language(returned: str | None, language: str | None) -> None:
    assert language_reader(lambda request: returned)(scope()) == language


def test_language_function_reads_but_cannot_change_the_request() -> None:
    given = scope(path="/there", headers=[("cookie", "lang=pt")], query=b"a=b")
    before = dict(given)

    def from_cookie(request: HTTPConnection) -> str:
        assert (request.url.path, request.query_params["a"]) == ("/there", "b")
        request.scope["path"] = "/elsewhere"
        return request.cookies["lang"]

    assert language_reader(from_cookie)(given) == "pt-BR"
    assert given == before


def test_language_priority_is_function_then_page_then_browser() -> None:
    html = PAGE.replace(b'lang="en"', b'lang="ja"')
    for returned, language in (("en", "en"), ("ja", "ja"), (None, "ja"), ("fr", "ja")):
        site = install(
            reply_app(html, "text/html; charset=utf-8"), language=lambda request, returned=returned: returned
        )
        assert asks_in(call(site, headers=HTML), language)


@pytest.mark.parametrize("returned", [5, b"ja", ["ja"]])
@pytest.mark.logs_an_exception
def test_language_function_that_returns_no_text_is_ignored(returned: Any) -> None:
    reply = visitor_with(lambda request: returned).get()
    assert reply.status == 200
    assert asks_in(reply, "en")
