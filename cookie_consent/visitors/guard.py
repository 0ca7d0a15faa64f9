"""Refuses POST requests from pages of other sites."""

from __future__ import annotations

from starlette.requests import Request

from cookie_consent.base.cross_site import is_cross_site
from cookie_consent.base.problem import Problem
from cookie_consent.visitors.origin_advice import UNSAID, OriginAdvice


class Guard:
    """Protects endpoints that change something."""

    def __init__(self) -> None:
        self._advice = OriginAdvice()

    def check(self, request: Request, path: str) -> None:
        """Refuse a request that a page of another site sent.

        Args:
            request: the request.
            path: its path inside the app.

        Raises:
            Problem: 403, it comes from another site.
        """
        fields = request.headers
        scheme, host = request.scope.get("scheme", "http"), fields.get("host", "")
        # All values: if there are several, each has to be right.
        fetch_sites, origins = fields.getlist("sec-fetch-site"), fields.getlist("origin")
        if is_cross_site(fetch_sites, origins, scheme, host):
            self._advice.log_advice(request.scope, fetch_sites, origins, host)
            why = "" if fetch_sites or origins else f" {UNSAID}"
            raise Problem(403, f"Only the site's own pages may do this.{why}", "error_cross_site")
