"""Cookie consent for ASGI apps, enforced on the server.

What is public, here and in other modules, is listed in docs/reference/public-api.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cookie_consent.decision.decision import Decision, FeatureState
    from cookie_consent.http.request_consent import RequestConsent, consent_of
    from cookie_consent.http.requires import requires
    from cookie_consent.middleware import ConsentMiddleware
    from cookie_consent.policy.errors import PolicyError
    from cookie_consent.policy.parts import Cookie, Feature, Purpose, Recipient, Service, Site
    from cookie_consent.policy.policy import Policy

__all__ = [
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
_MODULES = {
    "decision.decision": ("Decision", "FeatureState"),
    "http.request_consent": ("RequestConsent", "consent_of"),
    "http.requires": ("requires",),
    "middleware": ("ConsentMiddleware",),
    "policy.errors": ("PolicyError",),
    "policy.parts": ("Cookie", "Feature", "Purpose", "Recipient", "Service", "Site"),
    "policy.policy": ("Policy",),
}
"""Module -> the public names that it defines."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used. The commands need little of the package, and start sooner so."""
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
