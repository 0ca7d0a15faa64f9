"""Consent records as plain data: for the ledger, and as a receipt that the visitor keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cookie_consent.policy import Policy
from cookie_consent.record import ConsentRecord, State
from cookie_consent.timestamps import rfc3339

SCHEMA = 1


def document(record: ConsentRecord) -> dict[str, Any]:
    """Return a consent record as plain data for JSON, each purpose's answer said both ways."""
    return {
        "schema": SCHEMA,
        "consent_id": record.consent_id or None,
        "policy": record.policy,
        "status": record.status,
        "decided_at": rfc3339(record.decided_at),
        "source": record.source,
        "language": record.language,
        "signals": sorted(record.signals),
        "granted": [id_ for id_, answer in record.answers.items() if answer.state is State.GRANTED],
        "refused": [id_ for id_, answer in record.answers.items() if answer.state is State.REFUSED],
        "facts": {id_: answer.facts for id_, answer in record.answers.items()},
    }


def receipt(record: ConsentRecord, policy: Policy, lifetime: timedelta, address: str) -> dict[str, Any]:
    """Return the receipt of an answer.

    Args:
        record: the answer.
        policy: the policy of now; names the purposes that it still has.
        lifetime: how long the answer holds.
        address: the address of the endpoints.
    """
    site = policy.site
    return {
        **document(record),
        "expires_at": rfc3339(record.decided_at + lifetime.total_seconds()),
        "site": site.name,
        "controller": site.controller,
        "contact": site.contact,
        "prevailing_language": site.prevailing_language,
        "policy_url": f"{address}/policy/{record.policy}",
        "withdraw_at": address,
        "purposes": [
            {
                "id": purpose.id,
                "title": purpose.title.get(record.language) or purpose.title[site.prevailing_language],
                "granted": record.answers[purpose.id].state is State.GRANTED,
                "recipients": [recipient.name for recipient in policy.recipients_of(purpose.id)],
            }
            for purpose in policy.purposes
            if purpose.id in record.answers
        ],
    }
