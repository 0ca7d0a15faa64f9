"""A middleware of ours inside another one: which of them asks, and what the log says."""

from __future__ import annotations

import logging
from typing import Any

from cookie_consent.decision.gate import CookieDeclarations
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.http.request_consent import RequestConsent

_log = logging.getLogger("cookie_consent")


class Nesting:
    """Heeds a middleware of ours around this one.

    That is right where each has cookies of its own, and the outer policy declares those of the inner one. Else the
    outer one holds back what the inner one sets, so that nobody can answer the inner one.

    Args:
        own_cookies: the inner middleware's own cookies.
    """

    def __init__(self, own_cookies: OwnCookies) -> None:
        self._names = own_cookies.names("consent")
        self._was_checked = False

    def heed(self, outer: Any, inner: RequestConsent) -> None:
        """Leave the question to the outer middleware if both have the same endpoints. The first time, log advice.

        Args:
            outer: what the outer middleware left in the state of the request.
            inner: the decision of the inner middleware, as the app sees it.
        """
        if not isinstance(outer, RequestConsent):
            return
        is_same = outer.base == inner.base
        if is_same:
            inner.asks_itself = True  # so it gets no second question, and no second link
        if self._was_checked:
            return
        self._was_checked = True
        if is_same:
            _log.warning(
                'ConsentMiddleware is installed twice, one inside the other, both with prefix "%s". The outer one asks '
                "and answers; both enforce. Remove one.",
                inner.base,
            )
        elif not self._is_declared_by(outer):
            _log.warning(
                'The ConsentMiddleware with its endpoints at "%s" is inside another one, at "%s", whose policy does '
                "not declare its cookies: answers to it do not reach browsers. Remove it, and give this part of the "
                'site conditions of its own in the outer policy: [services.NAME], path = "/...". Or give its cookies '
                "other names, by cookie_prefix=, and declare those in the outer policy.",
                inner.base,
                outer.base,
            )

    def _is_declared_by(self, outer: RequestConsent) -> bool:
        """Return whether the outer policy declares one of the cookies that store our answers."""
        declared = CookieDeclarations(outer.policy.cookies)
        return any(declared.get(name.encode("ascii")) for name in self._names)
