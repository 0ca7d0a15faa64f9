"""Requests to the help desk."""

from __future__ import annotations

import secrets
from typing import Any

from cookie_consent.ledgers.requests import DeskRequest
from tests.support.policies import NOW

DAY = 86_400


def help_desk_request(**changes: Any) -> DeskRequest:
    """Return a new request with a reference of its own."""
    given: dict[str, Any] = {
        "reference": f"R-{secrets.token_hex(6).upper()}",
        "kind": "see",
        "text": "What do you keep about me?",
        "address": None,
        "language": "en",
        "consent_id": None,
        "created_at": NOW,
        "due_at": NOW + 30 * DAY,
    }
    return DeskRequest(**{**given, **changes})
