"""Tests of which responses are pages, and which of them a person saw."""

from __future__ import annotations

import pytest

from cookie_consent.base.user_agents import find_page_view_host
from cookie_consent.http.plan import Head, is_page
from tests.support.asgi import Fields, raw_headers

HTML = [(b"content-type", b"text/html; charset=utf-8")]


@pytest.mark.parametrize(
    ("method", "status", "headers", "expected"),
    [
        ("GET", 200, HTML, True),
        ("GET", 404, HTML, True),  # a page, but not counted as a view
        ("GET", 200, [(b"Content-Type", b"TEXT/HTML")], True),
        ("GET", 304, [], True),
        ("GET", 304, [(b"content-type", b"image/png")], False),
        ("GET", 303, HTML, False),
        ("HEAD", 200, HTML, False),
        ("POST", 200, HTML, False),
        ("GET", 200, [(b"content-type", b"application/json")], False),
        ("GET", 200, [], False),
    ],
)
def test_page_is_html_response_to_get(
    method: str, status: int, headers: list[tuple[bytes, bytes]], expected: bool
) -> None:
    message = {"type": "http.response.start", "status": status, "headers": headers}
    assert is_page(Head(message, {"method": method})) is expected


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([("host", "site.example")], b"site.example"),
        ([("host", "site.example"), ("sec-fetch-dest", "document")], b"site.example"),
        ([("host", "site.example"), ("sec-fetch-dest", "iframe")], None),
        ([("host", "site.example"), ("sec-fetch-dest", "empty")], None),
        ([("host", "site.example"), ("sec-purpose", "prefetch;prerender")], None),
        ([("host", "site.example"), ("purpose", "Prefetch")], None),
        ([], b""),
    ],
)
def test_page_is_seen_only_in_top_level_navigation(headers: Fields, host: bytes | None) -> None:
    assert find_page_view_host(dict(raw_headers(headers))) == host


def test_not_modified_page_is_seen_only_with_sec_fetch_dest() -> None:
    headers = [(b"host", b"site.example"), (b"sec-fetch-dest", b"document")]
    assert find_page_view_host(dict(headers), not_modified=True) == b"site.example"
    assert find_page_view_host(dict(headers[:1]), not_modified=True) is None
