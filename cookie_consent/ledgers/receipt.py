"""The consent receipt: a consent record with its context, in the terms of ISO/IEC TS 27560:2023.

Fields and their mapping to the W3C Data Privacy Vocabulary (DPV) follow the guide "Consent Records and Receipts as per
ISO/IEC TS 27560:2023 using DPV" (2024). Numbers like 6.3.7 are sections of the standard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from cookie_consent.ledgers.glossary import ACCESS_RECORD, COUNTRY
from cookie_consent.policy.parts import Cookie, Purpose, Recipient
from cookie_consent.policy.policy import Policy

_OPTIONAL = (
    "record_id", "consent_id", "event", "text", "prevailing_language", "prevailing_text", "surface", "feature",
    "answered_before", "policy_sha256", "service", "build", "previous", "keep_until", "repeat_key",
)  # fmt: skip
"""Fields that a record may lack. Most are set only with a ledger."""
_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt"
"""The guide's profile of the standard."""
_CONSENT = "dpv:Consent"
"""The lawful basis of purposes that need consent."""
_SESSION = "session"
"""The duration of a session cookie, for which ISO 8601 has no notation."""
_EVENT_TYPES = {
    "banner": "dpv:ExplicitlyExpressedConsent",
    "settings": "dpv:ExplicitlyExpressedConsent",
    "feature": "dpv:ExpressedConsent",
    "api": "dpv:ExpressedConsent",
}
"""Source of an answer -> how it was expressed: explicitly, if the action was about consent alone."""


def receipt(document: Mapping[str, Any], policy: Policy, address: str) -> dict[str, Any]:
    """Return the receipt of an answer as plain data for JSON.

    It has all fields of the record, who asked (`site`, `controller`, `contact`, `data_protection_officer`), where the
    policy of that time can be read (`policy_url`), where the answer can be changed (`withdraw_at`), and these fields of
    the standard:

    - 6.4.5, the receipt: `schema_version`; `receipt_id`, which is the record's id.
    - 6.3.3, header: `record_id`; `pii_principal_id`, which is the record's `consent_id`.
    - 6.3.4, processing: `privacy_notice` (address, version, SHA-256 of the shown text); `language`; `purposes`, each
      with `purpose` (in words), `lawful_basis`, `pii_information`, `storage_locations` (its cookies),
      `retention_period` and `recipient_third_parties`; `pii_controllers`; `services`; `jurisdiction`;
      `withdrawal_method`; `privacy_rights`.
    - 6.3.5, personal data: `pii_type`, which is what a recipient receives, or a field of access records.
    - 6.3.6, `party_identification`: `party_id`, `party_name`, `party_address`, `party_contact`, `party_url` (of its
      privacy policy), `party_role` and `party_type`.
    - 6.3.7, `events`, one for each state: `event_time`, `validity_duration`, `entity_id`, `event_type`, `event_state`,
      and the ids of its `purposes`.

    Durations follow ISO 8601, except "session" for session cookies. Values that begin with "dpv:" are DPV terms. A
    field is None if neither the record nor the policy states it: always `party_address`, `jurisdiction` unless the
    policy names a law, and without a ledger the fields that only a ledger sets.

    Purposes refused in the record of a withdrawal count as withdrawn. Words, cookies and parties come from the given
    policy, named by `described_by`, which may be newer than the one that was answered.

    Args:
        document: the consent record as plain data; fields that only a ledger sets may be missing.
        policy: the current policy. A purpose that it no longer has is named by its id.
        address: the address of the endpoints, absolute or relative, without a trailing slash.
    """
    record = {**dict.fromkeys(_OPTIONAL), **document}
    site, in_service = policy.site, _as_held(policy, record["service"])
    language = record["language"] if record["language"] in site.languages else site.prevailing_language
    purposes = [_purpose(id_, record, in_service, language, address) for id_ in _asked(record, policy)]
    recipients = [recipient for purpose in purposes for recipient in policy.recipients_of(purpose["id"])]
    policy_url = f"{address}/policy/{record['policy']}"
    return {
        **record,
        "schema_version": _SCHEMA,
        "receipt_id": record["record_id"],
        "pii_principal_id": record["consent_id"],
        "site": site.name,
        "controller": site.controller,
        "contact": site.contact,
        "data_protection_officer": site.data_protection_officer or None,
        "prevailing_language": record["prevailing_language"] or site.prevailing_language,
        "policy_url": policy_url,
        "privacy_notice": {
            "url": policy_url,
            "version": record["policy"],
            "sha256": record["text"],
            "prevailing_sha256": record["prevailing_text"],
        },
        "described_by": {"version": policy.version, "language": language},
        "purposes": purposes,
        "pii_controllers": [_controller_id(address)],
        "services": [record["service"]] if record["service"] else [],
        "jurisdiction": record.get("law"),
        "withdraw_at": address,
        "withdrawal_method": address,
        "privacy_rights": address,
        "party_identification": [
            _controller(in_service, address),
            *(_third_party(recipient, address) for recipient in recipients),
        ],
        "events": _events(record, purposes),
    }


def _as_held(policy: Policy, service: str | None) -> Policy:
    """Return the policy under the service whose conditions applied, if the policy still has that service."""
    return next((policy.under(candidate) for candidate in policy.services if candidate.id == service), policy)


def _asked(document: Mapping[str, Any], policy: Policy) -> list[str]:
    """Return the ids of the purposes in a record: first those in the policy, in its order, then the others."""
    ids = dict.fromkeys((*document["facts"], *document["granted"], *document["refused"]))
    return [id_ for id_ in policy.optional if id_ in ids] + [id_ for id_ in ids if id_ not in policy.optional]


def _purpose(id_: str, document: Mapping[str, Any], policy: Policy, language: str, address: str) -> dict[str, Any]:
    purpose, recipients = policy.in_force.get(id_), policy.recipients_of(id_)
    received = [
        {"pii_type": recipient.receives[language], "party_id": _recipient_id(recipient, address)}
        for recipient in recipients
    ]
    return {
        "id": id_,
        "title": purpose.title[language] if purpose else id_,
        "granted": id_ in document["granted"],
        "recipients": [recipient.name for recipient in recipients],
        "purpose": purpose.description[language] if purpose else None,
        "lawful_basis": _CONSENT,
        "pii_information": [*_traced(purpose, policy, address), *received],
        "storage_locations": [_storage(cookie) for cookie in policy.cookies_of(id_)],
        "retention_period": _iso_8601(purpose.retention) if purpose and purpose.retention else None,
        "recipient_third_parties": [_recipient_id(recipient, address) for recipient in recipients],
    }


def _traced(purpose: Purpose | None, policy: Policy, address: str) -> list[dict[str, Any]]:
    if purpose is None or not purpose.traces:
        return []
    fields = [field for field in ACCESS_RECORD if field != COUNTRY or policy.is_by_country]
    return [{"pii_type": field, "party_id": _controller_id(address)} for field in fields]


def _storage(cookie: Cookie) -> dict[str, Any]:
    return {
        "cookie": cookie.name,
        "kind": cookie.kind,
        "duration": _iso_8601(cookie.duration) if cookie.duration else _SESSION,
        "path": cookie.path,
        "domain": cookie.domain,
    }


def _controller_id(address: str) -> str:
    return f"{address}#controller"


def _recipient_id(recipient: Recipient, address: str) -> str:
    return f"{address}#recipient-{recipient.id}"


def _controller(policy: Policy, address: str) -> dict[str, Any]:
    own_url = policy.service.policy_url if policy.service else ""
    return {
        "party_id": _controller_id(address),
        "party_name": policy.site.controller,
        "party_address": None,
        "party_contact": policy.site.contact,
        "party_url": own_url or policy.site.policy_url or None,
        "party_role": "dpv:DataController",
        "party_type": "dpv:LegalEntity",
    }


def _third_party(recipient: Recipient, address: str) -> dict[str, Any]:
    return {
        "party_id": _recipient_id(recipient, address),
        "party_name": recipient.name,
        "party_address": None,
        "party_contact": None,
        "party_url": recipient.policy_url or None,
        "party_role": "dpv:ThirdParty",
        "party_type": "dpv:Recipient",
    }


def _events(document: Mapping[str, Any], purposes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    states: dict[str, list[str]] = {}
    for purpose in purposes:
        states.setdefault(_event_state(document, purpose["id"]), []).append(purpose["id"])
    decided_at, expires_at = (datetime.fromisoformat(document[key]) for key in ("decided_at", "expires_at"))
    return [
        {
            "event_time": document["decided_at"],
            "validity_duration": _iso_8601(expires_at - decided_at),
            "entity_id": document["consent_id"],
            "event_type": _EVENT_TYPES.get(document["source"], _CONSENT),
            "event_state": state,
            "purposes": about,
        }
        for state, about in states.items()
    ]


def _event_state(document: Mapping[str, Any], purpose: str) -> str:
    if purpose in document["granted"]:
        return "dpv:ConsentGiven"
    if purpose not in document["refused"]:
        return "dpv:ConsentUnknown"
    return "dpv:ConsentWithdrawn" if document["event"] == "withdrawn" else "dpv:ConsentRefused"


def _iso_8601(length: timedelta) -> str:
    """Return a duration in ISO 8601, in days and smaller units: "P180D", "PT30M"."""
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    days = f"{length.days}D" if length.days or not time else ""
    return f"P{days}T{time}" if time else f"P{days}"
