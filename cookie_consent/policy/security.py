"""The header fields of a policy file that limit what browsers do: `[security]`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

from cookie_consent.policy.errors import Row, did_you_mean
from cookie_consent.policy.parts import CheckedPart
from cookie_consent.policy.syntax import Fault

_OF_SOURCES = frozenset((
    "base-uri", "form-action", "frame-ancestors",
    "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src", "frame-src", "img-src", "manifest-src",
    "media-src", "object-src", "script-src", "script-src-attr", "script-src-elem", "style-src", "style-src-attr",
    "style-src-elem", "worker-src",
))  # fmt: skip
DIRECTIVES = _OF_SOURCES.union((
    "report-to", "report-uri", "require-sri-for", "require-trusted-types-for", "sandbox", "trusted-types",
    "upgrade-insecure-requests", "webrtc",
))  # fmt: skip
"""The names of directives."""
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


def _check_csp(value: str) -> Iterator[Fault]:
    seen = set[str]()
    if "," in value:
        yield "a comma would begin a second policy", 'Part directives by ";" and sources by spaces.'
    for words in filter(None, (part.split() for part in value.split(";"))):
        directive = words[0].lower()
        if directive not in DIRECTIVES:
            yield f'"{directive}" is no directive', did_you_mean(directive, DIRECTIVES)
        if directive in seen:
            yield f'browsers ignore the second "{directive}"', "Write all its sources behind the first one."
        seen.add(directive)
        for source in words[1:]:
            if directive in _OF_SOURCES and source.lower() in _KEYWORDS:
                yield f"browsers read {source} as the name of a host", f"Write '{source}'."
            if directive in _OF_SOURCES and source.lower().startswith(_LETS_OTHERS_IN):
                yield (
                    f"with {source}, a script is loaded from any host",
                    "Leave it out here. A policy of your app may have it: browsers obey both.",
                )


def _check_permissions(value: str) -> Iterator[Fault]:
    features = re.split(r",(?![^()]*\))", value)
    if wrong := next((feature for feature in features if not _FEATURE.fullmatch(feature.strip())), None):
        yield (
            f'"{wrong.strip()}" cannot be read',
            'Write features with their origins, as in "camera=(), geolocation=(self)".',
        )


def _check_referrer_policy(value: str) -> Iterator[Fault]:
    for word in value.replace(",", " ").split():
        if word not in _REFERRER_POLICIES:
            yield f'"{word}" is no referrer policy', did_you_mean(word, _REFERRER_POLICIES)


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

    content_security_policy: Annotated[str, _check_csp] = ""
    permissions_policy: Annotated[str, _check_permissions] = ""
    referrer_policy: Annotated[str, _check_referrer_policy] = ""

    def _rows(self) -> Iterator[Row]:
        for key, value in asdict(self).items():
            yield (
                not (value.isascii() and value.isprintable()),
                key,
                "a header field has only printable ASCII characters",
                "Write it in one line of ASCII characters; three quotes with a backslash at the end of each line do.",
            )
