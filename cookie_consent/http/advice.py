"""What the log says once of the app's pages, and of how the middleware is installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

from cookie_consent.base.addresses import is_under, outer_path, split_address
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.messages import escape_for_log, warn_once
from cookie_consent.decision.own_cookies import CONSENT, OwnCookies
from cookie_consent.http.request_consent import RequestConsent

_MOST_REQUESTS = 1000
_ENOUGH = 3
"""As many signs as this are taken for a proof. One may come from another app on the same host."""
_ADVICE = {
    "compressed": (
        'The page "{}" came compressed from the app, so it lacks the banner or the link to the settings page, and '
        "other pages may too. Compress outside: call app.add_middleware(GZipMiddleware) after "
        "app.add_middleware(ConsentMiddleware, ...), or let the proxy compress."
    ),
    "cacheable": (
        'The page "{}" is private and, while it asks, has no ETag: what is inserted depends on the visitor. If your '
        "pages are the same for everybody, shared_pages=True in place of csp lets caches keep them (docs/caching.md)."
    ),
    "public cookie": ("A public response sets a cookie. It is sent without, since a cache would give it to everybody."),
}
"""Name of a piece of advice -> what the log says of the first response that it is about."""


def log_advice(name: str, scope: Mapping[str, Any]) -> None:
    """Log a piece of advice, once. What is true of one page is true of others.

    Args:
        name: its name in a plan.
        scope: the ASGI scope of the request.
    """
    warn_once("pages", name, lambda: _ADVICE[name].format(escape_for_log(outer_path(scope))))


def defer_to_outer(outer: Any, inner: RequestConsent, own_cookies: OwnCookies) -> None:
    """Leave the question to a middleware of ours around this one if both have the same endpoints, and log advice.

    Each has to have cookies of its own, which the outer policy declares. Else the outer one blocks what the inner one
    sets, and no visitor can answer the inner one.

    Args:
        outer: what the outer middleware left in the state of the request.
        inner: the decision of the inner middleware, as the app sees it.
        own_cookies: the own cookies of the inner middleware.
    """
    if not isinstance(outer, RequestConsent):
        return
    if outer.base == inner.base:
        inner.asks_itself = True  # so it gets no second question, and no second link
    warn_once("middlewares", f"{outer.base} {inner.base}", lambda: _describe_nesting(outer, inner, own_cookies))


def _describe_nesting(outer: RequestConsent, inner: RequestConsent, own_cookies: OwnCookies) -> str:
    if outer.base == inner.base:
        return (
            f'ConsentMiddleware is installed twice, one inside the other, both with prefix "{inner.base}". The '
            "outer one asks and answers; both enforce. Remove one."
        )
    if any(outer.policy.find_cookie(name.encode("ascii")) for name in own_cookies.names(CONSENT)):
        return ""
    return (
        f'The ConsentMiddleware with its endpoints at "{inner.base}" is inside another one, at "{outer.base}", '
        "whose policy does not declare its cookies: answers to it do not reach browsers. Remove it, and give this "
        'part of the site conditions of its own in the outer policy: [services.NAME], path = "/...". Or give its '
        "cookies other names, by cookie_prefix=, and declare those in the outer policy."
    )


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
        if b"referer" not in fields and b"x-forwarded-prefix" not in fields:
            return
        lost = fields.get(b"x-forwarded-prefix", b"")[:LONGEST_KEPT].decode("latin-1").rstrip("/")
        if lost.startswith("/") and not is_under(scope["path"], lost):
            self._warn(lost)
            return
        before = split_address(fields.get(b"referer", b"")[:LONGEST_KEPT].decode("latin-1"))
        # Over plain http, browsers do not say where a request comes from, but by the referrer.
        is_same_host = before.netloc.encode("latin-1") == fields.get(b"host")
        is_own = fields.get(b"sec-fetch-site", b"same-origin" if is_same_host else b"") == b"same-origin"
        if not is_own or fields.get(b"sec-fetch-dest") == b"empty":
            return
        path = unquote(before.path)
        if path in self.pages:
            self.is_open = False
        elif starts := [at for at in range(1, len(path)) if path[at] == "/" and path[at:] in self.pages]:
            self._signs += 1
            if self._signs == _ENOUGH:
                self._warn(path[: starts[0]])

    def _warn(self, lost: str) -> None:
        self.is_open = False
        path = escape_for_log(lost)
        text = (
            f'A proxy seems to serve the app under "{path}" and to remove that from the path, and the server does not '
            f'know. So answers go to "{self._prefix}", which the proxy does not pass on: its bare 404 is all that '
            f'visitors get. Tell the server, as in "uvicorn --root-path {path}"; docs/behind-a-proxy.md says how for '
            "others."
        )
        warn_once("paths that a proxy removes", path, text)
