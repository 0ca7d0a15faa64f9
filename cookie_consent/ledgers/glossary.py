"""The meaning of each exported field in one sentence, for visitors who receive a copy of their data."""

from __future__ import annotations

from collections.abc import Mapping

CONSENT_RECORD: Mapping[str, str] = {
    "schema": "The version of this list of fields.",
    "record_id": "A random id of this record.",
    "consent_id": "A random id that your records have in common; your consent cookie has it, and nothing else uses "
    "it; none where you have refused and never agreed to anything before.",
    "event": "What happened: your consent was granted, refused, changed or withdrawn, or your browser sent a signal.",
    "decided_at": "When it happened, by the clock of the server, in UTC.",
    "expires_at": "When your answer ends, so that you are asked again.",
    "source": "Where the answer was given: in the banner, on the settings page, at a feature, through the API, by a "
    "signal of your browser.",
    "status": "The answer on the whole: granted, refused, partial, or unknown where nothing was answered.",
    "granted": "The ids of the purposes that you agreed to.",
    "refused": "The ids of the purposes that you refused.",
    "facts": "For each purpose a digest of what it did at that time, to tell later whether it has changed.",
    "language": "The language that the question was shown in.",
    "text": "The SHA-256 of the text that was shown; the text itself is kept under it.",
    "prevailing_language": "The language whose text binds where translations differ.",
    "prevailing_text": "The SHA-256 of the same text in the prevailing language.",
    "surface": "What the answer was given on: the banner, the banner called for again, the settings page, or a box, "
    "a card or a page in place of a feature.",
    "feature": "The id of the feature that the box or the page stood for.",
    "answered_before": "When you had answered before, if you had, and that answer is among your records.",
    "policy": "The version of the policy that was in force.",
    "policy_sha256": "The SHA-256 of what that policy said.",
    "service": "The part of the site whose own conditions applied; none where the site's did.",
    "law": "The law that applied to you, by the name that the policy has for it; only where the policy names one.",
    "signals": "The signals that your browser sent by itself, such as Global Privacy Control (gpc).",
    "build": "A digest of the program and the templates that showed the question.",
    "previous": "The id of the record before this one.",
    "keep_until": "Until when the record is kept.",
    "repeat_key": "A digest by which the same, sent twice, is known again.",
}
"""Field of a consent record -> its meaning. Not every record has every field."""

COUNTRY = "client.geo.country.iso_code"
"""The field of an access record that only sites with laws by country record."""

ACCESS_RECORD: Mapping[str, str] = {
    "time": "When the request came, in UTC, less up to a quarter of an hour that is the same for all your records.",
    "log.record.uid": "An id of this record, so that one that is written twice counts once.",
    "record.version": "The version of this list of fields.",
    "record.kind": "What it is: a view of a page, another request, or an event that the page told of.",
    "http.request.method": "What the request asked for: GET to read a page, POST to send something.",
    "server.address": "The name of the site that was asked.",
    "url.path": "The path of the page.",
    "http.route": "The pattern that the path belongs to.",
    "http.response.status_code": "The outcome as a number: 200 for a page that was shown, 404 for one that is missing.",
    "duration_ms": "How long the answer took, in milliseconds.",
    "visitor.id": "A random id that your visits have in common; made after you agreed, used only to show and "
    "erase these records after you withdraw; or, where you are counted without consent, an id of one day.",
    "client.address": "Your network address without its last part, so that it names a neighbourhood and not you.",
    COUNTRY: "The code of the country that your network address belongs to, as the site was told with your request.",
    "http.request.referrer": "The page that you came from; of another site only its address without path.",
    "user_agent.name": "The name of your browser.",
    "user_agent.os": "The name of your operating system.",
    "user_agent.device": "The kind of your device: mobile, tablet, pc or other.",
    "url.query": "Those parameters of the page's address that the site keeps, such as the campaign that you came by.",
    "network.protocol.version": "The version of the protocol that your browser spoke.",
    "consent.policy": "The version of the policy that you agreed to, or that was in force.",
    "consent.purpose": "The id of the purpose that it was recorded for, where that is not access tracing in general.",
    "event.name": "What happened on the page, such as a download.",
    "event.properties": "What the page told about that.",
}
"""Field of an access record -> its meaning. Names follow OpenTelemetry's semantic conventions for HTTP where those have
one."""

REQUEST: Mapping[str, str] = {
    "reference": "The number that the request is known by.",
    "kind": "What it is about: to see, to correct, to erase, or a complaint.",
    "text": "What you wrote.",
    "address": "Where the answer was to be mailed to; deleted a set time after the answer.",
    "language": "The language of the page that you wrote on.",
    "consent_id": "The random id that your consent records have in common, if you had one.",
    "state": "What became of it: open, answered or closed.",
    "created_at": "When it came.",
    "due_at": "Until when it is to be answered.",
    "answer": "What the site answered.",
    "ended_at": "When it did, or was done with it.",
}
"""Field of a request to the help desk -> its meaning."""

RECEIPT: Mapping[str, str] = {
    **CONSENT_RECORD,
    "schema_version": "The version of the form that receipts have (ISO/IEC TS 27560).",
    "receipt_id": "The id of the receipt, which is that of the record.",
    "pii_principal_id": "The id that stands for you: the one that your consent records have in common.",
    "site": "The name of the site.",
    "controller": "Who is responsible for what is kept about you.",
    "contact": "Where you reach them.",
    "data_protection_officer": "Where you reach their data protection officer; none where the policy names none.",
    "policy_url": "Where the policy can be read that you answered to.",
    "privacy_notice": "What you were shown.",
    "privacy_notice.url": "Where the policy can be read that you answered to.",
    "privacy_notice.version": "The version of that policy.",
    "privacy_notice.sha256": "The SHA-256 of the text that was shown.",
    "privacy_notice.prevailing_sha256": "The SHA-256 of the same text in the language that prevails.",
    "described_by": "Which policy the words of this receipt are from.",
    "described_by.version": "The version of the policy that the words are from.",
    "described_by.language": "The language that the words are in.",
    "purposes": "What you were asked about, purpose by purpose.",
    "purposes.id": "The id of the purpose.",
    "purposes.title": "The name of the purpose.",
    "purposes.granted": "Whether you agreed to it.",
    "purposes.recipients": "The names of the third parties that get data for it.",
    "purposes.purpose": "What it is, in words.",
    "purposes.lawful_basis": "What allows it by law: your consent.",
    "purposes.pii_information": "What is recorded or sent for it.",
    "purposes.pii_information.pii_type": "What it is: a field of the access records, or what a third party receives.",
    "purposes.pii_information.party_id": "The id of the party that gets it.",
    "purposes.storage_locations": "The cookies that it keeps on your device.",
    "purposes.storage_locations.cookie": "The name of the cookie; a * stands for any letters.",
    "purposes.storage_locations.kind": "A cookie, or storage: what a script keeps in the browser.",
    "purposes.storage_locations.duration": "How long it stays (ISO 8601); session means until you close the browser.",
    "purposes.storage_locations.path": "The part of the site that it is for.",
    "purposes.storage_locations.domain": "The domain that it is for; none where it is that of the site alone.",
    "purposes.retention_period": "How long what is recorded is kept, as in ISO 8601; none where nothing is.",
    "purposes.recipient_third_parties": "The ids of those third parties.",
    "pii_controllers": "The ids of those who are responsible.",
    "services": "The parts of the site whose own conditions applied.",
    "jurisdiction": "Whose law it is under; none where the policy does not say.",
    "withdraw_at": "Where you can change your answer or withdraw your consent.",
    "withdrawal_method": "The same address, under the name that the standard has for it.",
    "privacy_rights": "Where you can see, take along and erase what is kept about you, and complain.",
    "party_identification": "The parties that are named above by their ids.",
    "party_identification.party_id": "The id of the party.",
    "party_identification.party_name": "Its name.",
    "party_identification.party_address": "Where it is; none where the policy does not say.",
    "party_identification.party_contact": "Where it can be reached; none where the policy does not say.",
    "party_identification.party_url": "Where its privacy policy can be read; none where there is no address.",
    "party_identification.party_role": "What it does with the data: it is responsible, or a third party.",
    "party_identification.party_type": "What kind of party it is.",
    "events": "What your answer did, one entry for each state.",
    "events.event_time": "When it happened, in UTC.",
    "events.validity_duration": "How long it holds, as in ISO 8601.",
    "events.entity_id": "The id that stands for you.",
    "events.event_type": "How you expressed it, or by what law no consent is needed.",
    "events.event_state": "What became of it: consent was given, refused, withdrawn, or nothing was said.",
    "events.purposes": "The ids of the purposes that it is about.",
}
"""Field of a receipt -> its meaning. A nested field is named by its path, such as "purposes.id"."""

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "consent_records": CONSENT_RECORD,
    "receipts": RECEIPT,
    "access_records": ACCESS_RECORD,
    "requests": REQUEST,
}
"""Kind of record, as named in an export -> field -> its meaning."""
