"""Finds earlier versions of the policy, which old records refer to."""

from __future__ import annotations

from typing import Any

from cookie_consent.endpoints.responses import wait_for_store
from cookie_consent.ledgers import Ledger
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy


class PastPolicies:
    """Finds a version of the policy.

    Args:
        policy: the current policy, with its history.
        ledger: the ledger, which stores the policies that visitors have answered; or None.
    """

    def __init__(self, policy: Policy, ledger: Ledger | None) -> None:
        self._policy, self._ledger = policy, ledger
        self._known = {known.version: known for known in (*reversed(policy.history), policy)}

    async def document(self, version: str) -> dict[str, Any] | None:
        """Return a version of the policy as plain data; None if it is unknown.

        Raises:
            Problem: 503, the ledger cannot be reached.
        """
        if version in self._known:
            return self._known[version].document()
        return await wait_for_store(self._ledger.policy(version)) if self._ledger is not None else None

    async def policy(self, version: str) -> Policy:
        """Return a version of the policy; the current one if it is unknown or no longer readable.

        Raises:
            Problem: 503, the ledger cannot be reached.
        """
        if version in self._known:
            return self._known[version]
        document = await self.document(version)
        try:
            return Policy.from_document(document) if document else self._policy
        except PolicyError:
            # A policy that an older release took may break a rule that was added since.
            return self._policy
