"""Tests of countries in reports: the filter, and how countries are shown."""

from __future__ import annotations

import pytest

from cookie_consent.report.export.csv_files import as_csv
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.page.page import page
from cookie_consent.report.where import parse_filter, segment_of
from tests.support.report_records import FIRST, Record, random_records
from tests.support.report_sample import sample_report

COUNTRY = "client.geo.country.iso_code"


def record(number: int, country: str | None, day: int) -> Record:
    found = random_records(seed=1, visitors=1)[0]
    what = {"record.kind": "view", "url.path": "/", "http.response.status_code": 200, "visitor.id": f"v{number}"}
    when = {"time": f"{FIRST:%Y-%m}-{day:02}T10:00:00.000Z", "log.record.uid": f"a-{number}"}
    rest = {key: value for key, value in found.items() if key != COUNTRY and not key.startswith("event")}
    return {**rest, **what, **when, **({COUNTRY: country} if country else {})}


@pytest.mark.parametrize(("text", "value"), [("country=JP", "JP"), ("country=jp", "JP"), ("country=(unknown)", "")])
def test_filter_takes_codes_of_countries(text: str, value: str) -> None:
    assert segment_of([parse_filter(text)]).filters[0].value == value


@pytest.mark.parametrize("value", ["Japan", "J", "1", "(other)"])
def test_filter_refuses_what_is_no_code(value: str) -> None:
    with pytest.raises(ValueError, match="country is a code"):
        segment_of([("country", value)])


def test_page_names_countries_and_data_have_codes() -> None:
    made = sample_report()
    html = page(made)
    assert "Japan" in html
    assert "United States" in html
    assert as_csv(made, "countries").splitlines()[:2] == ["country,visitors,views", "JP,1210,4102"]
    assert "Countries, where they are known\ncountry" in as_text(made)


def test_page_without_countries_has_no_section_of_them() -> None:
    assert 'id="places"' in page(sample_report())
    assert 'id="places"' not in page(sample_report(countries=[]))
