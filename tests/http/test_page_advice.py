"""Tests of what is logged once of the app's pages: that they come compressed, or lose what caches could keep."""

from __future__ import annotations

import pytest

from tests.support.asgi import PHONE, Visitor, install, page_app

BROWSER = [("accept", "text/html,*/*;q=0.8"), ("user-agent", PHONE)]
COMPRESSED = (
    'The page "{}" came compressed from the app, so it lacks the banner or the link to the settings page, and other '
    "pages may too. Compress outside: call app.add_middleware(GZipMiddleware) after "
    "app.add_middleware(ConsentMiddleware, ...), or let the proxy compress."
)
CACHEABLE = (
    'The page "{}" is private and, while it asks, has no ETag: what is inserted depends on the visitor. If your pages '
    "are the same for everybody, shared_pages=True in place of csp lets caches keep them (docs/caching.md)."
)


@pytest.mark.parametrize(
    ("field", "message"), [(("content-encoding", "gzip"), COMPRESSED), (("cache-control", "s-maxage=60"), CACHEABLE)]
)
def test_advice_on_pages_is_logged_once(field: tuple[str, str], message: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(install(page_app(headers=[field])), BROWSER)
    visitor.get("/first")
    visitor.get("/second")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", message.format("/first"))
    ]


def test_path_from_client_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    Visitor(install(page_app(headers=[("etag", '"1"')])), BROWSER).get('/a\nWARNING: "' + "x" * 500)
    (message,) = caplog.messages
    assert message.isprintable()
    assert len(message) < 500
