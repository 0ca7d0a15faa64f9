"""Logs once what a site should know of its pages."""

from __future__ import annotations

from cookie_consent.base.messages import shown, warn_once
from cookie_consent.base.request_fields import Headers
from cookie_consent.http.head import is_shared

_COMPRESSED = (
    'The page "%s" came compressed from the app, so it lacks the banner or the link to the settings page, and other '
    "pages may too. Compress outside: call app.add_middleware(GZipMiddleware) after "
    "app.add_middleware(ConsentMiddleware, ...), or let the proxy compress."
)
_CACHEABLE = (
    'The page "%s" is private and, while it asks, has no ETag: what is inserted depends on the visitor. If your pages '
    "are the same for everybody, shared_pages=True in place of csp lets caches keep them (docs/caching.md)."
)


class PageAdvice:
    """Logs each piece of advice for the first page that it is about. What is true of one is true of others."""

    def comes_compressed(self, path: str) -> None:
        """Say that a page came compressed. What compresses one page compresses the others too."""
        self._give(_COMPRESSED, path)

    def is_cacheable(self, path: str, headers: Headers) -> None:
        """Say what a page loses that caches could keep.

        Args:
            path: the page's path.
            headers: the header fields that the app gave it.
        """
        has_etag = any(name.lower() == b"etag" for name, _ in headers)
        if has_etag or is_shared(headers):
            self._give(_CACHEABLE, path)

    def _give(self, advice: str, path: str) -> None:
        warn_once("pages", advice, advice % shown(path))
