"""A consent receipt as linked data: JSON-LD in the terms of the W3C Data Privacy Vocabulary (DPV) and of the DCMI.

The mapping is that of the guide "Consent Records and Receipts as per ISO/IEC TS 27560:2023 using DPV" (2024). What
the guide names and the vocabulary does not have (DPV 2.2) is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

GUIDE = "https://w3id.org/dpv/guides/consent-27560"
PROFILE = "https://w3id.org/dpv/schema/dpv-27560"
"""The guide's profile of the standard; #receipt and #record are schemas in it."""
CONSENT = "dpv:Consent"
"""The lawful basis of what is asked for."""
SESSION = "session"
"""The duration of what ends with the browser session; ISO 8601 has none for it."""

_CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def linked(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return a receipt as JSON-LD, with its context inline.

    Args:
        receipt: the receipt as plain data, as the module `receipt` makes it.
    """
    return {
        "@context": _CONTEXT,
        **_stated(
            {
                "@id": _iri(receipt, "receipt_id"),
                "@type": "dpv:ConsentReceipt",
                "dct:identifier": receipt["receipt_id"],
                "dct:conformsTo": [{"@id": receipt["schema_version"]}, {"@id": GUIDE}],
                "dct:replaces": _node(_iri(receipt, "previous")),
                "dpv:hasNotice": _notices(receipt),
                "dpv:hasEntity": [_visitor(receipt), *map(_party, receipt["party_identification"])],
                "dpv:hasService": [{"@type": "dpv:Service", "dct:identifier": id_} for id_ in receipt["services"]],
                "dpv:hasRight": {
                    "@type": "dpv:DataSubjectRight",
                    "dpv:isExercisedAt": {"@id": receipt["privacy_rights"]},
                },
                "dpv:hasRecordOfActivity": [
                    _record(purpose, event, receipt)
                    for event in receipt["events"]
                    for purpose in receipt["purposes"]
                    if purpose["id"] in event["purposes"]
                ],
            }
        ),
    }


def _stated(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node without what it says nothing of."""
    return {key: value for key, value in node.items() if value not in (None, [])}


def _iri(receipt: Mapping[str, Any], key: str) -> str | None:
    """Return the IRI of the receipt that a field names by its id; None where it names none."""
    return f"{receipt['withdraw_at']}/receipt#{receipt[key]}" if receipt[key] else None


def _part(receipt: Mapping[str, Any], name: str) -> str:
    """Return the IRI of something that only this receipt is about.

    A receipt without an id has blank nodes. They have names, by which some readers (rdflib 7.6) mix up those of several
    documents; so that receipts which are kept have none.
    """
    iri = _iri(receipt, "receipt_id")
    return f"{iri}/{name}" if iri else f"_:{name}"


def _node(iri: str | None, kind: str = "") -> dict[str, Any] | None:
    if iri is None:
        return None
    return {"@id": iri, "@type": kind} if kind else {"@id": iri}


def _typed(value: str, datatype: str) -> dict[str, str]:
    return {"@value": value, "@type": f"xsd:{datatype}"}


def _lasting(duration: str) -> dict[str, Any]:
    if duration == SESSION:
        return {"@type": "dpv:UntilEventDuration", "rdf:value": "end of the browser session"}
    return {"@type": "dpv:TemporalDuration", "rdf:value": _typed(duration, "duration")}


def _visitor(receipt: Mapping[str, Any]) -> dict[str, Any]:
    return _stated(
        {
            "@id": _part(receipt, "visitor"),
            "@type": "dpv:DataSubject",
            "dct:identifier": receipt["pii_principal_id"],
        }
    )


def _party(party: Mapping[str, Any]) -> dict[str, Any]:
    return _stated(
        {
            "@id": party["party_id"],
            "@type": [party["party_role"], party["party_type"]],
            "dpv:hasIdentifier": party["party_id"],
            "dpv:hasName": party["party_name"],
            "dpv:hasAddress": party["party_address"],
            "dpv:hasContact": party["party_contact"],
            "dpv:hasNotice": _node(party["party_url"], "dpv:PrivacyNotice"),
        }
    )


def _notices(receipt: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was shown, and the same in the prevailing language where that is another one and known."""
    notice, language, prevailing = receipt["privacy_notice"], receipt["language"], receipt["prevailing_language"]
    shown = [_notice(_part(receipt, "notice"), notice, language, notice["sha256"])]
    if notice["prevailing_sha256"] and prevailing != language:
        shown.append(_notice(_part(receipt, "prevailing-notice"), notice, prevailing, notice["prevailing_sha256"]))
    return shown


def _notice(node: str, notice: Mapping[str, Any], language: str, digest: str | None) -> dict[str, Any]:
    return _stated(
        {
            "@id": node,
            "@type": "dpv:ConsentNotice",
            "dct:language": language,
            "dct:identifier": f"sha-256:{digest}" if digest else None,
            "dct:source": {"@id": notice["url"], "dct:identifier": notice["version"]},
        }
    )


def _record(purpose: Mapping[str, Any], event: Mapping[str, Any], receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says of one purpose: of the consent to it, or of what runs without."""
    id_, record_id, language = purpose["id"], receipt["record_id"], receipt["described_by"]["language"]
    asked = purpose["lawful_basis"] == CONSENT
    has_basis = not asked or event["event_state"] == "dpv:ConsentGiven"
    topic = {"@id": _part(receipt, f"purpose-{id_}")}
    return _stated(
        {
            "@id": _part(receipt, f"record-{id_}"),
            "@type": "dpv:ConsentRecord" if asked else "dpv:Record",
            "dct:identifier": f"{record_id}/{id_}" if record_id else None,
            "dct:conformsTo": {"@id": f"{PROFILE}#record"},
            "dpv:hasDataSubject": {"@id": _part(receipt, "visitor")},
            "dpv:hasDataController": [{"@id": party} for party in receipt["pii_controllers"]],
            "dpv:hasNotice": {"@id": _part(receipt, "notice")},
            "dpv:hasLegalBasis": _node(event["event_type"] if has_basis else None),
            "dpv:hasPurpose": {**topic, **_purpose(purpose, language)},
            "dpv:hasProcess": [
                {"dpv:hasPurpose": topic, **process} for process in _processes(purpose, receipt, language)
            ],
            "dpv:hasConsentControl" if asked else "dpv:hasEntityInvolvement": {
                "@type": "dpv:WithdrawConsent" if asked else "dpv:ObjectingToProcess",
                "dpv:isExercisedAt": {"@id": receipt["withdrawal_method"]},
            },
            "dpv:hasConsentStatus" if asked else "dpv:hasStatus": _status(event, receipt),
        }
    )


def _status(event: Mapping[str, Any], receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": event["event_state"],
        "dpv:isIndicatedAtTime": _typed(event["event_time"], "dateTime"),
        "dpv:isIndicatedBy": {"@id": _part(receipt, "visitor")},
        "dpv:hasIndicationMethod": receipt["source"],
        "dpv:hasDuration": [
            _lasting(event["validity_duration"]),
            {"@type": "dpv:UntilTimeDuration", "rdf:value": _typed(receipt["expires_at"], "dateTime")},
        ],
    }


def _purpose(purpose: Mapping[str, Any], language: str) -> dict[str, Any]:
    own = {"@type": "dpv:Purpose", "dct:identifier": purpose["id"]}
    if purpose["purpose"] is None:
        return own
    return {
        **own,
        "dct:title": {"@value": purpose["title"], "@language": language},
        "dct:description": {"@value": purpose["purpose"], "@language": language},
    }


def _processes(purpose: Mapping[str, Any], receipt: Mapping[str, Any], language: str) -> Iterator[dict[str, Any]]:
    """Yield what each party does for a purpose: the controller keeps data, a third party receives them."""
    for party in receipt["pii_controllers"]:
        process = {"dpv:hasPersonalData": _data(purpose, party, None), "dpv:hasStorageCondition": _storage(purpose)}
        yield {"@type": "dpv:Process", **_stated(process)}
    for party in purpose["recipient_third_parties"]:
        data = _data(purpose, party, language)
        yield {"@type": "dpv:Process", "dpv:hasPersonalData": data, "dpv:hasRecipient": {"@id": party}}


def _data(purpose: Mapping[str, Any], party: str, language: str | None) -> list[dict[str, Any]]:
    """Return the data that a party has for a purpose; in a language, if they are said in words."""
    types = [data["pii_type"] for data in purpose["pii_information"] if data["party_id"] == party]
    return [
        {"@type": "dpv:PersonalData", "dct:title": {"@value": name, "@language": language} if language else name}
        for name in types
    ]


def _storage(purpose: Mapping[str, Any]) -> list[dict[str, Any]]:
    retention = purpose["retention_period"]
    kept = [{"@type": "dpv:StorageDuration", "dpv:hasDuration": _lasting(retention)}] if retention else []
    return [*map(_cookie, purpose["storage_locations"]), *kept]


def _cookie(cookie: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": ["dpv:StorageLocation", "dpv:StorageDuration"],
        "dct:title": cookie["cookie"],
        "dpv:hasLocation": {"@id": "dpv:LocalLocation"},
        "dpv:hasDuration": _lasting(cookie["duration"]),
    }
