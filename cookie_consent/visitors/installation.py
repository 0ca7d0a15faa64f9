"""What a middleware was installed with: the parts that its answers come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cookie_consent.base.limits import RateLimit
from cookie_consent.base.paths import address
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visit import Visits, is_secure
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.retention import Retention
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.visitors.app_language import AppLanguage
from cookie_consent.visitors.first_answers import FirstAnswers
from cookie_consent.visitors.help_desk_notice import Desk
from cookie_consent.visitors.origin_advice import OriginAdvice
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.pages.wording import Wording
from cookie_consent.visitors.recent_answers import RecentAnswers

MOST_ANSWERS, ANSWERS_WITHIN = 60, 3600.0
"""So many answers of one consent id that leave a record are taken in so many seconds, by each process."""


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
        answer_limit: counts the answers of each consent id.
        first_answers: counts the answers without one.
        origin_advice: tells what to do where the site's own pages look like those of another one.
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
    answer_limit: RateLimit = field(default_factory=lambda: RateLimit(MOST_ANSWERS, ANSWERS_WITHIN))
    first_answers: FirstAnswers = field(default_factory=FirstAnswers)
    origin_advice: OriginAdvice = field(default_factory=OriginAdvice)

    def own_cookies(self, policy: Policy, scope: Mapping[str, Any]) -> tuple[Cookie, ...]:
        """Return our own cookies on a connection as a policy would declare them, for the settings page.

        Args:
            policy: as it holds there.
            scope: of the request.
        """
        secure = is_secure(scope)
        own = self.own.declared(policy, secure=secure)
        kept = policy.access_records_kept or LONGEST_COOKIE
        if self.access_log is None or all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
            return own
        languages = policy.site.languages
        erasure = Cookie(
            name=self.own.name("erasure", secure=secure),
            purpose=NECESSARY,
            duration=min(kept, LONGEST_COOKIE),
            path=self.base(scope),
            description={language: Wording(policy, language)("cookie_erasure") for language in languages},
        )
        return (*own, erasure)

    def base(self, scope: Mapping[str, Any]) -> str:
        """Return the address of the endpoints, with the path that the app is mounted at."""
        return address(scope.get("root_path", ""), self.prefix)
