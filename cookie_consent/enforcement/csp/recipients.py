"""Adds the allowed recipients' origins to Content-Security-Policies, and removes those of refused ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from cookie_consent.base.caching import Headers
from cookie_consent.enforcement.csp.parsing import (
    CHILD,
    ENFORCED,
    NONE,
    REPORTED,
    SCRIPT,
    STYLE,
    WORKER,
    ParsedPolicy,
    lowered,
    parsed,
)
from cookie_consent.policy.parts import DIRECTIVES, Recipient
from cookie_consent.policy.policy import Policy

_NAMES = {
    "form-action": (b"form-action",),
    "script": (SCRIPT, b"script-src-elem"),
    "style": (STYLE, b"style-src-elem"),
}
"""A recipient's directive -> its names in a policy, where they are not just the directive and "-src"."""
_OF_ELEMENTS = (b"script-src-elem", b"style-src-elem")


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
Edit = Callable[[bytes, Sources], tuple[bytes, bool]]


def recipient_sources(
    policy: Policy,
    purposes: Mapping[str, bool],
    refused: frozenset[str] = frozenset(),
    shown: frozenset[str] = frozenset(),
) -> Sources:
    """Return the recipients' origins for each directive that they name.

    Args:
        policy: declares the recipients.
        purposes: purpose id -> whether it is allowed; a missing one is not.
        refused: ids of the recipients that are refused although their purpose is allowed.
        shown: ids of the recipients that are allowed on this page alone, whatever the visitor answered.
    """
    allowed = frozenset(purpose for purpose, is_allowed in purposes.items() if is_allowed)
    return _sources(policy, allowed, refused, shown)


@lru_cache(maxsize=256)
def _sources(policy: Policy, purposes: frozenset[str], refused: frozenset[str], shown: frozenset[str]) -> Sources:
    """Return the recipients' origins, given the ids of the allowed purposes and of refused and shown recipients."""
    sources: dict[bytes, Origins] = {}
    # In the order of DIRECTIVES, fallbacks such as "child" come before the directives that use them.
    for directive in DIRECTIVES:
        recipients = [recipient for recipient in policy.recipients if directive in recipient.directives]
        allowed = _origins(
            party
            for party in recipients
            if party.id in shown or (party.purpose in purposes and party.id not in refused)
        )
        others = frozenset(_origins(recipients)) - frozenset(allowed)
        if allowed or others:
            names = _NAMES.get(directive, (f"{directive}-src".encode(),))
            sources |= dict.fromkeys(names, Origins(allowed, others))
    return sources


def with_recipients(headers: Headers, sources: Sources, edit: Edit | None = None) -> tuple[Headers, bool]:
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
        edit: does what `edited_field` does.

    Returns:
        The fields, and whether an enforced policy lacks an origin that a grant would add. Then a grant needs a reload,
        because a page cannot loosen the policy that it was loaded with.
    """
    edited, withheld = list(headers), False
    for position, (name, value) in enumerate(headers):
        kind = name.lower()
        if kind in (ENFORCED, REPORTED):
            field, lacks = (edit or edited_field)(value, sources)
            withheld |= lacks and kind == ENFORCED
            if field != value:
                edited[position] = (name, field)
    return (headers if edited == headers else edited), withheld


def edit(policy: ParsedPolicy, sources: Sources) -> bool:
    """Edit a policy as `with_recipients` does; return whether a grant would add an origin."""
    # Not `any` over a generator, which would stop before every directive is edited.
    lacks = [_edit(policy, *source) for source in sources.items()]
    return any(lacks)


def _edit(policy: ParsedPolicy, directive: bytes, origins: Origins) -> bool:
    """Add the allowed origins and remove the refused ones; return whether a grant would add an origin.

    A missing child-src is not added if script-src applies to workers, because child-src would replace it there.
    script-src-elem and style-src-elem are never added, because script-src and style-src are edited already.
    """
    holding = policy.holding(directive)
    if holding is None or (directive == CHILD and policy.holding(WORKER) == SCRIPT):
        return False
    if directive in _OF_ELEMENTS and holding != directive:
        return False
    words = policy.words(directive)
    present = lowered(words)
    if not present.issuperset(origins.allowed) or present & origins.refused:
        policy.write(directive, _edited_words(words, origins))
    return not origins.refused <= lowered(policy.words(directive))


def _origins(recipients: Iterable[Recipient]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(origin.encode() for recipient in recipients for origin in recipient.origins))


def edited_field(value: bytes, sources: Sources) -> tuple[bytes, bool]:
    """Edit the policies in one header field as `with_recipients` does."""
    policies = parsed(value)
    lacks = [edit(policy, sources) for policy in policies]
    return b",".join(policy.serialized() for policy in policies), any(lacks)


def _edited_words(words: list[bytes], origins: Origins) -> list[bytes]:
    """Return source expressions with the allowed origins and without the refused ones, or 'none' if none are left.

    Browsers ignore 'none' beside other expressions (section 6.7.2.7), so it is removed when an origin is added.
    """
    remaining = [word for word in words if word.lower() not in origins.refused]
    present = lowered(remaining)
    added = [origin for origin in origins.allowed if origin not in present]
    if added:
        remaining = [word for word in remaining if word.lower() != NONE]
    return [*remaining, *added] or [NONE]
