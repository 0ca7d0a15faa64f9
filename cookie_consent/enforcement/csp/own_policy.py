"""The Content-Security-Policy that the middleware sends where the app sends none."""

from __future__ import annotations

from functools import lru_cache

from cookie_consent.enforcement.csp.parsing import DEFAULT, NONE, REPORT_TO, REPORT_URI, STYLE, ParsedPolicy, parsed
from cookie_consent.enforcement.csp.recipients import Sources, edit
from cookie_consent.enforcement.csp.tags import allows_inline_style, own_styles

DEFAULT_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""What is sent if the policy file has no content_security_policy. Inline scripts need the response's nonce."""
ENDPOINT = "consent"
"""The name of our endpoint for reports in Reporting-Endpoints (Reporting API, section 3.2)."""
_NOT_COVERED = {b"form-action": [b"'self'"], b"base-uri": [b"'self'"]}
"""Directives that default-src does not cover, and what is added if the site's policy lacks them. Without form-action a
form is sent anywhere; without base-uri a <base> moves the site's own relative addresses to another host."""


class OwnPolicy:
    """Makes the policies of a site, which differ only in the allowed recipients.

    Args:
        text: the policy for a visitor who allowed nothing, or "" for the default.

    Attributes:
        text: the policy, with what it lacked.
        reports_here: whether it reports to us, and not to an address of its own.
    """

    def __init__(self, text: str) -> None:
        policy = ParsedPolicy((text or DEFAULT_POLICY).encode())
        for directive, sources in _NOT_COVERED.items():
            if policy.holding(directive) != directive:
                policy.write(directive, sources)
        _allow_own_styles(policy)
        self.text = policy.serialized()
        self.reports_here = not (policy.has(REPORT_URI) or policy.has(REPORT_TO))

    def value(self, sources: Sources, reports: str, *, secure: bool) -> bytes:
        """Return the policy for a visitor.

        Args:
            sources: the origins of the recipients.
            reports: the path that takes reports.
            secure: whether the page came over https.
        """
        policy = ParsedPolicy(self.text)
        edit(policy, sources)
        value = policy.serialized()
        return with_reports(value, reports, secure=secure) if self.reports_here else value


def with_reports(value: bytes, path: str, *, secure: bool) -> bytes:
    """Return a header field whose policies report violations, in both ways that browsers know (section 6.5).

    A browser that knows report-to ignores report-uri. Chromium then reports nothing from pages over http.
    """
    policies = parsed(value)
    for policy in policies:
        policy.write(REPORT_URI, [path.encode()])
        if secure:
            policy.write(REPORT_TO, [ENDPOINT.encode()])
    return b",".join(policy.serialized() for policy in policies)


@lru_cache(maxsize=64)
def endpoints_field(path: str) -> tuple[bytes, bytes]:
    """Return the Reporting-Endpoints field that names our endpoint."""
    return b"reporting-endpoints", f'{ENDPOINT}="{path}"'.encode()


def _allow_own_styles(policy: ParsedPolicy) -> None:
    """Add the hashes of our inline stylesheets, which never change: so our pages need no nonce, and stay cacheable."""
    holding = policy.holding(b"style-src-elem")
    if holding is None or allows_inline_style([policy.serialized()], ""):
        return
    kept = [word for word in policy.words(b"style-src-elem") if word.lower() != NONE]
    policy.write(STYLE if holding == DEFAULT else holding, [*kept, *sorted(own_styles())])
