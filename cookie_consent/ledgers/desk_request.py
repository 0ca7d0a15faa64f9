"""A request to the help desk, with the reference that names it and the secret that opens it."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from cookie_consent.base.dates import rfc3339

KINDS = ("see", "correct", "erase", "complain")
"""What a request is about: access, rectification or erasure (GDPR Articles 15 to 17), or a complaint."""
LONGEST_TEXT = 4000
"""Characters."""
LONGEST_ANSWER = 20_000
"""Characters."""
LONGEST_ADDRESS = 254
"""Characters: the longest address that fits a path of 256 with its brackets (RFC 5321 section 4.5.3.1.3)."""

_LETTERS = "23456789BCDFGHJKMNPQSTVWXYZ"
"""No two look alike, and without vowels they form no words. R is left out because it starts a reference."""
_GROUP = 4
_REFERENCE_GROUPS = 2
_SECRET_GROUPS = 7
"""28 of 27 possible letters: over 133 bits."""
_LONGEST_TYPED = 200
_NOT_A_SIGN = re.compile(r"[^0-9A-Z]")
# Visitors may leave out the R.
_REFERENCE = re.compile(f"R?([{_LETTERS}]{{{_REFERENCE_GROUPS * _GROUP}}})")
_ADDRESS = re.compile(r'[^\s@<>()\[\]\\,;:"]{1,64}@[^\s@<>()\[\]\\,;:".]+(\.[^\s@<>()\[\]\\,;:".]+)+')
_NOTHING = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRequest:
    """A request or complaint to the help desk. All times are Unix time in seconds.

    Args:
        reference: the number that names it, like "R-7K3M-9QFD".
        secret_hash: the SHA-256 of the secret that opens it.
        form: the id of the submitted form, unique to it.
        kind: what it is about, one of `KINDS`.
        text: what the visitor wrote.
        address: where to mail the desk's reply; None for nowhere.
        language: the language of the page.
        consent_id: the id in the visitor's consent cookie; None if there was none.
        created_at: when it was submitted.
        due_at: when a reply is due.
        answer: the desk's reply.
        answered_at: when the desk replied.
        closed_at: when the desk closed it.
    """

    reference: str
    secret_hash: bytes
    form: str
    kind: str
    text: str
    address: str | None
    language: str
    consent_id: str | None
    created_at: int
    due_at: int
    answer: str | None = None
    answered_at: int | None = None
    closed_at: int | None = None

    @property
    def state(self) -> str:
        """Its state: "open", "answered" or "closed"."""
        if self.closed_at is not None:
            return "closed"
        return "open" if self.answered_at is None else "answered"

    def is_overdue(self, now: float) -> bool:
        """Return whether the request is still open after its due date."""
        return self.state == "open" and self.due_at < now

    def progress(self) -> dict[str, Any]:
        """Return its state and the desk's reply as plain data for JSON, without anything that the visitor wrote."""
        return {
            "reference": self.reference,
            "kind": self.kind,
            "state": self.state,
            "created_at": rfc3339(self.created_at),
            "due_at": rfc3339(self.due_at),
            "answer": self.answer,
            "answered_at": _time(self.answered_at),
            "closed_at": _time(self.closed_at),
        }

    def document(self) -> dict[str, Any]:
        """Return everything stored except the secret's hash, as plain data for JSON."""
        written = {"text": self.text, "address": self.address}
        return {**self.progress(), **written, "language": self.language, "consent_id": self.consent_id}


@dataclass(frozen=True, slots=True)
class NotStored:
    """Why a request was not stored.

    Args:
        wait: how many seconds to wait before the next one; 0 if its form was used before.
    """

    wait: float


def reference_of(seed: bytes) -> str:
    """Return the reference of a request. It reveals neither how many there are nor which comes next.

    Args:
        seed: 32 random bytes. The same seed gives the same reference.
    """
    return f"R-{_letters(_REFERENCE_GROUPS, b'reference' + seed)}"


def secret_of(seed: bytes) -> str:
    """Return the secret of a request, for the visitor to write down and type again.

    Args:
        seed: the seed of `reference_of`.
    """
    return _letters(_SECRET_GROUPS, b"secret" + seed)


def as_reference(typed: str) -> str:
    """Return the canonical form of a reference, however it was typed; "" if it is not one."""
    match = _REFERENCE.fullmatch(_signs(typed))
    return f"R-{match[1][:_GROUP]}-{match[1][_GROUP:]}" if match else ""


def hash_of(secret: str) -> bytes:
    """Return the hash to store of a secret, however it was typed. A random secret needs no slow hash."""
    return hashlib.sha256(_signs(secret).encode()).digest()


def opens(secret: str, request: DeskRequest | None) -> bool:
    """Return whether a secret opens a request. Takes as long if there is no such request."""
    is_same = hmac.compare_digest(hash_of(secret), request.secret_hash if request else _NOTHING)
    return is_same and request is not None


def is_address(text: str) -> bool:
    """Return whether a text is a single mail address, safe to put into a "To" field."""
    return len(text) <= LONGEST_ADDRESS and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def _letters(groups: int, seed: bytes) -> str:
    number, letters = int.from_bytes(hashlib.sha256(seed).digest()), ""
    while len(letters) < groups * _GROUP:
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    return "-".join(letters[begin : begin + _GROUP] for begin in range(0, len(letters), _GROUP))


def _signs(typed: str) -> str:
    """Return the letters and digits of a typed text in capitals. NFKC maps the wide ones of Japanese keyboards."""
    return _NOT_A_SIGN.sub("", unicodedata.normalize("NFKC", typed[:_LONGEST_TYPED]).upper())


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
