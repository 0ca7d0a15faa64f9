"""Reads from Content-Security-Policies what our tags may do: their nonces, inline styles, and our script."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterable
from functools import cache, lru_cache

from cookie_consent.base.caching import Headers
from cookie_consent.enforcement.csp.parsing import (
    DEFAULT,
    ENFORCED,
    NONE,
    REPORTED,
    SCRIPT,
    STYLE,
    ParsedPolicy,
    lowered,
    parsed,
)
from cookie_consent.visitors.pages.stylesheet import inline_style

NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_HASH = (b"'sha256-", b"'sha384-", b"'sha512-")
_LONGEST_KEPT = 4096
_ANYWHERE = frozenset((b"'self'", b"*", b"http:", b"https:"))
_META = re.compile(rb"<meta\b[^>]*content-security-policy[^>]*>", re.IGNORECASE)
_CONTENT = re.compile(rb"""(?<![\w-])content\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)


def nonces(headers: Headers) -> tuple[str, str]:
    """Return the app's nonces for a script and for a stylesheet; "" for one that the app does not give.

    In each policy the directive that applies to the element counts (section 6.8.3). A report-only policy counts only
    if no enforced one gives a nonce. A nonce is case-sensitive (section 6.7.2.3). It consists of base64 characters
    (section 2.3.1), so it is safe in an HTML attribute.
    """
    fields = [value for kind in (ENFORCED, REPORTED) for name, value in headers if name.lower() == kind]
    policies = [policy for value in fields for policy in parsed(value)]
    return _first_nonce(policies, b"script-src-elem"), _first_nonce(policies, b"style-src-elem")


def meta_policies(head: bytes) -> list[bytes]:
    """Return the Content-Security-Policies in the meta tags of a page's head (HTML section 4.2.5.3).

    A tag that cannot be read counts as a policy that allows nothing.
    """
    if b"content-security-policy" not in head.lower():
        return []
    contents = [_CONTENT.search(tag) for tag in _META.findall(head)]
    return [_unescaped(content[content.lastindex or 0]) if content else b"default-src 'none'" for content in contents]


def allows_inline_style(policies: Iterable[bytes], nonce: str) -> bool:
    """Return whether a `<style>` may be in a page under policies (section 6.7.3.2 and 6.7.3.3).

    'unsafe-inline' does not count beside a hash. Of the hashes, those of our own stylesheets count.

    Args:
        policies: the values of the policies. Report-only ones should be among them, for nothing should be reported.
        nonce: the nonce of the `<style>`, or "".
    """
    return all(
        policy.holding(b"style-src-elem") is None or _allows_inline(policy.words(b"style-src-elem"), nonce)
        for value in policies
        for policy in parsed(value)
    )


def allows_inline_script(policies: Iterable[bytes], nonce: str) -> bool:
    """Return whether an inline `<script>` may be in a page under policies.

    'unsafe-inline' does not count beside 'strict-dynamic', either (section 6.7.3.2).

    Args:
        policies: the values of the policies. Report-only ones should be among them, for nothing should be reported.
        nonce: the nonce of the `<script>`, or "".
    """
    sources = [
        policy.words(b"script-src-elem")
        for value in policies
        for policy in parsed(value)
        if policy.holding(b"script-src-elem") is not None
    ]
    return all(
        _has_nonce(words, nonce) or (allows_all_inline(words) and b"'strict-dynamic'" not in lowered(words))
        for words in sources
    )


def allows_own_script(policies: Iterable[bytes], nonce: str) -> bool:
    """Return whether policies surely allow a script of the page's own origin.

    Args:
        policies: the values of the policies.
        nonce: the nonce of the script's tag, or "".
    """
    return all(
        policy.holding(b"script-src-elem") is None or _allows_own(policy.words(b"script-src-elem"), nonce)
        for value in policies
        for policy in parsed(value)
    )


def is_plain(policy: bytes) -> bool:
    """Return whether a page under a policy of the app has the same tags of ours as without it: they need no nonce."""
    return _is_plain(policy) if len(policy) <= _LONGEST_KEPT else _is_plain.__wrapped__(policy)


@lru_cache(maxsize=256)
def _is_plain(policy: bytes) -> bool:
    is_given = bool(policy) and NONCE.search(policy) is None
    return is_given and allows_inline_style([policy], "") and allows_own_script([policy], "")


def with_nonce(value: bytes, nonce: str) -> bytes:
    """Return a header field whose policies allow inline scripts and styles with a nonce.

    Where a policy allows all of them, it stays as it is: beside a nonce, 'unsafe-inline' does not count.
    """
    policies, source = parsed(value), f"'nonce-{nonce}'".encode()
    for policy in policies:
        for directive in (SCRIPT, STYLE):
            _add_nonce(policy, directive, source)
    return b",".join(policy.serialized() for policy in policies)


def _add_nonce(policy: ParsedPolicy, directive: bytes, source: bytes) -> None:
    element = directive + b"-elem"
    holding, words = policy.holding(element), policy.words(element)
    if holding is not None and not allows_all_inline(words):
        kept = [word for word in words if word.lower() != NONE]
        policy.write(directive if holding == DEFAULT else holding, [*kept, source])


@cache
def own_styles() -> frozenset[bytes]:
    """Return the hashes of our inline stylesheets, as sources (section 2.3.1)."""
    styles = (inline_style(name).encode() for name in ("choices.css", "link.css"))
    return frozenset(b"'sha256-%b'" % base64.b64encode(hashlib.sha256(style).digest()) for style in styles)


def _unescaped(attribute: bytes) -> bytes:
    return html.unescape(attribute.decode("latin-1")).encode("latin-1", "replace")


def _has_nonce(words: Iterable[bytes], nonce: str) -> bool:
    found = (NONCE.fullmatch(word) for word in words)
    return bool(nonce) and any(match is not None and match[1] == nonce.encode() for match in found)


def _allows_inline(words: list[bytes], nonce: str) -> bool:
    return allows_all_inline(words) or _has_nonce(words, nonce) or own_styles() <= set(words)


def allows_all_inline(words: list[bytes]) -> bool:
    """Return whether source expressions allow all inline code (section 6.7.3.2)."""
    present = lowered(words)
    is_listed = any(word.startswith((b"'nonce-", *_HASH)) for word in present)
    return b"'unsafe-inline'" in present and not is_listed


def _allows_own(words: list[bytes], nonce: str) -> bool:
    present = lowered(words)
    return _has_nonce(words, nonce) or (b"'strict-dynamic'" not in present and not _ANYWHERE.isdisjoint(present))


def _first_nonce(policies: Iterable[ParsedPolicy], directive: bytes) -> str:
    matches = (NONCE.fullmatch(word) for policy in policies for word in policy.words(directive))
    return next((match[1].decode() for match in matches if match), "")
