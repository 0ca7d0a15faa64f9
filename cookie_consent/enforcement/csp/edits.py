"""Remembers how policies of the app were edited, because an app sends the same few again and again."""

from __future__ import annotations

from collections.abc import Callable

from cookie_consent.base.limits import evict_if_full
from cookie_consent.enforcement.csp.recipients import Sources, edited_field
from cookie_consent.enforcement.csp.tags import NONCE

_MAX_KEPT = 512
_LONGEST = 4096
"""Bytes. Longer policies are edited anew each time."""
_IN_PLACE = b"\0"
"""In place of a nonce. No header field contains a NUL."""


class Edits:
    """Edits header fields as `edited_field` does. A policy with a new nonce is the same policy.

    Args:
        note: is called with each policy that is not remembered.
    """

    def __init__(self, note: Callable[[bytes], None] = lambda _: None) -> None:
        self._note = note
        # By the identity of the sources, which the values keep alive.
        self._kept: dict[tuple[int, bytes], tuple[Sources, bytes, bool]] = {}

    def __call__(self, value: bytes, sources: Sources) -> tuple[bytes, bool]:
        """Return the edited field, and whether a grant would add an origin.

        Args:
            value: the value of the field.
            sources: the result of `recipient_sources`.
        """
        found = NONCE.search(value)
        # With its quotes, or else the text of a short nonce might be in an origin, too.
        nonce = found[0] if found else b""
        shape = value.replace(nonce, _IN_PLACE) if nonce else value
        kept = self._kept.get((id(sources), shape))
        if kept is None:
            self._note(value)
            edited, lacks = edited_field(value, sources)
            if not self._may_keep(value, shape):
                return edited, lacks
            evict_if_full(self._kept, _MAX_KEPT)
            kept = sources, edited.replace(nonce, _IN_PLACE) if nonce else edited, lacks
            self._kept[id(sources), shape] = kept
        return kept[1].replace(_IN_PLACE, nonce) if nonce else kept[1], kept[2]

    def _may_keep(self, value: bytes, shape: bytes) -> bool:
        """Tell whether a policy is likely to come again: it is short, and has no second nonce."""
        return len(value) <= _LONGEST and _IN_PLACE not in value and NONCE.search(shape) is None
