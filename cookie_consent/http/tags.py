"""Reads from the Content-Security-Policies of a page what our tags may do: their nonces, and whether they are inline.

Section numbers refer to CSP Level 3, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from cookie_consent.base.request_fields import Headers

ENFORCED = b"content-security-policy"
REPORTED = b"content-security-policy-report-only"
_DIRECTIVE = re.compile(rb"(?:^|;)[\t ]*((?:script|style|default)-src(?:-elem)?)(?![\w-])([^;]*)", re.IGNORECASE)
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_VOIDS_INLINE = re.compile(rb"'(?:nonce-|sha\d|strict-dynamic')", re.IGNORECASE)
"""Sources beside which 'unsafe-inline' does not count (section 6.7.3.2)."""
_LONGEST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class TagRules:
    """What a page's policies say of our tags.

    Args:
        script_nonce: the nonce for scripts; "" for none.
        style_nonce: the nonce for stylesheets; "" for none.
        inline_script: whether a script may be in the page.
        inline_style: whether a stylesheet may be.
        own_script: whether a script of the site's own is surely allowed.
    """

    script_nonce: str = ""
    style_nonce: str = ""
    inline_script: bool = True
    inline_style: bool = True
    own_script: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether a page has the same tags of ours as one without a policy, but for the line that imports a script."""
        return self.inline_style and self.own_script and not (self.script_nonce or self.style_nonce)

    def only_files(self) -> TagRules:
        """Return the rules for a page where nothing of ours may be inline."""
        return replace(self, inline_script=False, inline_style=False)


NO_RULES = TagRules()
"""The rules of a page without a policy."""


def tag_rules(headers: Headers) -> TagRules:
    """Return what the policies in header fields say of our tags. Report-only ones count: nothing is to be reported.

    A nonce of an enforced policy precedes that of another. It consists of base64 characters (section 2.3.1), so it is
    safe in an HTML attribute.
    """
    fields = [value for kind in (ENFORCED, REPORTED) for name, value in headers if name.lower() == kind]
    return rules_in(b",".join(fields)) if fields else NO_RULES


def rules_in(value: bytes) -> TagRules:
    """Return what the policies in a header field, which commas part, say of our tags."""
    # A nonce never comes again.
    is_kept = len(value) <= _LONGEST_KEPT and _NONCE.search(value) is None
    return _read(value) if is_kept else _read.__wrapped__(value)


def has_policy(head: bytes) -> bool:
    """Return whether the head of a page may have a policy in a meta tag."""
    return b"content-security-policy" in head.lower()


@lru_cache(maxsize=256)
def _read(value: bytes) -> TagRules:
    scripts = _sources(value, b"script-src")
    styles = _sources(value, b"style-src")
    script_nonce = _first_nonce(scripts)
    style_nonce = _first_nonce(styles)
    return TagRules(
        script_nonce.decode(),
        style_nonce.decode(),
        inline_script=all(_allows_inline(sources, script_nonce) for sources in scripts),
        inline_style=all(_allows_inline(sources, style_nonce) for sources in styles),
        own_script=all(_allows_own(sources, script_nonce) for sources in scripts),
    )


def _sources(value: bytes, directive: bytes) -> list[bytes]:
    """Return the sources of a directive in each policy where it, or one in its place, is present (section 6.8.3)."""
    found = []
    for policy in value.split(b","):
        # Of several with a name, the first counts.
        directives = {name.lower(): sources for name, sources in reversed(_DIRECTIVE.findall(policy))}
        names = (directive + b"-elem", directive, b"default-src")
        found += [directives[name] for name in names if name in directives][:1]
    return found


def _first_nonce(policies: Iterable[bytes]) -> bytes:
    return next((nonce for sources in policies for nonce in _NONCE.findall(sources)), b"")


def _allows_inline(sources: bytes, nonce: bytes) -> bool:
    is_open = b"'unsafe-inline'" in sources.lower() and _VOIDS_INLINE.search(sources) is None
    return is_open or _has_nonce(sources, nonce)


def _allows_own(sources: bytes, nonce: bytes) -> bool:
    lowered = sources.lower()
    return _has_nonce(sources, nonce) or (b"'self'" in lowered and b"'strict-dynamic'" not in lowered)


def _has_nonce(sources: bytes, nonce: bytes) -> bool:
    return bool(nonce) and nonce in _NONCE.findall(sources)
