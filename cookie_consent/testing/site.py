"""Checks in a site's own tests that its pages and its policy agree, with the visits of `cookie-consent audit`."""

from __future__ import annotations

from typing import Any

from cookie_consent.audit.crawl import MAX_PAGES, MAX_SECONDS
from cookie_consent.audit.findings import (
    COOKIE_REFUSED,
    HOST_REFUSED,
    STORAGE_REFUSED,
    TOO_LONG,
    UNDECLARED_COOKIE,
    UNDECLARED_HOST,
    UNDECLARED_STORAGE,
)
from cookie_consent.audit.text import describe
from cookie_consent.audit.visitors import opened


def assert_no_storage_before_consent(client: Any, *, prefix: str = "", max_pages: int = MAX_PAGES) -> None:
    """Assert that no page stores anything, or loads from a recipient, for a purpose that a visitor does not allow.

    The pages that are reached by links, by the sitemap and by the app's routes are visited without an answer, after a
    refusal, with everything granted, with each purpose alone, and with Global Privacy Control. What scripts do is read
    in their text; `cookie-consent audit` says what that leaves out.

    Args:
        client: Starlette's `TestClient`, or a client of httpx with a base URL. It keeps the cookies that it has.
        prefix: the path of the endpoints. By default it is found in the app.
        max_pages: how many pages each visitor opens.

    Raises:
        AssertionError: a page does. The message names each cookie, key and host, and the line that it comes from.
        ValueError: the middleware does not answer.
    """
    _assert_none(client, prefix, max_pages, COOKIE_REFUSED, STORAGE_REFUSED, HOST_REFUSED)


def assert_declared(client: Any, *, prefix: str = "", max_pages: int = MAX_PAGES) -> None:
    """Assert that the policy declares each cookie, key and host of the pages, and lifetimes as long as the cookies'.

    See `assert_no_storage_before_consent` for the visits, the arguments and the errors.
    """
    _assert_none(client, prefix, max_pages, UNDECLARED_COOKIE, UNDECLARED_STORAGE, UNDECLARED_HOST, TOO_LONG)


def _assert_none(client: Any, prefix: str, max_pages: int, *rules: str) -> None:
    with opened(client, prefix, max_pages, MAX_SECONDS) as audit:
        found = [finding for finding in audit.run().list() if finding.rule in rules]
    if found:
        raise AssertionError("\n\n".join(describe(found)))
