"""The form of a request: what a visitor wrote in it, and how a form that a person filled is told from others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cookie_consent.base.forms import read_fields, readable
from cookie_consent.base.problem import Problem
from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers.desk_request import KINDS, LONGEST_TEXT, is_address

SALT = "cookie-consent.request-form"
EMPTY_FIELD = "subject"
"""The name of a field that people do not see. Programs that fill in whatever they find fill it in."""
_SOONEST = 2
"""Seconds: nobody writes faster."""
_LATEST = 24 * 3600
"""Seconds: for so long a form may lie open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was written in a form, as it is, or not yet, or wrong.

    Args:
        kind: what it is about.
        text: the message.
        address: where the answer is to be mailed to; "" for nowhere.
        token: what the form was made with.
        trap: what stands in the field that is to stay empty.
    """

    kind: str = ""
    text: str = ""
    address: str = ""
    token: str = ""
    trap: str = ""

    def check(self) -> None:
        """Raise a Problem (400) if this cannot be a request."""
        if self.kind not in KINDS:
            raise Problem(400, f"There is no kind {self.kind[:40]!r}. Known: {', '.join(KINDS)}.")
        if not self.text:
            raise Problem(400, f"A text has between 1 and {LONGEST_TEXT} characters.", "error_no_text")
        if len(self.text) > LONGEST_TEXT:
            raise Problem(400, f"A text has at most {LONGEST_TEXT} characters.", "error_too_large")
        if self.address and not is_address(self.address):
            raise Problem(400, "The address is no mail address.", "error_no_address")


def read_draft(content_type: str, body: bytes) -> Draft:
    """Read what was sent, as a form or as JSON.

    Raises:
        Problem: 400, it cannot be read.
    """
    fields = {name: readable(value) for name, value in read_fields(content_type, body).items()}
    known = {name: fields.get(name, "") for name in ("kind", "text", "address", "token")}
    return Draft(**known, trap=fields.get(EMPTY_FIELD, ""))


class FormTokens:
    """Signs forms, so that only ours are taken, not at once and not for ever.

    Args:
        signer: signs them; its salt is `SALT`.
        make_id: returns a random id.
    """

    def __init__(self, signer: Signer, make_id: Callable[[], str]) -> None:
        self._signer, self._make_id = signer, make_id

    def make(self, now: float) -> str:
        """Return the token of a new form."""
        return self._signer.sign(self._make_id().encode(), int(now)).decode()

    def form_of(self, token: str, now: float) -> str:
        """Return the id of the form that a token was made for.

        Raises:
            Problem: 400, it is none of ours, too old or too new.
        """
        read = self._read(token)
        if read is None or not _SOONEST <= now - read[1] <= _LATEST:
            detail = f"The token has to be of a form that was fetched between {_SOONEST} and {_LATEST} seconds ago."
            raise Problem(400, detail, "error_form_old")
        return read[0].decode()

    def ripens(self, token: str, now: float) -> bool:
        """Return whether a token is too new, and good in a moment."""
        read = self._read(token)
        return read is not None and 0 <= now - read[1] < _SOONEST

    def _read(self, token: str) -> tuple[bytes, int] | None:
        return self._signer.read(token.encode("ascii", "replace"))

    def seed(self, form: str) -> bytes:
        """Return what the number and the secret of a form's request come from: 32 bytes that only we can make.

        So a form that is sent twice, by a double click, says the same both times; the secret itself is kept nowhere.
        """
        return hashlib.sha256(self._signer.sign(b"seed " + form.encode(), 0)).digest()
