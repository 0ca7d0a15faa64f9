"""What people write, made fit to be kept and shown."""

from __future__ import annotations

import unicodedata

_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of what follows, also of what others wrote (Unicode Standard Annex 9)."""


def readable(text: str) -> str:
    """Return a text without what nobody reads: control characters, halves of characters, space around it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(sign for sign in text if sign in "\n\t" or _is_readable(sign)).strip()


def _is_readable(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp") and sign not in _DIRECTION
