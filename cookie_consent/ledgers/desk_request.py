"""What a visitor asks of the site: a request or a complaint, the number it is known by and the secret that opens it."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from cookie_consent.base.dates import rfc3339

KINDS = ("see", "correct", "erase", "complain")
"""What it can be about: access, rectification, erasure (GDPR Articles 15 to 17), or a complaint."""
LONGEST_TEXT = 4000
"""Characters."""
LONGEST_ANSWER = 20_000
"""Characters."""
LONGEST_ADDRESS = 254
"""Characters: what fits between the brackets of a path (RFC 5321 section 4.5.3.1.3)."""

_LETTERS = "23456789BCDFGHJKMNPQSTVWXYZ"
"""No two of them look alike, they make no words, and R is not among them: it only begins a reference."""
_GROUP = 4
_REFERENCE_GROUPS = 2
_SECRET_GROUPS = 7
"""28 of 27 letters: over 133 bits."""
_LONGEST_TYPED = 200
_NOT_A_SIGN = re.compile(r"[^0-9A-Z]")
_REFERENCE = re.compile(f"R?([{_LETTERS}]{{{_REFERENCE_GROUPS * _GROUP}}})")
_ADDRESS = re.compile(r'[^\s@<>()\[\]\\,;:"]{1,64}@[^\s@<>()\[\]\\,;:".]+(\.[^\s@<>()\[\]\\,;:".]+)+')
_NOTHING = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRequest:
    """A request or a complaint.

    Args:
        reference: the number it is known by, like "R-7K3M-9QFD".
        secret_hash: the SHA-256 of the secret that opens it.
        form: the id of the form that it came with; no other has it.
        kind: what it is about, one of `KINDS`.
        text: what the visitor wrote.
        address: where the answer is to be mailed to; None for nowhere.
        language: the language of the page.
        consent_id: ties it to the holder of a consent cookie; None where there was none.
        created_at: when it came, in seconds since 1970, as all times here.
        due_at: until when it is to be answered.
        answer: what the desk answered.
        answered_at: when it did.
        closed_at: when the desk was done with it.
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
        """What became of it: "open", "answered" or "closed"."""
        if self.closed_at is not None:
            return "closed"
        return "open" if self.answered_at is None else "answered"

    def is_overdue(self, now: float) -> bool:
        """Return whether it should have been answered by now."""
        return self.state == "open" and self.due_at < now

    def progress(self) -> dict[str, Any]:
        """Return what became of it, as plain data for JSON: nothing that the visitor wrote."""
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
        """Return all that is kept of it but what opens it, as plain data for JSON."""
        wrote = {"text": self.text, "address": self.address}
        return {**self.progress(), **wrote, "language": self.language, "consent_id": self.consent_id}


@dataclass(frozen=True, slots=True)
class NotKept:
    """Why a request was not kept.

    Args:
        wait: how many seconds to wait before the next; 0 where its form was used before.
    """

    wait: float


def reference_of(seed: bytes) -> str:
    """Return the number of a request. It says nothing of how many there are, or of what comes next.

    Args:
        seed: 32 random bytes, or as good as random; the same give the same.
    """
    return f"R-{_letters(_REFERENCE_GROUPS, b'reference' + seed)}"


def secret_of(seed: bytes) -> str:
    """Return the secret of a request, to be written down and typed again; see `reference_of`."""
    return _letters(_SECRET_GROUPS, b"secret" + seed)


def as_reference(typed: str) -> str:
    """Return a number in the one way that we write it, however it was typed; "" if it is none."""
    found = _REFERENCE.fullmatch(_signs(typed))
    return f"R-{found[1][:_GROUP]}-{found[1][_GROUP:]}" if found else ""


def hash_of(secret: str) -> bytes:
    """Return what is kept of a secret, however it was typed. It is random, and so needs no slow hash."""
    return hashlib.sha256(_signs(secret).encode()).digest()


def opens(secret: str, request: DeskRequest | None) -> bool:
    """Return whether a secret is that of a request. It takes as long where there is none."""
    is_same = hmac.compare_digest(hash_of(secret), request.secret_hash if request else _NOTHING)
    return is_same and request is not None


def is_address(text: str) -> bool:
    """Return whether a text can stand in a mail's "To" field, and in nothing else."""
    return len(text) <= LONGEST_ADDRESS and text.isprintable() and _ADDRESS.fullmatch(text) is not None


def _letters(groups: int, seed: bytes) -> str:
    number, letters = int.from_bytes(hashlib.sha256(seed).digest()), ""
    while len(letters) < groups * _GROUP:
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    return "-".join(letters[begin : begin + _GROUP] for begin in range(0, len(letters), _GROUP))


def _signs(typed: str) -> str:
    """Return the letters and digits of what was typed, in capitals. Japanese keyboards write them wide."""
    return _NOT_A_SIGN.sub("", unicodedata.normalize("NFKC", typed[:_LONGEST_TYPED]).upper())


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
