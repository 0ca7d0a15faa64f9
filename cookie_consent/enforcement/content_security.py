"""Reads from the app's Content-Security-Policy what our tags may do, and adds and removes the recipients' origins.

Section numbers refer to CSP Level 3, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cookie_consent.policy.parts import DIRECTIVES, Recipient
from cookie_consent.policy.policy import Policy

Headers = list[tuple[bytes, bytes]]

_ENFORCED, _REPORTED = b"content-security-policy", b"content-security-policy-report-only"
_CHILD, _DEFAULT, _SCRIPT, _STYLE, _WORKER = b"child-src", b"default-src", b"script-src", b"style-src", b"worker-src"
_FALLBACKS = {
    b"form-action": (),
    b"frame-src": (_CHILD, _DEFAULT),
    b"script-src-elem": (_SCRIPT, _DEFAULT),
    b"style-src-elem": (_STYLE, _DEFAULT),
    _WORKER: (_CHILD, _SCRIPT, _DEFAULT),
}
"""Directive -> its fallbacks. The first one present applies if the directive is missing (section 6.8.3)."""
_NAMES = {
    "form-action": (b"form-action",),
    "script": (_SCRIPT, b"script-src-elem"),
    "style": (_STYLE, b"style-src-elem"),
}
"""A recipient's directive -> its names in a policy, where they are not just the directive and "-src"."""
_OF_ELEMENTS = (b"script-src-elem", b"style-src-elem")
_NONE = b"'none'"
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_HASH = (b"'sha256-", b"'sha384-", b"'sha512-")
_ANYWHERE = frozenset((b"'self'", b"*", b"http:", b"https:"))
_WORD = re.compile(rb"[^\t\n\f\r ]+")
_META = re.compile(rb"<meta\b[^>]*content-security-policy[^>]*>", re.IGNORECASE)
_CONTENT = re.compile(rb"""(?<![\w-])content\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origins:
    """The recipients' origins in one directive, in lowercase.

    Args:
        allowed: those of the allowed recipients.
        refused: those of the others, without the ones that an allowed recipient needs.
    """

    allowed: tuple[bytes, ...]
    refused: frozenset[bytes]


Sources = Mapping[bytes, Origins]
"""Directive -> the recipients' origins in it. Fallbacks come before the directives that use them."""


def has_policy(headers: Headers) -> bool:
    """Return whether a response has a Content-Security-Policy, enforced or report-only."""
    return any(name.lower() in (_ENFORCED, _REPORTED) for name, _ in headers)


def nonces(headers: Headers) -> tuple[str, str]:
    """Return the app's nonces for a script and for a stylesheet; "" for one that the app does not give.

    In each policy the directive that applies to the element counts (section 6.8.3). A report-only policy counts only
    if no enforced one gives a nonce. A nonce is case-sensitive (section 6.7.2.3). It consists of base64 characters
    (section 2.3.1), so it is safe in an HTML attribute.
    """
    fields = [value for kind in (_ENFORCED, _REPORTED) for name, value in headers if name.lower() == kind]
    policies = [policy for value in fields for policy in _policies(value)]
    return _first_nonce(policies, b"script-src-elem"), _first_nonce(policies, b"style-src-elem")


def header_policies(headers: Headers) -> list[bytes]:
    """Return the Content-Security-Policies of a response, enforced or report-only."""
    return [value for name, value in headers if name.lower() in (_ENFORCED, _REPORTED)]


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

    Hashes are not looked at: 'unsafe-inline' does not count beside one, and the style's own is in no app's policy.

    Args:
        policies: the values of the policies. Report-only ones should be among them, for nothing should be reported.
        nonce: the nonce of the `<style>`, or "".
    """
    return all(
        policy.holding(b"style-src-elem") is None or _allows_inline(policy.words(b"style-src-elem"), nonce)
        for value in policies
        for policy in _policies(value)
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
        for policy in _policies(value)
    )


def recipient_sources(policy: Policy, purposes: Mapping[str, bool], refused: frozenset[str] = frozenset()) -> Sources:
    """Return the recipients' origins for each directive that they name.

    Args:
        policy: declares the recipients.
        purposes: purpose id -> whether it is allowed; a missing one is not.
        refused: ids of the recipients that are refused although their purpose is allowed.
    """
    return _sources(policy, frozenset(purpose for purpose, is_allowed in purposes.items() if is_allowed), refused)


@lru_cache(maxsize=256)
def _sources(policy: Policy, purposes: frozenset[str], refused: frozenset[str]) -> Sources:
    """Return the recipients' origins, given the ids of the allowed purposes and of the refused recipients."""
    sources: dict[bytes, Origins] = {}
    # In the order of DIRECTIVES, fallbacks such as "child" come before the directives that use them.
    for directive in DIRECTIVES:
        recipients = [recipient for recipient in policy.recipients if directive in recipient.directives]
        allowed = _origins(
            recipient for recipient in recipients if recipient.purpose in purposes and recipient.id not in refused
        )
        others = frozenset(_origins(recipients)) - frozenset(allowed)
        if allowed or others:
            names = _NAMES.get(directive, (f"{directive}-src".encode(),))
            sources |= dict.fromkeys(names, Origins(allowed, others))
    return sources


def with_recipients(headers: Headers, sources: Sources) -> tuple[Headers, bool]:
    """Return header fields whose policies list the allowed recipients' origins and none of the refused ones.

    The app's policies are edited, because an additional policy could only restrict further (section 8.1). An app
    without a policy does not get one. A missing directive is added only if an origin must be added or removed; it
    starts as a copy of the directive that applies in its place. Everything else stays byte for byte. If nothing
    changes, the same list is returned.

    With 'strict-dynamic', browsers ignore the hosts listed for scripts (section 8.2). The hosts are edited all the
    same, but a refused script is then held back by its <template>, and its requests by connect-, img- and frame-src.

    Args:
        headers: the header fields of a response.
        sources: the result of `recipient_sources`.

    Returns:
        The fields, and whether an enforced policy lacks an origin that a grant would add. Then a grant needs a reload,
        because a page cannot loosen the policy that it was loaded with.
    """
    edited, withheld = list(headers), False
    for position, (name, value) in enumerate(headers):
        kind = name.lower()
        if kind in (_ENFORCED, _REPORTED):
            field, lacks = _edited_field(value, sources)
            withheld |= lacks and kind == _ENFORCED
            if field != value:
                edited[position] = (name, field)
    return (headers if edited == headers else edited), withheld


class _AppPolicy:
    """A policy as browsers parse it: the first directive of each name counts, if it is ASCII (section 2.2.1)."""

    def __init__(self, serialized: bytes) -> None:
        self._parts = serialized.split(b";")
        self._places: dict[bytes, int] = {}
        for place, part in enumerate(self._parts):
            name = _WORD.search(part)
            if name and part.isascii():
                self._places.setdefault(name[0].lower(), place)

    def holding(self, directive: bytes) -> bytes | None:
        """Return the directive that applies for another: itself or its first present fallback, or None."""
        names = (directive, *_FALLBACKS.get(directive, (_DEFAULT,)))
        return next((name for name in names if name in self._places), None)

    def words(self, directive: bytes) -> list[bytes]:
        """Return the source expressions that apply for a directive."""
        holding = self.holding(directive)
        return [] if holding is None else _WORD.findall(self._parts[self._places[holding]])[1:]

    def edit(self, directive: bytes, origins: Origins) -> bool:
        """Add the allowed origins and remove the refused ones; return whether a grant would add an origin.

        A missing child-src is not added if script-src applies to workers, because child-src would replace it there.
        script-src-elem and style-src-elem are never added, because script-src and style-src are edited already.
        """
        holding = self.holding(directive)
        if holding is None or (directive == _CHILD and self.holding(_WORKER) == _SCRIPT):
            return False
        if directive in _OF_ELEMENTS and holding != directive:
            return False
        words = self.words(directive)
        present = _lowered(words)
        if not present.issuperset(origins.allowed) or present & origins.refused:
            self._write(directive, _edited_words(words, origins))
        return not origins.refused <= _lowered(self.words(directive))

    def serialized(self) -> bytes:
        """Return the policy as a header field's value."""
        return b";".join(self._parts)

    def _write(self, directive: bytes, words: list[bytes]) -> None:
        if directive not in self._places:
            # A policy may end with ";", which leaves an empty part to use.
            if _WORD.search(self._parts[-1]):
                self._parts.append(b" ")
            self._parts[-1] += directive
            self._places[directive] = len(self._parts) - 1
        place = self._places[directive]
        name = _WORD.findall(self._parts[place])[0]  # in the app's spelling
        before = self._parts[place].partition(name)[0]
        self._parts[place] = before + b" ".join([name, *words])


def _policies(value: bytes) -> list[_AppPolicy]:
    return [_AppPolicy(policy) for policy in value.split(b",")]


def _unescaped(attribute: bytes) -> bytes:
    return html.unescape(attribute.decode("latin-1")).encode("latin-1", "replace")


def _has_nonce(words: Iterable[bytes], nonce: str) -> bool:
    found = (_NONCE.fullmatch(word) for word in words)
    return bool(nonce) and any(match is not None and match[1] == nonce.encode() for match in found)


def _allows_inline(words: list[bytes], nonce: str) -> bool:
    lowered = _lowered(words)
    is_listed = any(word.startswith((b"'nonce-", *_HASH)) for word in lowered)
    return _has_nonce(words, nonce) or (b"'unsafe-inline'" in lowered and not is_listed)


def _allows_own(words: list[bytes], nonce: str) -> bool:
    lowered = _lowered(words)
    return _has_nonce(words, nonce) or (b"'strict-dynamic'" not in lowered and not _ANYWHERE.isdisjoint(lowered))


def _first_nonce(policies: Iterable[_AppPolicy], directive: bytes) -> str:
    matches = (_NONCE.fullmatch(word) for policy in policies for word in policy.words(directive))
    return next((match[1].decode() for match in matches if match), "")


def _origins(recipients: Iterable[Recipient]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(origin.encode() for recipient in recipients for origin in recipient.origins))


def _edited_field(value: bytes, sources: Sources) -> tuple[bytes, bool]:
    policies = _policies(value)
    # This is a list because `any` would stop a generator before every policy is edited.
    lacks = [policy.edit(*source) for policy in policies for source in sources.items()]
    return b",".join(policy.serialized() for policy in policies), any(lacks)


def _edited_words(words: list[bytes], origins: Origins) -> list[bytes]:
    """Return source expressions with the allowed origins and without the refused ones, or 'none' if none are left.

    Browsers ignore 'none' beside other expressions (section 6.7.2.7), so it is removed when an origin is added.
    """
    remaining = [word for word in words if word.lower() not in origins.refused]
    present = _lowered(remaining)
    added = [origin for origin in origins.allowed if origin not in present]
    if added:
        remaining = [word for word in remaining if word.lower() != _NONE]
    return [*remaining, *added] or [_NONE]


def _lowered(words: Iterable[bytes]) -> set[bytes]:
    return {word.lower() for word in words}
