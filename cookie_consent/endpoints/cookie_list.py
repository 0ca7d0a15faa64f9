"""The middleware's own cookies, as the settings page and the evidence of it list them."""

from __future__ import annotations

from dataclasses import replace

from cookie_consent.decision.place import Place
from cookie_consent.http.site import Site
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie, Texts
from cookie_consent.policy.policy import Policy

_TEXTS = {"consent": "cookie_consent", "signal": "cookie_signal", "visitor": "cookie_visitor"}
"""Kind of our own cookies -> the name of the text that describes it."""


def list_own_cookies(site: Site, policy: Policy, base: str, place: Place) -> tuple[Cookie, ...]:
    """Return our own cookies as if the policy of a page declared them.

    Only with an access log visitors get an id, and one to erase by when they withdraw.
    """
    own_cookies = site.own_cookies
    has_log = site.access_log is not None
    texts = {own_cookies.name(kind, place=place): text for kind, text in _TEXTS.items()}
    cookies = [
        replace(cookie, description=translate(policy, texts[cookie.name]))
        for cookie in own_cookies.declared(policy, has_log=has_log, place=place)
    ]
    cookies.append(own_cookies.saved.declared(translate(policy, "cookie_saved"), secure=place.secure))
    if own_cookies.state is not None:
        cookies.append(own_cookies.state.declared(translate(policy, "cookie_state"), place=place))
    if has_log and not all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
        erasure = Cookie(
            name=own_cookies.name("erasure", place=place),
            purpose=NECESSARY,
            duration=min(policy.access_records_kept or LONGEST_COOKIE, LONGEST_COOKIE),
            path=base,
            domain=place.domain,
            description=translate(policy, "cookie_erasure"),
        )
        cookies.append(erasure)
    return tuple(cookies)


def translate(policy: Policy, text: str) -> Texts:
    """Return a text in each language of a policy."""
    return {language: Wording(policy, language)(text) for language in policy.site.languages}
