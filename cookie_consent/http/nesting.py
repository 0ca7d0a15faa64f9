"""A middleware of ours inside another one: which of them asks, and what the log says."""

from __future__ import annotations

from functools import partial
from typing import Any

from cookie_consent.base.messages import warn_once
from cookie_consent.decision.gate import CookieDeclarations
from cookie_consent.decision.own_cookies import CONSENT, OwnCookies
from cookie_consent.http.request_consent import RequestConsent


class Nesting:
    """Heeds a middleware of ours around this one.

    That is right where each has cookies of its own, and the outer policy declares those of the inner one. Else the
    outer one holds back what the inner one sets, so that nobody can answer the inner one.

    Args:
        own_cookies: the inner middleware's own cookies.
    """

    def __init__(self, own_cookies: OwnCookies) -> None:
        self._names = own_cookies.names(CONSENT)

    def heed(self, outer: Any, inner: RequestConsent) -> None:
        """Leave the question to the outer middleware if both have the same endpoints. The first time, log advice.

        Args:
            outer: what the outer middleware left in the state of the request.
            inner: the decision of the inner middleware, as the app sees it.
        """
        if not isinstance(outer, RequestConsent):
            return
        if outer.base == inner.base:
            inner.asks_itself = True  # so it gets no second question, and no second link
        warn_once("middlewares", f"{outer.base} {inner.base}", partial(self._advise, outer, inner))

    def _advise(self, outer: RequestConsent, inner: RequestConsent) -> str:
        if outer.base == inner.base:
            return (
                f'ConsentMiddleware is installed twice, one inside the other, both with prefix "{inner.base}". The '
                "outer one asks and answers; both enforce. Remove one."
            )
        if self._is_declared_by(outer):
            return ""
        return (
            f'The ConsentMiddleware with its endpoints at "{inner.base}" is inside another one, at "{outer.base}", '
            "whose policy does not declare its cookies: answers to it do not reach browsers. Remove it, and give this "
            'part of the site conditions of its own in the outer policy: [services.NAME], path = "/...". Or give its '
            "cookies other names, by cookie_prefix=, and declare those in the outer policy."
        )

    def _is_declared_by(self, outer: RequestConsent) -> bool:
        """Return whether the outer policy declares one of the cookies that store our answers."""
        declared = CookieDeclarations(outer.policy.cookies)
        return any(declared.get(name.encode("ascii")) for name in self._names)
