"""The middleware's own cookies, as the settings page and the evidence of it list them."""

from __future__ import annotations

from dataclasses import replace

from cookie_consent.decision.place import Place
from cookie_consent.http.site import Site
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import Cookie, Texts
from cookie_consent.policy.policy import Policy


def list_own_cookies(site: Site, policy: Policy, base: str, place: Place) -> tuple[Cookie, ...]:
    """Return our own cookies as if the policy of a page declared them."""
    declared = site.own_cookies.declare(policy, place, base, has_log=site.access_log is not None)
    return tuple(replace(cookie, description=translate(policy, spec.text)) for spec, cookie in declared)


def translate(policy: Policy, text: str) -> Texts:
    """Return a text in each language of a policy."""
    return {language: Wording(policy, language)(text) for language in policy.site.languages}
