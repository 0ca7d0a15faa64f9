"""The help desk's form: its fields, and the token that tells people from robots."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cookie_consent.base.forms import read_fields, readable
from cookie_consent.base.problem import Problem
from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers.desk_request import KINDS, LONGEST_TEXT, is_address

SALT = "cookie-consent.request-form"
HONEYPOT_FIELD = "subject"
"""The name of a field that people do not see. Robots fill it in."""
_SOONEST = 2
"""In seconds. No person fills in the form faster."""
_LATEST = 24 * 3600
"""In seconds. A form may stay open for this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A filled-in form, not yet validated.

    Args:
        kind: what the request is about.
        text: the message.
        address: the mail address for the answer; "" for none.
        token: the token of the form.
        honeypot: the content of the field that has to stay empty.
    """

    kind: str = ""
    text: str = ""
    address: str = ""
    token: str = ""
    honeypot: str = ""

    def check(self) -> None:
        """Validate the fields.

        Raises:
            Problem: 400, a field is not valid.
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
        Problem: 400, the body is unreadable.
    """
    fields = {name: readable(value) for name, value in read_fields(content_type, body).items()}
    known = {name: fields.get(name, "") for name in ("kind", "text", "address", "token")}
    return Draft(**known, honeypot=fields.get(HONEYPOT_FIELD, ""))


class FormTokens:
    """Signs and verifies tokens of forms. A token is valid from two seconds to a day after it was made.

    Args:
        signer: the signer, with the salt `SALT`.
        make_id: returns a random id.
    """

    def __init__(self, signer: Signer, make_id: Callable[[], str]) -> None:
        self._signer, self._make_id = signer, make_id

    def make(self, now: float) -> str:
        """Return the token for a new form."""
        return self._signer.sign(self._make_id().encode(), int(now)).decode()

    def form_of(self, token: str, now: float) -> str:
        """Return the form id in a token.

        Raises:
            Problem: 400, the token is forged, too old or too new.
        """
        content = self._read(token)
        if content is None or not _SOONEST <= now - content[1] <= _LATEST:
            detail = f"The token has to be of a form that was fetched between {_SOONEST} and {_LATEST} seconds ago."
            raise Problem(400, detail, "error_form_old")
        return content[0].decode()

    def is_too_new(self, token: str, now: float) -> bool:
        """Tell whether a token is valid except that it is too new."""
        content = self._read(token)
        return content is not None and 0 <= now - content[1] < _SOONEST

    def _read(self, token: str) -> tuple[bytes, int] | None:
        return self._signer.read(token.encode("ascii", "replace"))

    def seed(self, form: str) -> bytes:
        """Return 32 secret bytes from which a form's reference and secret are derived.

        A form that is sent twice, as by a double click, gets the same reference and secret. So the secret need not be
        stored.
        """
        return hashlib.sha256(self._signer.sign(b"seed " + form.encode(), 0)).digest()
