"""Lists our own cookies, for the settings page and for the evidence of it."""

from __future__ import annotations

from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.pages.wording import Wording

_MOST_KEPT = 64


class CookieList:
    """Lists our own cookies as a policy would declare them.

    Args:
        own: our own cookies.
        has_log: whether access records are kept. Then visitors who withdraw get a cookie to erase theirs by.
    """

    def __init__(self, own: OwnCookies, *, has_log: bool) -> None:
        self._own, self._has_log = own, has_log
        self._made: dict[tuple[Policy, str, bool], tuple[Cookie, ...]] = {}

    def under(self, policy: Policy, *, base: str, secure: bool) -> tuple[Cookie, ...]:
        """Return the list.

        Args:
            policy: the policy as it holds there.
            base: the address of the endpoints.
            secure: whether the connection is encrypted.
        """
        key = (policy, base, secure)
        made = self._made.get(key)
        if made is None:
            made = self._make(policy, base, secure=secure)
            if len(base) <= LONGEST_KEPT:
                evict_if_full(self._made, _MOST_KEPT)
                self._made[key] = made
        return made

    def _make(self, policy: Policy, base: str, *, secure: bool) -> tuple[Cookie, ...]:
        own = self._own.declared(policy, secure=secure)
        if not self._has_log or all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
            return own
        languages = policy.site.languages
        erasure = Cookie(
            name=self._own.name("erasure", secure=secure),
            purpose=NECESSARY,
            duration=min(policy.access_records_kept or LONGEST_COOKIE, LONGEST_COOKIE),
            path=base,
            description={language: Wording(policy, language)("cookie_erasure") for language in languages},
        )
        return (*own, erasure)
