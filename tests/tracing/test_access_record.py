"""Tests of the JSON schemas of access records and counts, and of their documentation."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cookie_consent.ledgers.glossary import ACCESS_RECORD
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_record import route_of
from cookie_consent.tracing.events import Event
from cookie_consent.tracing.tracer import Trace, Tracing
from tests.support.asgi import PHONE, Visitor, install
from tests.tracing.test_counts import APP, BROWSER, counts

DOCS = Path(__file__).parents[2] / "docs" / "access-record.md"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("cookie_consent").joinpath(f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def problems(name: str, record: object) -> list[str]:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(schema(name), format_checker=checker)
    return [error.message for error in validator.iter_errors(record)]


def test_records_and_counts_match_their_schemas() -> None:
    sink = MemorySink()
    app = install(APP, access_log=sink)
    visitor = Visitor(app, BROWSER)
    visitor.get("/")
    visitor.accept()
    visitor.get("/", [("referer", "https://elsewhere.example/?q=1")], query=b"utm_source=mail")
    visitor.get("/data")
    visitor.get("/missing", client=("2001:db8::1", 5))
    event = Event(name="download", path="/price-list.pdf", properties={"pages": 3}, duration_ms=5.0)
    Tracing(sink, []).write_event({}, Trace({b"user-agent": PHONE.encode()}, "v", "0" * 16, 0.0), event)
    counts(app, sink)
    assert len(sink.records) == 4
    for record in sink.records:
        assert problems("access_record", record) == []
    assert sink.counts
    for count in sink.counts:
        assert problems("access_count", count) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"client.address": "203.0.113.77"}, "does not match"),
        ({"user_agent.original": "Mozilla/5.0"}, "Additional properties"),
        ({"record.kind": "event"}, "'event.name' is a required property"),
        ({"time": "2026-11-25 10:00"}, "does not match"),
    ],
    ids=["full address", "full user agent", "event without a name", "format of the time"],
)
def test_record_with_invalid_field_fails_the_schema(change: dict[str, Any], complaint: str) -> None:
    sink = MemorySink()
    visitor = Visitor(install(APP, access_log=sink), BROWSER)
    visitor.accept()
    visitor.get("/")
    assert any(complaint in problem for problem in problems("access_record", sink.records[0] | change))


@pytest.mark.parametrize(("name", "heading"), [("access_record", "Access records"), ("access_count", "Counts")])
def test_documentation_lists_exactly_the_schema_fields(name: str, heading: str) -> None:
    section = DOCS.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    assert sorted(documented) == sorted(schema(name)["properties"])


def test_documentation_examples_match_the_schemas() -> None:
    examples = re.findall(r"^```json\n(.*?)^```", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    record, count = map(json.loads, examples)
    assert (problems("access_record", record), problems("access_count", count)) == ([], [])


def test_glossary_for_visitors_explains_each_record_field() -> None:
    assert schema("access_record")["properties"].keys() == ACCESS_RECORD.keys()


def test_request_without_route_has_no_route_template() -> None:
    assert route_of({"path": "/offices"}) == ""
