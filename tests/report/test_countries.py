"""Tests of countries in reports: files of earlier versions, the filter, and how countries are shown."""

from __future__ import annotations

import csv
import os
import re
import shlex
import textwrap
import tomllib
from pathlib import Path

import duckdb
import pytest

from cookie_consent.cli.main import GOOD, main
from cookie_consent.report import report
from cookie_consent.report.export.csv_files import as_csv
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.page.page import page
from cookie_consent.report.where import parse_filter, segment_of
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.compaction import compact
from cookie_consent.tracing.tracer import Tracing
from tests.report.test_report import write_days
from tests.support import analytics_sample
from tests.support.asgi import SITE, reply_app
from tests.support.documentation import ROOT, blocks, run
from tests.support.mmdb import write_table
from tests.support.policies import KEY
from tests.support.report_records import DAYS, FIRST, Record, line, random_records
from tests.support.report_sample import sample_report

COUNTRY = "client.geo.country.iso_code"
PAGE = "docs/countries.md"


def record(number: int, country: str | None, day: int) -> Record:
    found = random_records(seed=1, visitors=1)[0]
    what = {"record.kind": "view", "url.path": "/", "http.response.status_code": 200, "visitor.id": f"v{number}"}
    when = {"time": f"{FIRST:%Y-%m}-{day:02}T10:00:00.000Z", "log.record.uid": f"a-{number}"}
    rest = {key: value for key, value in found.items() if key != COUNTRY and not key.startswith("event")}
    return {**rest, **what, **when, **({COUNTRY: country} if country else {})}


@pytest.mark.parametrize("later", [True, False], ids=["later files know it", "no file knows it"])
def test_parquet_files_of_an_earlier_version_have_no_country(tmp_path: Path, later: bool) -> None:
    live = tmp_path / "access.jsonl"
    for day in (1, 2) if later else (1,):
        number, country = day, "JP" if day == 2 else None
        when = FIRST.replace(day=day)
        write_days(path_of(live, when, 1, FileFormat.PLAIN), [record(number, country, day)], [when])
        compact(live)
        parquet = path_of(live, when, 1, FileFormat.PARQUET)
        if day == 1:
            with duckdb.connect() as connection:
                old = parquet.with_suffix(".old")
                connection.execute(f"COPY (SELECT * EXCLUDE (country) FROM '{parquet}') TO '{old}' (FORMAT parquet)")  # noqa: S608
            os.replace(old, parquet)
    made = report(live, since=FIRST, until=FIRST.replace(day=DAYS), threshold=1)
    assert made["views"] == 1 + later
    assert made["countries"] == [{"country": "JP", "visitors": 1, "views": 1}] * later


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
    assert "Countries\ncountry" in as_text(made)


def test_page_without_countries_has_no_section_of_them() -> None:
    assert 'id="places"' in page(sample_report())
    assert 'id="places"' not in page(sample_report(countries=[]))


class App:
    """Takes the middleware as the apps of frameworks do."""

    def add_middleware(self, middleware: type, **options: object) -> None:
        self.made = middleware(reply_app(), **options)


def test_documented_options_record_countries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", KEY)
    (key,), (code,) = ([block.strip() for block in _indented(kind)] for kind in ("toml", "python"))
    assert tomllib.loads(key) == {"records_country": True}
    Path("consent.toml").write_text(SITE.replace("traces = true", f"traces = true\n{key}"), "utf-8")
    Path("logs").mkdir()
    write_table(Path("GeoLite2-Country.mmdb"), {"203.0.113.0/24": "JP"})
    app = App()
    run(code, app=app)
    tracing: Tracing = app.made._installed.access_log.tracing
    assert tracing._countries is not None
    assert tracing._countries.of("203.0.113.9", is_exempt=False) == "JP"


def _indented(kind: str) -> list[str]:
    """Return the blocks of the page, which are in a list."""
    text = (ROOT / PAGE).read_text("utf-8")
    return [
        textwrap.dedent(block) for block in re.findall(rf"^   ```{kind}\n(.*?)^   ```", text, re.DOTALL | re.MULTILINE)
    ]


@pytest.mark.slow
@pytest.mark.one_python
def test_documented_commands_report_countries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = analytics_sample.records()
    located = [record | {COUNTRY: ("JP", "DE")[int(record["visitor.id"][:3]) % 3 == 0]} for record in made]
    Path("logs").mkdir()
    Path("logs/access.jsonl").write_bytes(b"".join(map(line, located)))
    (console,) = blocks(PAGE, "console")
    said = []
    for command in console.splitlines():
        assert main(shlex.split(command)[2:]) == GOOD
        said.append(capsys.readouterr().out)
    japan = {record["visitor.id"] for record in located if record[COUNTRY] == "JP" and record["record.kind"] == "view"}
    rows = list(csv.DictReader(said[0].splitlines()))
    assert [row["country"] for row in rows] == ["JP", "DE"]
    assert int(rows[0]["visitors"]) == len(japan)
    assert "country JP" in said[1]
