"""Tests of what is logged once of the app's pages: that they come compressed, or lose what caches could keep."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from tests.support.asgi import PAGE, PHONE, PREFIX, Visitor, install, page_app, reply_app

BROWSER = [
    ("accept", "text/html,*/*;q=0.8"),
    ("accept-encoding", "gzip"),
    ("sec-fetch-dest", "document"),
    ("user-agent", PHONE),
]
ZIPPED = gzip.compress(PAGE)


def zipped_site(**options: Any) -> Visitor:
    """Return a visitor of a site whose app compresses whatever the middleware asks for."""
    app = reply_app(ZIPPED, "text/html; charset=utf-8", headers=[("content-encoding", "gzip")])
    return Visitor(install(app, **{"settings_link": True, **options}), BROWSER)


async def fresh_page(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a page whose header fields another middleware may change."""
    await HTMLResponse(PAGE)(scope, receive, send)


def test_compressed_page_without_settings_link_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(install(GZipMiddleware(fresh_page, minimum_size=1), settings_link=True), BROWSER)
    assert visitor.get("/asked").get("content-encoding") == ""  # while there is a question, the page comes whole
    visitor.refuse()
    for path in ("/first", "/second"):
        reply = visitor.get(path)
        assert reply.get("content-encoding") == "gzip"
        assert PREFIX.encode() not in gzip.decompress(reply.body)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        'The page "/first" came compressed from the app, so it lacks the banner or the link to the settings page, and '
        "other pages may too. Compress outside: call app.add_middleware(GZipMiddleware) after "
        "app.add_middleware(ConsentMiddleware, ...), or let the proxy compress."
    )


@pytest.mark.parametrize("options", [{}, {"settings_link": False}, {"shared_pages": True}])
def test_compressed_page_without_question_is_logged(caplog: pytest.LogCaptureFixture, options: dict[str, Any]) -> None:
    assert zipped_site(**options).get().body == ZIPPED
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", []),
        ("POST", []),
        ("GET", [("sec-fetch-dest", "iframe")]),
        ("GET", [("sec-fetch-dest", "empty")]),
        ("GET", [("accept", "*/*")]),
    ],
)
def test_compressed_html_that_is_no_page_of_its_own_is_not_logged(
    caplog: pytest.LogCaptureFixture, method: str, headers: list[tuple[str, str]]
) -> None:
    visitor = zipped_site()
    visitor.headers = [field for field in BROWSER if field[0] not in dict(headers)]
    visitor.request(method, "/", headers)
    assert caplog.records == []


def test_compressed_page_that_would_get_nothing_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    zipped_site(inject=False).get()
    refused = zipped_site(settings_link=False)
    refused.refuse()
    refused.get()
    assert caplog.records == []


def test_other_compressed_responses_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    app = reply_app(
        gzip.compress(b"{}"), "application/json", headers=[("content-encoding", "gzip")], sets=["session=1"]
    )
    Visitor(install(app, settings_link=True), BROWSER).get()
    assert caplog.records == []


def test_path_from_client_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    zipped_site().get('/a\nWARNING: "' + "x" * 500)
    message = caplog.records[0].getMessage()
    assert message.isprintable()
    assert len(message) < 500


PUBLIC, ETAG = ("cache-control", "public, max-age=60"), ("etag", '"1"')


@pytest.mark.parametrize("field", [PUBLIC, ("cache-control", "s-maxage=60"), ETAG])
def test_page_that_caches_could_keep_is_logged_once_with_the_way_out(
    caplog: pytest.LogCaptureFixture, field: tuple[str, str]
) -> None:
    visitor = Visitor(install(page_app(headers=[field])), BROWSER)
    reply = visitor.get("/first")
    assert (reply.get("etag"), "private" in reply.get("cache-control")) == ("", True)
    visitor.get("/second")
    (message,) = caplog.messages
    assert message == (
        'The page "/first" is private and, while it asks, has no ETag: what is inserted depends on the visitor. If '
        "your pages are the same for everybody, shared_pages=True in place of csp lets caches keep them "
        "(docs/caching.md)."
    )


def test_way_out_is_true(caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(install(page_app(headers=[PUBLIC]), shared_pages=True), BROWSER)
    assert visitor.get().get("cache-control") == PUBLIC[1]
    assert caplog.messages == []


@pytest.mark.parametrize("fields", [[], [("cache-control", "max-age=60")], [("last-modified", "yesterday")]])
def test_page_that_no_shared_cache_keeps_is_not_logged(
    caplog: pytest.LogCaptureFixture, fields: list[tuple[str, str]]
) -> None:
    Visitor(install(page_app(headers=fields)), BROWSER).get()
    assert caplog.messages == []


def test_page_that_gets_nothing_and_other_responses_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    reply = Visitor(install(page_app(headers=[PUBLIC, ETAG]), inject=False), BROWSER).get()
    assert (reply.get("cache-control"), reply.get("etag")) == (PUBLIC[1], ETAG[1])
    Visitor(install(reply_app(headers=[PUBLIC, ETAG])), BROWSER).get()
    assert caplog.messages == []
