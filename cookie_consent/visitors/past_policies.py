"""The policies that answers were given to, also those that are no longer in force."""

from __future__ import annotations

from typing import Any

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.installation import Installation
from cookie_consent.visitors.responses import answer_of


async def document_of(installed: Installation, version: str) -> dict[str, Any] | None:
    """Return a version of the policy as plain data, or None where nobody has answered to it.

    Raises:
        Problem: 503, the ledger cannot be reached.
    """
    known = _known(installed, version)
    if known is not None:
        return known.document()
    return await answer_of(installed.ledger.policy(version)) if installed.ledger is not None else None


async def policy_of(installed: Installation, version: str) -> Policy:
    """Return a version of the policy; that of now, where it is not known or cannot be read any longer.

    Raises:
        Problem: 503, the ledger cannot be reached.
    """
    known = _known(installed, version)
    if known is not None:
        return known
    document = await document_of(installed, version)
    try:
        return Policy.from_document(document) if document else installed.policy
    except PolicyError:
        return installed.policy


def _known(installed: Installation, version: str) -> Policy | None:
    policies = (installed.policy, *installed.policy.history)
    return next((policy for policy in policies if policy.version == version), None)
