"""The middleware's own cookies, as the settings page and the evidence of it list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cookie_consent.base.bounds import keep
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import Place
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy

_MAX_KEPT = 64
_DESCRIPTIONS = {"consent": "cookie_consent", "signal": "cookie_signal", "visitor": "cookie_visitor"}
"""Kind of our own cookies -> the name of the text that describes it."""


class CookieList:
    """Returns the middleware's own cookies as if a policy declared them.

    Args:
        own_cookies: the middleware's own cookies.
        has_log: whether there is an access log. Only then visitors get an id, and one to erase by when they withdraw.
    """

    def __init__(self, own_cookies: OwnCookies, *, has_log: bool) -> None:
        self._own_cookies, self._has_log = own_cookies, has_log
        self._lists: dict[tuple[Policy, str, Place], tuple[Cookie, ...]] = {}

    def under(self, policy: Policy, *, base: str, place: Place) -> tuple[Cookie, ...]:
        """Return the list. It is cached.

        Args:
            policy: the policy that applies to the page.
            base: the address of the endpoints.
            place: where our own cookies live.
        """
        key = (policy, base, place)
        cookies = self._lists.get(key)
        if cookies is None:
            cookies = self._make(policy, base, place=place)
            keep(self._lists, key, cookies, most=_MAX_KEPT, length=len(base))
        return cookies

    def _make(self, policy: Policy, base: str, *, place: Place) -> tuple[Cookie, ...]:
        words = {language: Wording(policy, language) for language in policy.site.languages}
        declared = self._described(policy, words, place=place)
        about = {language: text("cookie_saved") for language, text in words.items()}
        declared = (*declared, self._own_cookies.saved.declared(about, secure=place.secure))
        if self._own_cookies.state is not None:
            about = {language: text("cookie_state") for language, text in words.items()}
            declared = (*declared, self._own_cookies.state.declared(about, place=place))
        if not self._has_log or all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
            return declared
        erasure = Cookie(
            name=self._own_cookies.name("erasure", place=place),
            purpose=NECESSARY,
            duration=min(policy.access_records_kept or LONGEST_COOKIE, LONGEST_COOKIE),
            path=base,
            domain=place.domain,
            description={language: text("cookie_erasure") for language, text in words.items()},
        )
        return (*declared, erasure)

    def _described(self, policy: Policy, words: Mapping[str, Wording], *, place: Place) -> tuple[Cookie, ...]:
        """Return the cookies of answers, signals and visitor ids, with what each is for."""
        texts = {self._own_cookies.name(kind, place=place): text for kind, text in _DESCRIPTIONS.items()}
        return tuple(
            replace(cookie, description={language: words[language](texts[cookie.name]) for language in words})
            for cookie in self._own_cookies.declared(policy, has_log=self._has_log, place=place)
        )
