"""Tests of the glossary: each field of a record, a receipt and an export has a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cookie_consent.ledgers import MemoryLedger
from cookie_consent.ledgers.glossary import ACCESS_RECORD, CONSENT_RECORD, COUNTRY, RECEIPT, REQUEST
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.events import Event
from cookie_consent.tracing.tracer import Trace, Tracing
from tests.ledgers.test_receipt import KEPT
from tests.support.asgi import PHONE, PREFIX, Visitor, install
from tests.support.desk import help_desk_request
from tests.support.policies import full_policy_data, policy_of

CHROME = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
LAW = {"law"}
"""The field of records under a policy that names a law."""


def test_every_consent_record_field_has_meaning() -> None:
    assert CONSENT_RECORD.keys() == KEPT.keys() | LAW


def test_every_access_record_field_has_meaning() -> None:
    sink = MemorySink()
    fields = {b"user-agent": CHROME, b"referer": b"https://elsewhere.example/page", b"host": b"site.example"}
    scope = {
        "method": "GET",
        "path": "/offices/1",
        "query_string": b"utm_source=mail",
        "http_version": "1.1",
        "client": ("203.0.113.9", 50_000),
        "route": type("Route", (), {"path_format": "/offices/{id}"}),
    }
    tracing = Tracing(sink, ["utm_*"])
    trace = Trace(fields, "a-visitor", "0123456789abcdef", 1_750_000_000, purpose="audience")
    tracing.write(scope, trace)
    tracing.write_event(scope, trace, Event(name="download", path="/price-list.pdf", properties={"pages": 3}))
    request, event = sink.records
    assert ACCESS_RECORD.keys() == request.keys() | event.keys() | {COUNTRY}


def test_every_field_of_a_request_has_meaning() -> None:
    assert REQUEST.keys() == help_desk_request().document().keys()


def fields_in(data: Mapping[str, Any], path: str = "") -> set[str]:
    """Return the names of all fields; a nested one is prefixed with the fields around it."""
    found = set()
    for name, value in data.items():
        found.add(f"{path}{name}")
        inside = value if isinstance(value, list) else [value]
        # The keys of "facts" are ids of purposes, not fields.
        for part in [part for part in inside if isinstance(part, Mapping) and name != "facts"]:
            found |= fields_in(part, f"{path}{name}.")
    return found


def test_every_receipt_field_has_meaning() -> None:
    made = receipt(KEPT, policy_of(full_policy_data()), "/privacy-choices")
    assert {"purposes.storage_locations.cookie", "events.event_state", "keep_until"} <= fields_in(made)
    assert fields_in(made) | LAW == RECEIPT.keys()


def test_every_export_field_has_meaning() -> None:
    visitor = Visitor(install(ledger=MemoryLedger(), access_log=MemorySink()), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/")
    visitor.refuse()
    export = visitor.get(f"{PREFIX}/export").json
    kinds = export.keys() - {"visitor_id", "withdrawn_visitor_ids", "access_records_complete", "meanings"}
    for kind in kinds:
        meanings = export["meanings"]["consent_records" if kind == "consent" else kind]
        for kept in export[kind] if isinstance(export[kind], list) else [export[kind]]:
            assert fields_in(kept) <= meanings.keys()
    assert {"receipts", "consent_records"} < {kind for kind in kinds if export[kind]}
