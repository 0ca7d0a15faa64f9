"""A view is a page that a person saw; what scripts, frames and browsers fetch besides is none."""

from __future__ import annotations

import pytest

from cookie_consent.base.page_views import is_page, page_view_host
from tests.support.asgi import Fields, raw

HTML = [(b"content-type", b"text/html; charset=utf-8")]


@pytest.mark.parametrize(
    ("method", "status", "headers", "is_one"),
    [
        ("GET", 200, HTML, True),
        ("GET", 404, HTML, True),  # but no view, see test_funnel
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
def test_a_page_is_html_that_answers_a_get(
    method: str, status: int, headers: list[tuple[bytes, bytes]], is_one: bool
) -> None:
    assert is_page(method, status, headers) is is_one


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
def test_somebody_looks_at_what_the_browser_shows_as_a_page(headers: Fields, host: bytes | None) -> None:
    assert page_view_host({"headers": raw(headers)}) == host


def test_what_has_not_changed_is_a_page_only_if_the_browser_says_so() -> None:
    said = [(b"host", b"site.example"), (b"sec-fetch-dest", b"document")]
    assert page_view_host({"headers": said}, not_modified=True) == b"site.example"
    assert page_view_host({"headers": said[:1]}, not_modified=True) is None
