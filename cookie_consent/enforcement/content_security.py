"""The app's own Content-Security-Policy: which nonces it gives, and the recipients' origins that belong in it now.

Sections are those of CSP Level 3, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

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
"""What holds in place of a directive that is missing: the first that is there (section 6.8.3)."""
_NAMES = {
    "form-action": (b"form-action",),
    "script": (_SCRIPT, b"script-src-elem"),
    "style": (_STYLE, b"style-src-elem"),
}
"""What a directive of a recipient is called in a policy, where that is not its name and "-src"."""
_OF_ELEMENTS = (b"script-src-elem", b"style-src-elem")
_NONE = b"'none'"
_NONCE = re.compile(rb"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_WORD = re.compile(rb"[^\t\n\f\r ]+")


@dataclass(frozen=True, slots=True)
class Origins:
    """What recipients need in one directive: the origins that are allowed now, and those that are not."""

    allowed: tuple[bytes, ...]
    refused: frozenset[bytes]


Sources = Mapping[bytes, Origins]
"""Directive -> the recipients' origins in it. A directive comes after those that it falls back to."""


def is_there(headers: Headers) -> bool:
    """Return whether a response has a Content-Security-Policy of the app's, enforced or reported."""
    return any(name.lower() in (_ENFORCED, _REPORTED) for name, _ in headers)


def nonces(headers: Headers) -> tuple[str, str]:
    """Return the nonces that a script and a stylesheet of ours may carry; "" where the app gives none.

    In each policy the directive that holds for such an element counts (section 6.8.3). A policy that only reports
    counts where no enforced one gives a nonce. The letters of a nonce are those of base64 (section 2.3.1), so it is
    safe in an HTML attribute; browsers tell capitals from small letters in it (section 6.7.2.3).
    """
    fields = [value for kind in (_ENFORCED, _REPORTED) for name, value in headers if name.lower() == kind]
    policies = [policy for value in fields for policy in _policies(value)]
    return _first_nonce(policies, b"script-src-elem"), _first_nonce(policies, b"style-src-elem")


def recipient_sources(policy: Policy, purposes: Mapping[str, bool]) -> Sources:
    """Return the origins of the recipients, for each directive that they name.

    Args:
        policy: declares the recipients.
        purposes: purpose id -> whether it is allowed; one that is missing is not.
    """
    return _sources(policy, frozenset(purpose for purpose, is_allowed in purposes.items() if is_allowed))


@lru_cache(maxsize=256)
def _sources(policy: Policy, purposes: frozenset[str]) -> Sources:
    """Return the same for the purposes that are allowed; it is the same for all requests that allow them."""
    sources: dict[bytes, Origins] = {}
    for directive in DIRECTIVES:
        named = [recipient for recipient in policy.recipients if directive in recipient.directives]
        allowed = _origins(recipient for recipient in named if recipient.purpose in purposes)
        refused = frozenset(_origins(named)) - frozenset(allowed)
        if allowed or refused:
            names = _NAMES.get(directive, (f"{directive}-src".encode(),))
            sources |= dict.fromkeys(names, Origins(allowed, refused))
    return sources


def with_recipients(headers: Headers, sources: Sources) -> tuple[Headers, bool]:
    """Return the fields of a response with those origins of recipients in the app's policies that are allowed now.

    The app's policies are edited, since one more could only restrict further (section 8.1). An app that has none
    stays without. A missing directive is made, as a copy of the one that holds in its place, only where an origin comes
    or goes. All else stays byte for byte, and the list itself comes back where nothing changes.

    With 'strict-dynamic' browsers ignore the hosts listed for scripts (section 8.2). They are edited all the same,
    but what holds a refused script back is then its template, and what it can reach connect-, img- and frame-src.

    Args:
        headers: the fields of a response.
        sources: what `recipient_sources` returned.

    Returns:
        The fields, and whether an enforced policy lacks an origin that a grant would add. Such a grant needs a reload,
        since a page cannot loosen the policy that it came with.
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
    """A policy as browsers read it: the first ASCII directive of each name counts (section 2.2.1)."""

    def __init__(self, serialized: bytes) -> None:
        self._parts = serialized.split(b";")
        self._places: dict[bytes, int] = {}
        for place, part in enumerate(self._parts):
            name = _WORD.search(part)
            if name and part.isascii():
                self._places.setdefault(name[0].lower(), place)

    def holding(self, directive: bytes) -> bytes | None:
        """Return the directive that holds for another: itself, or what it falls back to; None where nothing does."""
        names = (directive, *_FALLBACKS.get(directive, (_DEFAULT,)))
        return next((name for name in names if name in self._places), None)

    def words(self, directive: bytes) -> list[bytes]:
        """Return the source expressions that hold for a directive."""
        holding = self.holding(directive)
        return [] if holding is None else _WORD.findall(self._parts[self._places[holding]])[1:]

    def edit(self, directive: bytes, origins: Origins) -> bool:
        """Add the allowed origins and take out the refused; return whether a grant would add some of these.

        A missing child-src is not made where script-src holds for workers: it would take its place for them. Those of
        elements are only edited where the app has them: else script-src and style-src speak for them.
        """
        holding = self.holding(directive)
        if holding is None or (directive == _CHILD and self.holding(_WORKER) == _SCRIPT):
            return False
        if directive in _OF_ELEMENTS and holding != directive:
            return False
        words = self.words(directive)
        there = _lowered(words)
        if not there.issuperset(origins.allowed) or there & origins.refused:
            self._write(directive, _edited_words(words, origins))
        return not origins.refused <= _lowered(self.words(directive))

    def serialized(self) -> bytes:
        """Return the policy as a response carries it."""
        return b";".join(self._parts)

    def _write(self, directive: bytes, words: list[bytes]) -> None:
        if directive not in self._places:
            if _WORD.search(self._parts[-1]):
                self._parts.append(b" ")
            self._parts[-1] += directive
            self._places[directive] = len(self._parts) - 1
        place = self._places[directive]
        spelled = _WORD.findall(self._parts[place])[0]
        before = self._parts[place].partition(spelled)[0]
        self._parts[place] = before + b" ".join([spelled, *words])


def _policies(value: bytes) -> list[_AppPolicy]:
    return [_AppPolicy(policy) for policy in value.split(b",")]


def _first_nonce(policies: Iterable[_AppPolicy], directive: bytes) -> str:
    matches = (_NONCE.fullmatch(word) for policy in policies for word in policy.words(directive))
    return next((match[1].decode() for match in matches if match), "")


def _origins(recipients: Iterable[Recipient]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(origin.encode() for recipient in recipients for origin in recipient.origins))


def _edited_field(value: bytes, sources: Sources) -> tuple[bytes, bool]:
    policies = _policies(value)
    lacks = [policy.edit(*source) for policy in policies for source in sources.items()]
    return b",".join(policy.serialized() for policy in policies), any(lacks)


def _edited_words(words: list[bytes], origins: Origins) -> list[bytes]:
    """Return source expressions with the allowed origins and without the refused; 'none' where none are left.

    Beside others browsers ignore 'none' (section 6.7.2.7), so it goes where some are added.
    """
    kept = [word for word in words if word.lower() not in origins.refused]
    there = _lowered(kept)
    added = [origin for origin in origins.allowed if origin not in there]
    if added:
        kept = [word for word in kept if word.lower() != _NONE]
    return [*kept, *added] or [_NONE]


def _lowered(words: Iterable[bytes]) -> set[bytes]:
    return {word.lower() for word in words}
