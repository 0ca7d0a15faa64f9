from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib import DCTERMS, RDF, XSD, Graph, Literal, Namespace, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DefinedNamespace

from cookie_consent.meanings import ACCESS_RECORD
from cookie_consent.proof import document
from cookie_consent.receipt import json_ld, receipt
from tests.policies import full, policies, policy_of, records, small

POLICY = policy_of(full())
LIFETIME = timedelta(days=180)
ADDRESS = "https://example.jp/privacy-choices"
KEPT: Mapping[str, Any] = {
    "schema": 2,
    "record_id": "record-2",
    "consent_id": "an-id",
    "event": "changed",
    "decided_at": "2026-11-25T19:00:00Z",
    "expires_at": "2027-05-24T19:00:00Z",
    "source": "settings",
    "status": "partial",
    "granted": ["media"],
    "refused": ["analytics"],
    "facts": {"analytics": "x1Y2z", "media": "a3B4c"},
    "language": "en",
    "text": "a" * 64,
    "prevailing_language": "ja",
    "prevailing_text": "b" * 64,
    "surface": "settings",
    "feature": None,
    "answered_before": "2026-05-01T08:00:00Z",
    "policy": "0123456789abcdef",
    "policy_sha256": "0123456789abcdef" * 4,
    "service": None,
    "signals": ["gpc"],
    "build": "c" * 64,
    "previous": "record-1",
    "keep_until": "2030-05-23T19:00:00Z",
    "repeat_key": "d" * 64,
}
LEDGER_ONLY = (
    "record_id", "consent_id", "event", "text", "prevailing_text", "surface", "feature", "answered_before", "build",
    "previous", "policy_sha256", "keep_until", "repeat_key",
)  # fmt: skip
LEFT_OUT = {*LEDGER_ONLY, "prevailing_language", "service"}
UNKEPT = {key: value for key, value in KEPT.items() if key not in LEFT_OUT}
"""The same where no ledger is kept."""

DPV = Namespace("https://w3id.org/dpv#")
DPV_TERMS = {
    line
    for line in (Path(__file__).parent / "dpv_terms.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
}


def purpose_of(made: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """Return what a receipt says about one purpose."""
    found: dict[str, Any]
    (found,) = (purpose for purpose in made["purposes"] if purpose["id"] == id_)
    return found


def states(made: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what a receipt says that became of which purposes."""
    return {event["event_state"]: event["purposes"] for event in made["events"]}


# The receipt.


def test_a_receipt_says_all_that_the_standard_asks_for() -> None:
    controller, maps = f"{ADDRESS}#controller", f"{ADDRESS}#recipient-example-maps"
    assert receipt(KEPT, POLICY, ADDRESS) == {
        **KEPT,
        "schema_version": "https://w3id.org/dpv/schema/dpv-27560#receipt",
        "receipt_id": "record-2",
        "pii_principal_id": "an-id",
        "site": "Example Registry",
        "controller": "Example Registry Co., Ltd.",
        "contact": "privacy@example.jp",
        "policy_url": f"{ADDRESS}/policy/0123456789abcdef",
        "privacy_notice": {
            "url": f"{ADDRESS}/policy/0123456789abcdef",
            "version": "0123456789abcdef",
            "sha256": "a" * 64,
            "prevailing_sha256": "b" * 64,
        },
        "described_by": {"version": POLICY.version, "language": "en"},
        "purposes": [
            {
                "id": "analytics",
                "title": "Access tracing",
                "granted": False,
                "recipients": [],
                "purpose": "We count visits.",
                "lawful_basis": "dpv:Consent",
                "pii_information": [{"pii_type": field, "party_id": controller} for field in ACCESS_RECORD],
                "storage_locations": [{"cookie": "_ga*", "duration": "P395D", "path": "/", "domain": "example.jp"}],
                "retention_period": "P395D",
                "recipient_third_parties": [],
            },
            {
                "id": "media",
                "title": "Maps and videos",
                "granted": True,
                "recipients": ["Example Maps Inc."],
                "purpose": "We show maps and videos.",
                "lawful_basis": "dpv:Consent",
                "pii_information": [{"pii_type": "IP address, address of the page", "party_id": maps}],
                "storage_locations": [{"cookie": "player", "duration": "P30D", "path": "/videos", "domain": None}],
                "retention_period": None,
                "recipient_third_parties": [maps],
            },
        ],
        "pii_controllers": [controller],
        "services": [],
        "jurisdiction": None,
        "withdraw_at": ADDRESS,
        "withdrawal_method": ADDRESS,
        "privacy_rights": ADDRESS,
        "party_identification": [
            {
                "party_id": controller,
                "party_name": "Example Registry Co., Ltd.",
                "party_address": None,
                "party_contact": "privacy@example.jp",
                "party_url": "https://example.jp/privacy",
                "party_role": "dpv:DataController",
                "party_type": "dpv:LegalEntity",
            },
            {
                "party_id": maps,
                "party_name": "Example Maps Inc.",
                "party_address": None,
                "party_contact": None,
                "party_url": "https://maps.example.com/privacy",
                "party_role": "dpv:ThirdParty",
                "party_type": "dpv:Recipient",
            },
        ],
        "events": [
            {
                "event_time": "2026-11-25T19:00:00Z",
                "validity_duration": "P180D",
                "entity_id": "an-id",
                "event_type": "dpv:ExplicitlyExpressedConsent",
                "event_state": "dpv:ConsentRefused",
                "purposes": ["analytics"],
            },
            {
                "event_time": "2026-11-25T19:00:00Z",
                "validity_duration": "P180D",
                "entity_id": "an-id",
                "event_type": "dpv:ExplicitlyExpressedConsent",
                "event_state": "dpv:ConsentGiven",
                "purposes": ["media"],
            },
        ],
    }


def test_without_a_ledger_a_receipt_has_the_same_fields_and_no_ids() -> None:
    made = receipt(UNKEPT, POLICY, ADDRESS)
    assert made.keys() == receipt(KEPT, POLICY, ADDRESS).keys()
    assert {made[key] for key in (*LEDGER_ONLY, "receipt_id", "pii_principal_id")} == {None}
    assert {event["entity_id"] for event in made["events"]} == {None}
    assert made["privacy_notice"]["sha256"] is None
    assert made["prevailing_language"] == "ja"


def test_the_language_that_prevailed_at_that_time_is_said() -> None:
    assert receipt({**KEPT, "prevailing_language": "en"}, POLICY, ADDRESS)["prevailing_language"] == "en"


def test_a_language_that_is_no_longer_offered_gives_way_to_the_prevailing_one() -> None:
    made = receipt({**KEPT, "language": "de"}, POLICY, ADDRESS)
    assert [purpose["title"] for purpose in made["purposes"]] == ["アクセス履歴の追跡", "地図と動画"]
    assert purpose_of(made, "media")["pii_information"][0]["pii_type"] == "IPアドレス、ページのアドレス"
    assert (made["language"], made["described_by"]["language"]) == ("de", "ja")


def test_a_purpose_that_is_gone_is_named_by_its_id() -> None:
    made = receipt({**KEPT, "facts": {"ads": "x", "media": "y"}, "granted": ["ads"]}, POLICY, ADDRESS)
    assert [purpose["id"] for purpose in made["purposes"]] == ["analytics", "media", "ads"]
    assert purpose_of(made, "ads") == {
        "id": "ads",
        "title": "ads",
        "granted": True,
        "recipients": [],
        "purpose": None,
        "lawful_basis": "dpv:Consent",
        "pii_information": [],
        "storage_locations": [],
        "retention_period": None,
        "recipient_third_parties": [],
    }


def test_a_purpose_that_was_not_asked_about_is_not_named() -> None:
    only = {"facts": {"media": "y"}, "granted": [], "refused": ["media"]}
    assert [purpose["id"] for purpose in receipt({**KEPT, **only}, POLICY, ADDRESS)["purposes"]] == ["media"]


def test_under_a_service_its_own_conditions_are_said() -> None:
    made = receipt({**KEPT, "service": "whois"}, POLICY, ADDRESS)
    traced = purpose_of(made, "analytics")
    assert (traced["title"], traced["purpose"], traced["retention_period"]) == (
        "Tracing of searches",
        "We count searches.",
        "P30D",
    )
    assert made["services"] == ["whois"]
    assert made["party_identification"][0]["party_url"] == "/whois/terms"


def test_a_service_without_a_policy_of_its_own_has_the_sites() -> None:
    made = receipt({**KEPT, "service": "shop"}, POLICY, ADDRESS)
    assert made["party_identification"][0]["party_url"] == "https://example.jp/privacy"


def test_of_a_service_that_is_gone_the_site_answers() -> None:
    made = receipt({**KEPT, "service": "mail"}, POLICY, ADDRESS)
    assert purpose_of(made, "analytics")["title"] == "Access tracing"
    assert made["services"] == ["mail"]


def test_a_site_without_a_privacy_policy_has_no_address_of_one() -> None:
    made = receipt({**KEPT, "service": None}, small("analytics", "media"), ADDRESS)
    assert made["party_identification"][0]["party_url"] is None


def test_a_cookie_of_the_browser_session_says_so() -> None:
    data = full()
    data["cookies"][2]["duration"] = "session"
    (cookie,) = purpose_of(receipt(KEPT, policy_of(data), ADDRESS), "media")["storage_locations"]
    assert cookie["duration"] == "session"


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("granted", "dpv:ConsentRefused"),
        ("refused", "dpv:ConsentRefused"),
        ("changed", "dpv:ConsentRefused"),
        ("signal", "dpv:ConsentRefused"),
        (None, "dpv:ConsentRefused"),
        ("withdrawn", "dpv:ConsentWithdrawn"),
    ],
)
def test_what_a_withdrawal_refuses_is_withdrawn(event: str | None, state: str) -> None:
    made = receipt({**KEPT, "event": event}, POLICY, ADDRESS)
    assert states(made) == {state: ["analytics"], "dpv:ConsentGiven": ["media"]}


def test_what_was_not_answered_is_unknown() -> None:
    made = receipt({**KEPT, "refused": []}, POLICY, ADDRESS)
    assert states(made) == {"dpv:ConsentUnknown": ["analytics"], "dpv:ConsentGiven": ["media"]}


def test_one_state_is_one_event() -> None:
    made = receipt({**KEPT, "granted": ["media", "analytics"], "refused": []}, POLICY, ADDRESS)
    assert states(made) == {"dpv:ConsentGiven": ["analytics", "media"]}


@pytest.mark.parametrize(
    ("source", "expressed"),
    [
        ("banner", "dpv:ExplicitlyExpressedConsent"),
        ("settings", "dpv:ExplicitlyExpressedConsent"),
        ("feature", "dpv:ExpressedConsent"),
        ("api", "dpv:ExpressedConsent"),
        ("signal", "dpv:Consent"),
        ("imported", "dpv:Consent"),
    ],
)
def test_consent_is_explicit_where_the_act_was_about_it_alone(source: str, expressed: str) -> None:
    made = receipt({**KEPT, "source": source}, POLICY, ADDRESS)
    assert {event["event_type"] for event in made["events"]} == {expressed}


@pytest.mark.parametrize(
    ("expires_at", "duration"),
    [
        ("2026-11-25T19:00:00Z", "P0D"),
        ("2026-11-25T19:00:01Z", "PT1S"),
        ("2026-11-25T20:30:00Z", "PT1H30M"),
        ("2026-11-27T19:00:00Z", "P2D"),
        ("2026-11-27T21:00:09Z", "P2DT2H9S"),
    ],
)
def test_durations_are_as_in_iso_8601(expires_at: str, duration: str) -> None:
    made = receipt({**KEPT, "expires_at": expires_at}, POLICY, ADDRESS)
    assert {event["validity_duration"] for event in made["events"]} == {duration}


def test_a_receipt_is_json() -> None:
    made = receipt(KEPT, POLICY, ADDRESS)
    assert json.loads(json.dumps(made)) == made


# The same as linked data.


def graph_of(made: Mapping[str, Any], base: str = f"{ADDRESS}/receipt") -> Graph:
    """Return what a receipt says as linked data."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        # rdflib 7.6 reads JSON-LD by a class of its own that it warns of.
        return Graph().parse(data=json.dumps(made), format="json-ld", base=base)


def iris(graph: Graph) -> Iterator[URIRef]:
    """Yield all IRIs of a graph, those of datatypes included."""
    for triple in graph:
        for term in triple:
            if isinstance(term, URIRef):
                yield term
            if isinstance(term, Literal) and term.datatype is not None:
                yield term.datatype


def unknown_terms(graph: Graph) -> set[str]:
    """Return the terms that their vocabularies do not have, and predicates and types of any other vocabulary."""
    wrong = {iri for iri in iris(graph) if iri.startswith(DPV) and iri.removeprefix(DPV) not in DPV_TERMS}
    used = {str(term) for term in (*graph.predicates(), *graph.objects(None, RDF.type))}
    foreign = {term for term in used if not (term.startswith(DPV) or is_known(DCTERMS, term) or is_known(RDF, term))}
    return {*map(str, wrong), *foreign}


def is_known(vocabulary: type[DefinedNamespace], term: str) -> bool:
    """Return whether a vocabulary that rdflib knows has a term."""
    return vocabulary.__contains__(term)


def values(graph: Graph, query: str) -> list[tuple[str, ...]]:
    """Return the rows of a SPARQL query, in order."""
    prefixes = f"PREFIX dpv: <{DPV}> PREFIX dct: <{DCTERMS}> PREFIX rdf: <{RDF}>"
    return sorted(tuple(map(str, row)) for row in graph.query(f"{prefixes} SELECT {query}") if isinstance(row, tuple))


def test_the_list_of_dpv_terms_has_properties_and_classes() -> None:
    assert len(DPV_TERMS) == 1106
    assert {"ConsentRecord", "hasConsentStatus"} <= DPV_TERMS
    assert "isIndicationTime" not in DPV_TERMS


def test_linked_data_say_which_purpose_is_in_which_state_since_when() -> None:
    rows = values(
        graph_of(json_ld(KEPT, POLICY, ADDRESS)),
        """?record ?purpose ?state ?time { ?receipt a dpv:ConsentReceipt; dpv:hasRecordOfActivity ?record.
        ?record a dpv:ConsentRecord; dpv:hasPurpose/dct:title ?purpose; dpv:hasConsentStatus ?status.
        ?status a ?state; dpv:isIndicatedAtTime ?time }""",
    )
    since = "2026-11-25T19:00:00+00:00"
    assert rows == [
        (f"{ADDRESS}/receipt#record-2/record-analytics", "Access tracing", str(DPV.ConsentRefused), since),
        (f"{ADDRESS}/receipt#record-2/record-media", "Maps and videos", str(DPV.ConsentGiven), since),
    ]


def test_linked_data_say_who_and_what_was_shown() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    assert values(
        graph, "DISTINCT ?name ?contact { [] dpv:hasDataController ?c. ?c dpv:hasName ?name; dpv:hasContact ?contact }"
    ) == [("Example Registry Co., Ltd.", "privacy@example.jp")]
    assert values(graph, "DISTINCT ?id { [] dpv:hasDataSubject/dct:identifier ?id }") == [("an-id",)]
    assert values(graph, "?l ?hash ?url { [] dct:language ?l; dct:identifier ?hash; dct:source ?url }") == [
        ("en", f"sha-256:{'a' * 64}", f"{ADDRESS}/policy/0123456789abcdef"),
        ("ja", f"sha-256:{'b' * 64}", f"{ADDRESS}/policy/0123456789abcdef"),
    ]


def test_linked_data_say_what_is_stored_for_how_long_and_who_receives_what() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    assert values(
        graph, "?cookie ?length { [] a dpv:StorageLocation; dct:title ?cookie; dpv:hasDuration/rdf:value ?length }"
    ) == [
        ("_ga*", "P395D"),
        ("player", "P30D"),
    ]
    assert values(
        graph, "?what ?who { [] dpv:hasPersonalData/dct:title ?what; dpv:hasRecipient/dpv:hasName ?who }"
    ) == [("IP address, address of the page", "Example Maps Inc.")]
    assert values(graph, "?kind { [] dpv:hasPersonalData/dct:title ?kind MINUS { ?r dpv:hasRecipient [] } }")


def test_linked_data_say_the_ways_out_and_what_they_conform_to() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    assert values(graph, "DISTINCT ?at { [] a dpv:WithdrawConsent; dpv:isExercisedAt ?at }") == [(ADDRESS,)]
    assert values(graph, "?at { [] a dpv:DataSubjectRight; dpv:isExercisedAt ?at }") == [(ADDRESS,)]
    assert values(graph, "?to { [] a dpv:ConsentReceipt; dct:conformsTo ?to }") == [
        ("https://w3id.org/dpv/guides/consent-27560",),
        ("https://w3id.org/dpv/schema/dpv-27560#receipt",),
    ]
    assert values(graph, "?old { [] dct:replaces ?old }") == [(f"{ADDRESS}/receipt#record-1",)]


def test_only_what_was_granted_has_consent_as_its_basis() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    assert values(graph, "?id ?basis { [] dpv:hasLegalBasis ?basis; dpv:hasPurpose/dct:identifier ?id }") == [
        ("media", str(DPV.ExplicitlyExpressedConsent))
    ]


def test_linked_data_have_typed_times_and_durations() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    typed = {term.datatype for term in graph.objects() if isinstance(term, Literal)} - {None}
    assert typed == {XSD.dateTime, XSD.duration}


def test_without_a_ledger_linked_data_name_neither_a_record_nor_a_person() -> None:
    made = json_ld(UNKEPT, POLICY, ADDRESS)
    assert "@id" not in made
    assert values(graph_of(made), "?id { [] dpv:hasDataSubject/dct:identifier ?id }") == []
    assert f"{ADDRESS}/receipt#" not in json.dumps(made)


def test_receipts_of_several_visitors_do_not_mix() -> None:
    graph = graph_of(json_ld(KEPT, POLICY, ADDRESS))
    graph += graph_of(json_ld({**KEPT, "record_id": "record-9", "consent_id": "another-id"}, POLICY, ADDRESS))
    query = "DISTINCT ?receipt ?id { ?receipt dpv:hasRecordOfActivity/dpv:hasDataSubject/dct:identifier ?id }"
    assert values(graph, query) == [
        (f"{ADDRESS}/receipt#record-2", "an-id"),
        (f"{ADDRESS}/receipt#record-9", "another-id"),
    ]


def test_the_prevailing_text_is_a_notice_of_its_own_only_where_another_was_shown() -> None:
    count = "?n { [] dpv:hasNotice ?n. ?n a dpv:ConsentNotice; dct:language ?l }"
    for changes, notices in (({}, 2), ({"language": "ja"}, 1), ({"prevailing_text": None}, 1)):
        made = json_ld({**KEPT, **changes}, POLICY, ADDRESS)
        assert len(made["dpv:hasNotice"]) == notices
        assert len(set(values(graph_of(made), count))) == notices


def test_linked_data_name_a_purpose_that_is_gone_and_a_service() -> None:
    graph = graph_of(json_ld({**KEPT, "granted": ["ads"], "service": "whois"}, POLICY, ADDRESS))
    assert values(graph, "?id { ?p a dpv:Purpose; dct:identifier ?id MINUS { ?p dct:title [] } }") == [("ads",)]
    assert values(graph, "?id { [] dpv:hasService/dct:identifier ?id }") == [("whois",)]


def test_a_relative_address_is_relative_to_where_the_export_is_read() -> None:
    relative, absolute = (graph_of(json_ld(KEPT, POLICY, address)) for address in ("/privacy-choices", ADDRESS))
    identifier = URIRef(DPV.hasIdentifier)  # is a text, not an address
    for graph in (relative, absolute):
        graph.remove((None, identifier, None))
    assert isomorphic(relative, absolute)


def test_a_cookie_of_the_browser_session_lasts_until_an_event() -> None:
    data = full()
    data["cookies"][2]["duration"] = "session"
    graph = graph_of(json_ld(KEPT, policy_of(data), ADDRESS))
    assert values(graph, "?cookie { [] dct:title ?cookie; dpv:hasDuration/a dpv:UntilEventDuration }") == [("player",)]


def test_linked_data_are_read_without_the_network() -> None:
    context = json_ld(KEPT, POLICY, ADDRESS)["@context"]
    assert set(context) == {"dpv", "dct", "rdf", "xsd"}


@pytest.mark.parametrize("source", ["banner", "feature", "signal"])
@pytest.mark.parametrize("event", [None, "changed", "withdrawn"])
@pytest.mark.parametrize("granted", [[], ["media"], ["ads", "analytics"]])
def test_linked_data_use_only_terms_that_exist(source: str, event: str | None, granted: list[str]) -> None:
    data = full()
    data["cookies"][2]["duration"] = "session"
    changes = {"source": source, "event": event, "granted": granted, "refused": [], "service": "whois"}
    for kept in (KEPT, UNKEPT):
        assert unknown_terms(graph_of(json_ld({**kept, **changes}, policy_of(data), ADDRESS))) == set()


def test_a_term_that_does_not_exist_would_be_found() -> None:
    wrong = {"dpv:isIndicationTime": "2026", "dct:nothing": "x", "@type": "dpv:Cookie"}
    graph = graph_of({"@context": json_ld(KEPT, POLICY, ADDRESS)["@context"], **wrong})
    assert unknown_terms(graph) == {str(DPV.isIndicationTime), f"{DCTERMS}nothing", str(DPV.Cookie)}


@given(st.data())
def test_every_answer_has_a_receipt_in_both_forms(data: st.DataObject) -> None:
    policy = data.draw(policies())
    record = data.draw(records(policy))
    kept = document(record, LIFETIME)
    made = receipt(kept, policy, "/p")
    assert {purpose["id"] for purpose in made["purposes"]} == record.answers.keys()
    assert unknown_terms(graph_of(json_ld(kept, policy, "/p"))) == set()
