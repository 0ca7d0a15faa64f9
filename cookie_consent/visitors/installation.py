"""The parts of one installation: the middleware makes them, and hands them to what uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visit import Visits
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.retention import Retention
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.visitors.answers.recent_answers import RecentAnswers
from cookie_consent.visitors.app_language import AppLanguage
from cookie_consent.visitors.help_desk_notice import Desk
from cookie_consent.visitors.pages.pages import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The parts of one installation.

    Args:
        policy: the site's policy.
        prefix: the path of the endpoints, without a slash at its end.
        own: our own cookies.
        gate: knows which cookies may pass.
        visits: reads requests.
        pages: makes what visitors read.
        ledger: keeps consent records, or None.
        retention: removes what is due from it, or None.
        access_log: keeps access records, or None.
        forms: signs the forms of the help desk.
        desk: tells the help desk, or None.
        clock: returns seconds since 1970.
        app_language: tells the app's own language for a request; None where the app has not said how.
        edit_csp: whether recipients' origins come and go in the app's Content-Security-Policy.
        recent_answers: remembers answers and erasures for the requests that run meanwhile.
    """

    policy: Policy
    prefix: str
    own: OwnCookies
    gate: Gate
    visits: Visits
    pages: Pages
    ledger: Ledger | None
    retention: Retention | None
    access_log: AccessLog | None
    forms: Signer
    desk: Desk | None
    clock: Callable[[], float]
    app_language: AppLanguage | None
    edit_csp: bool
    recent_answers: RecentAnswers
