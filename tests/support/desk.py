"""Requests to the help desk."""

from __future__ import annotations

import secrets
from typing import Any

from cookie_consent.ledgers.desk_request import DeskRequest, hash_of, reference_of
from tests.support.policies import NOW

DAY = 86_400
SECRET = "2345-6789-BCDF-GHJK-MNPQ-STVW-XYZ2"


def help_desk_request(**changes: Any) -> DeskRequest:
    """Return a new request with a reference of its own."""
    given: dict[str, Any] = {
        "reference": reference_of(secrets.token_bytes(32)),
        "secret_hash": hash_of(SECRET),
        "form": secrets.token_hex(8),
        "kind": "see",
        "text": "What do you keep about me?",
        "address": None,
        "language": "en",
        "consent_id": None,
        "created_at": NOW,
        "due_at": NOW + 30 * DAY,
    }
    return DeskRequest(**{**given, **changes})
