"""Notices that a proxy serves the app under a path of which the server does not know, so that nobody can answer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

from cookie_consent.base.addresses import is_under, split_address
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.messages import shown

_MOST_REQUESTS = 10_000
_ENOUGH = 3
"""As many signs as this are taken for a proof. One may come from another app on the same host."""
_log = logging.getLogger("cookie_consent")


class LostPrefix:
    """Looks at the first requests of a process, until it knows whether the paths in browsers are those of the app.

    Behind a proxy that removes a path, each page is at another address in the browser than in the app. The addresses of
    our assets and endpoints are absolute, so that browsers never reach them.

    Args:
        pages: the paths of the pages that were served so far. Without any, there is nothing to know.
        prefix: the path of the endpoints.

    Attributes:
        is_open: whether it does not know yet.
    """

    def __init__(self, pages: Collection[str], prefix: str) -> None:
        self.pages = pages
        self._prefix = prefix
        self._requests = 0
        self._signs = 0
        self.is_open = True

    def look(self, scope: Mapping[str, Any]) -> None:
        """Look at a request, and log a warning if it is clear that a path is missing.

        Args:
            scope: the request's ASGI scope.
        """
        self._requests += 1
        if scope.get("root_path") or self._requests > _MOST_REQUESTS:
            self.is_open = False
            return
        fields = dict(scope["headers"])
        lost = fields.get(b"x-forwarded-prefix", b"")[:LONGEST_KEPT].decode("latin-1").rstrip("/")
        if lost.startswith("/") and not is_under(scope["path"], lost):
            self._warn(lost)
            return
        before = split_address(fields.get(b"referer", b"")[:LONGEST_KEPT].decode("latin-1"))
        # Over plain http, browsers do not say where a request comes from, but by the referrer.
        is_same_host = before.authority.encode("latin-1") == fields.get(b"host")
        is_own = fields.get(b"sec-fetch-site", b"same-origin" if is_same_host else b"") == b"same-origin"
        if is_own and fields.get(b"sec-fetch-dest") != b"empty":
            self._look_at_page(unquote(before.path))

    def _look_at_page(self, path: str) -> None:
        """Look at the path of the page in the browser that led to a request."""
        if path in self.pages:
            self.is_open = False
            return
        starts = [at for at in range(1, len(path)) if path[at] == "/" and path[at:] in self.pages]
        if starts:
            self._signs += 1
            if self._signs == _ENOUGH:
                self._warn(path[: starts[0]])

    def _warn(self, lost: str) -> None:
        self.is_open = False
        _log.warning(
            'A proxy seems to serve the app under "%s" and to remove that from the path, and the server does not know. '
            'So answers go to "%s", which the proxy does not pass on: its bare 404 is all that visitors get. Tell the '
            'server, as in "uvicorn --root-path %s"; docs/behind-a-proxy.md says how for others.',
            shown(lost),
            self._prefix,
            shown(lost),
        )
