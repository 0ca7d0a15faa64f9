"""Takes browsers' reports: counts them, and logs those about which somebody has to do something."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.responses import Response

from cookie_consent.base.first_seen import FirstSeen
from cookie_consent.base.forms import read_body
from cookie_consent.base.limits import RateLimit
from cookie_consent.policy.origins import covers
from cookie_consent.policy.parts import Recipient
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.csp_reports.counts import ENFORCED, INCIDENT, TRIED, UNDECLARED, ReportCounts, counts
from cookie_consent.visitors.csp_reports.violation import OTHER, Violation, read_violations
from cookie_consent.visitors.inquiry import Inquiry

MAX_LOGGED = 50
"""The largest number of lines about what no policy allows."""
HOUR = 3600
_OUTCOMES = {True: "It was stopped", False: "It was not stopped, because the policy is report-only"}
_log = logging.getLogger("cookie_consent")


class ReportIntake:
    """Takes reports.

    Anybody can send them, so that they change nothing but counts, and the log is limited.

    Args:
        policy: the site's policy.
        totals: counts them.
    """

    def __init__(self, policy: Policy, totals: ReportCounts = counts) -> None:
        self._recipients, self._counts = policy.recipients, totals
        self._incidents, self._advice = RateLimit(1, HOUR), FirstSeen(MAX_LOGGED)

    async def take(self, inquiry: Inquiry) -> Response:
        """Count the violations in a report.

        Raises:
            Problem: 413 or 400, the body is too large or no report.
        """
        body = await read_body(inquiry.request.stream())
        for violation in read_violations(inquiry.content_type, body):
            self._note(violation, inquiry.now)
        return Response(status_code=204)

    def _note(self, violation: Violation, now: float) -> None:
        involved = [it for it in self._recipients if any(covers(origin, violation.blocked) for origin in it.origins)]
        refused = _refused(involved, violation.policy)
        recipient = next(iter(refused or involved), None)
        what = INCIDENT if refused else UNDECLARED
        how = ENFORCED if violation.is_enforced else TRIED
        self._counts.add((violation.directive, recipient.id if recipient else "", what, how))
        if refused:
            self._log_incident(violation, refused[0], now)
        elif violation.blocked != OTHER:
            self._log_advice(violation, recipient)

    def _log_incident(self, violation: Violation, recipient: Recipient, now: float) -> None:
        """Log that a page reaches for a recipient too early, once an hour for each recipient and directive."""
        if self._incidents.wait(f"{recipient.id} {violation.directive} {violation.is_enforced}", now):
            return
        _log.warning(
            'A browser reports that a page reached for "%s" (recipient "%s", %s) although "%s" was not allowed. %s. '
            "Load it only once that is granted: in a <template data-purpose>, or if consent.allows(…).",
            violation.blocked,
            recipient.id,
            violation.directive,
            recipient.purpose,
            _OUTCOMES[violation.is_enforced],
        )

    def _log_advice(self, violation: Violation, recipient: Recipient | None) -> None:
        """Log what no policy of the site allows, once for each directive and origin."""
        if self._advice.is_new(f"{violation.directive} {violation.blocked}"):
            _log.warning(
                'A browser reports "%s" on a page, which %s does not allow. %s. %s',
                violation.blocked,
                violation.directive,
                _OUTCOMES[violation.is_enforced],
                _advice(violation, recipient),
            )


def _refused(involved: Sequence[Recipient], policy: frozenset[str]) -> list[Recipient]:
    """Return the recipients whose purpose was not allowed on the page: its policy names them nowhere."""
    if any(not policy.isdisjoint(recipient.origins) for recipient in involved):
        return []
    return [recipient for recipient in involved if recipient.directives]


def _advice(violation: Violation, recipient: Recipient | None) -> str:
    kind = violation.directive.removesuffix("-elem").removesuffix("-attr").removesuffix("-src")
    if recipient is not None:
        return f'If it is meant, add "{kind}" to the directives of the recipient "{recipient.id}".'
    if violation.blocked == "inline":
        return (
            'Inline code of the site\'s own needs nonce="{{ csp_nonce }}"; attributes such as onclick cannot have one.'
        )
    place = f"add it to {violation.directive} in [security] content_security_policy."
    if "://" not in violation.blocked:
        return f"If it is meant, {place}"
    entry = f'[[recipients]] with origins = ["{violation.blocked}"] and directives = ["{kind}"]'
    return f"If it is the site's own, {place} If it is a third party's, declare it: {entry}."
