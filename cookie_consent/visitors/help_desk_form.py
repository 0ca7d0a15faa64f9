"""The form of a request to the help desk: what a visitor wrote in it, and whether a person filled it in."""

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
"""The name of a field that people do not see. Programs that fill in every field fill it in."""
_SOONEST = 2
"""Seconds: nobody writes faster."""
_LATEST = 24 * 3600
"""Seconds: for so long a form may lie open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a visitor wrote in the form, not checked yet.

    Args:
        kind: what the request is about.
        text: the message.
        address: the mail address for the answer; "" for none.
        token: the token that the form was made with.
        trap: the content of the field that is to stay empty.
    """

    kind: str = ""
    text: str = ""
    address: str = ""
    token: str = ""
    trap: str = ""

    def check(self) -> None:
        """Check what was written.

        Raises:
            Problem: 400, it cannot be a request.
        """
        if self.kind not in KINDS:
            raise Problem(400, f"There is no kind {self.kind[:40]!r}. Known: {', '.join(KINDS)}.")
        if not self.text:
            raise Problem(400, f"A text has between 1 and {LONGEST_TEXT} characters.", "error_no_text")
        if len(self.text) > LONGEST_TEXT:
            raise Problem(400, f"A text has at most {LONGEST_TEXT} characters.", "error_too_large")
        if self.address and not is_address(self.address):
            raise Problem(400, "The address is no mail address.", "error_no_address")


def read_draft(content_type: str, body: bytes) -> Draft:
    """Read a draft from a form or from JSON.

    Raises:
        Problem: 400, it cannot be read.
    """
    fields = {name: readable(value) for name, value in read_fields(content_type, body).items()}
    known = {name: fields.get(name, "") for name in ("kind", "text", "address", "token")}
    return Draft(**known, trap=fields.get(EMPTY_FIELD, ""))


class FormTokens:
    """Signs forms. Only our own are taken, from two seconds to a day after they were made.

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
        """Return whether a token is too new, and will be good in a moment."""
        read = self._read(token)
        return read is not None and 0 <= now - read[1] < _SOONEST

    def _read(self, token: str) -> tuple[bytes, int] | None:
        return self._signer.read(token.encode("ascii", "replace"))

    def seed(self, form: str) -> bytes:
        """Return the seed of the reference and the secret of a form's request: 32 bytes that only we can make.

        A form that is sent twice, by a double click, gets the same ones both times. The secret itself is not kept.
        """
        return hashlib.sha256(self._signer.sign(b"seed " + form.encode(), 0)).digest()
