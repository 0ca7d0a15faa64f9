"""Cookie consent for ASGI apps, enforced on the server.

What is public, here and in other modules, is listed in docs/reference/public-api.md.
"""

from cookie_consent.decision.decision import Decision, FeatureState
from cookie_consent.enforcement.request_consent import RequestConsent, consent_of
from cookie_consent.enforcement.requires import requires
from cookie_consent.middleware import ConsentMiddleware
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import Cookie, Feature, Purpose, Recipient, Service, Site
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.accounts import AccountAnswers

__all__ = [
    "AccountAnswers",
    "ConsentMiddleware",
    "Cookie",
    "Decision",
    "Feature",
    "FeatureState",
    "Policy",
    "PolicyError",
    "Purpose",
    "Recipient",
    "RequestConsent",
    "Service",
    "Site",
    "consent_of",
    "requires",
]
