"""Tests of the warning about pages that come compressed from the app."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from tests.support.asgi import PAGE, PHONE, PREFIX, Visitor, install, reply_app

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
