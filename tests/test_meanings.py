from __future__ import annotations

from collections.abc import Mapping

import pytest

from cookie_consent.events import Event
from cookie_consent.meanings import ACCESS_RECORD, CONSENT_RECORD, MEANINGS, REQUEST
from cookie_consent.record_ids import RecordIds
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing import Trace, Tracing
from tests.test_receipt import KEPT

CHROME = b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


def test_each_field_of_a_consent_record_has_a_meaning() -> None:
    notes = {"about", "note"}
    assert CONSENT_RECORD.keys() == KEPT.keys() | notes


def test_each_field_of_an_access_record_has_a_meaning() -> None:
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
    tracing = Tracing(sink, ["utm_*"], RecordIds())
    trace = Trace(fields, "a-visitor", "0123456789abcdef", 1_750_000_000, purpose="audience")
    tracing.write(scope, trace, 200)
    tracing.write_event(scope, trace, Event(name="download", path="/price-list.pdf", properties={"pages": 3}))
    request, event = sink.records
    assert ACCESS_RECORD.keys() == request.keys() | event.keys()


@pytest.mark.parametrize("meanings", [CONSENT_RECORD, ACCESS_RECORD, REQUEST])
def test_each_meaning_is_one_sentence(meanings: Mapping[str, str]) -> None:
    for field, meaning in meanings.items():
        assert meaning.endswith("."), field
        assert meaning[0].isupper(), field
        assert ". " not in meaning, field


def test_an_export_finds_the_meanings_by_kind_of_record() -> None:
    assert MEANINGS == {"consent_records": CONSENT_RECORD, "access_records": ACCESS_RECORD, "requests": REQUEST}
