"""Cookie consent for ASGI apps, enforced on the server."""

from cookie_consent.decision.decision import Decision
from cookie_consent.enforcement.features import requires
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
    "Policy",
    "PolicyError",
    "Purpose",
    "Recipient",
    "Service",
    "Site",
    "requires",
]
