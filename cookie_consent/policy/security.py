"""The header fields of a policy file that limit what browsers do: `[security]`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.parts import CheckedPart

_FETCH = (
    "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src", "frame-src", "img-src", "manifest-src",
    "media-src", "object-src", "script-src", "script-src-attr", "script-src-elem", "style-src", "style-src-attr",
    "style-src-elem", "worker-src",
)  # fmt: skip
_OTHER = (
    "base-uri", "form-action", "frame-ancestors", "report-to", "report-uri", "require-sri-for",
    "require-trusted-types-for", "sandbox", "trusted-types", "upgrade-insecure-requests", "webrtc",
)  # fmt: skip
DIRECTIVES = frozenset((*_FETCH, *_OTHER))
"""The names of directives."""
_OF_SOURCES = frozenset((*_FETCH, "base-uri", "form-action", "frame-ancestors"))
_KEYWORDS = frozenset((
    "none", "report-sample", "self", "strict-dynamic", "unsafe-eval", "unsafe-hashes", "unsafe-inline",
    "wasm-unsafe-eval",
))  # fmt: skip
_LETS_OTHERS_IN = ("'nonce-", "'strict-dynamic'")
"""Beginnings of sources with which a script loads further ones from wherever it likes."""
_FEATURE = re.compile(r"[a-z][a-z0-9-]*=(?:\*|\([^()]*\)|self|src|none|\?[01])(?:;[^,]*)?")
_REFERRER_POLICIES = (
    "no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin", "same-origin", "strict-origin",
    "strict-origin-when-cross-origin", "unsafe-url",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRules(CheckedPart):
    """Header fields that the middleware sends; "" for one that it does not send.

    The last two are sent where the app sends none.

    Args:
        content_security_policy: what browsers may load and connect to (CSP Level 3), beside policies of the app. The
            origins of recipients are added for those who granted their purposes.
        permissions_policy: which features of the browser pages may use (Permissions Policy, section 5).
        referrer_policy: what other sites learn of the page that a request comes from (Referrer Policy, section 3).

    Raises:
        PolicyError: browsers would ignore or misread a value.
    """

    content_security_policy: str = ""
    permissions_policy: str = ""
    referrer_policy: str = ""

    def _errors(self) -> Iterator[PolicyError]:
        for key in ("content_security_policy", "permissions_policy", "referrer_policy"):
            yield from _unprintable(getattr(self, key), key)
        yield from _errors_in_csp(self.content_security_policy)
        if self.permissions_policy:
            yield from _errors_in_permissions(self.permissions_policy)
        for word in self.referrer_policy.replace(",", " ").split():
            if word not in _REFERRER_POLICIES:
                remedy = did_you_mean(word, _REFERRER_POLICIES)
                yield PolicyError(f'"{word}" is no referrer policy', remedy, key="referrer_policy")


def _unprintable(value: str, key: str) -> Iterator[PolicyError]:
    if not (value.isascii() and value.isprintable()):
        remedy = "Write it in one line of ASCII characters; three quotes with a backslash at the end of each line do."
        yield PolicyError("a header field has only printable ASCII characters", remedy, key=key)


def _errors_in_csp(value: str) -> Iterator[PolicyError]:
    key, seen = "content_security_policy", set[str]()
    if "," in value:
        remedy = 'Part directives by ";" and sources by spaces.'
        yield PolicyError("a comma would begin a second policy", remedy, key=key)
    for words in filter(None, (part.split() for part in value.split(";"))):
        directive, sources = words[0].lower(), words[1:]
        if directive not in DIRECTIVES:
            remedy = did_you_mean(directive, DIRECTIVES)
            yield PolicyError(f'"{directive}" is no directive', remedy, key=key)
        if directive in seen:
            remedy = "Write all its sources behind the first one."
            yield PolicyError(f'browsers ignore the second "{directive}"', remedy, key=key)
        seen.add(directive)
        if directive in _OF_SOURCES:
            yield from _errors_in_sources(sources, key)


def _errors_in_sources(sources: list[str], key: str) -> Iterator[PolicyError]:
    for source in sources:
        if source.lower() in _KEYWORDS:
            yield PolicyError(f"browsers read {source} as the name of a host", f"Write '{source}'.", key=key)
        if source.lower().startswith(_LETS_OTHERS_IN):
            remedy = "Leave it out here. A policy of your app may have it: browsers obey both."
            yield PolicyError(f"with {source}, a script is loaded from any host", remedy, key=key)


def _errors_in_permissions(value: str) -> Iterator[PolicyError]:
    features = re.split(r",(?![^()]*\))", value)
    if wrong := next((feature for feature in features if not _FEATURE.fullmatch(feature.strip())), None):
        remedy = 'Write features with their origins, as in "camera=(), geolocation=(self)".'
        yield PolicyError(f'"{wrong.strip()}" cannot be read', remedy, key="permissions_policy")
