"""The parts of an installed middleware, which it creates and passes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cookie_consent.base.request_fields import Headers
from cookie_consent.decision.cookie_log import CookieLog
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.visit import Visits
from cookie_consent.http.told_by_app import AppLanguage
from cookie_consent.pages.pages import Pages
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.ledgers.retention import Retention
    from cookie_consent.tracing.access_log import AccessLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The parts of an installed middleware.

    Args:
        policy: the site's policy.
        prefix: the path of the endpoints, without a final slash.
        own_cookies: the middleware's own cookies.
        gate: says which cookies pass.
        cookie_log: counts blocked cookies, and warns of them.
        visits: reads requests.
        pages: renders the pages.
        ledger: the ledger of consent records, or None.
        retention: removes expired records from the ledger, or None.
        access_log: the access log, or None.
        desk: is called for each request to the help desk, or None.
        clock: returns seconds since 1970.
        app_language: returns the app's language for a request; None if the app makes no choice.
        reloads: whether pages have to be loaded again after a grant, since their Content-Security-Policy differs.
    """

    policy: Policy
    prefix: str
    own_cookies: OwnCookies
    gate: Gate
    cookie_log: CookieLog
    visits: Visits
    pages: Pages
    ledger: Ledger | None
    retention: Retention | None
    access_log: AccessLog | None
    desk: Callable[[dict[str, Any]], Any] | None
    clock: Callable[[], float]
    app_language: AppLanguage | None
    reloads: bool

    def block_cookies(self, fields: Headers, purposes: Mapping[str, bool]) -> Headers:
        """Return the header fields of a response without the blocked cookies, which are counted and logged."""
        passed, findings = self.gate.filter_response(fields, purposes, self.clock())
        if findings:
            self.cookie_log.note_response(findings)
        return passed
