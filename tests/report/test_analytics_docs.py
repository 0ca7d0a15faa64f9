"""Tests of docs/analytics.md, figures.md, keeping-records.md, own-tools.md and large-sites.md: their blocks
of code run on the access log of a made-up site's week. The twelve questions of analytics.md have tests of their own.

Vector, Fluent Bit and the OpenTelemetry Collector are not run, because the system has no packages of them. The tests
parse their configuration (TOML, YAML) and try its patterns and formats on real files and lines. Matomo's importer is
not run, because it needs a Matomo. A test compares the file that its command reads with the pattern in
`test_server_logs`. Grafana's macro is expanded as Grafana does it.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shlex
import subprocess
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psycopg
import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest
from starlette.applications import Starlette

from cookie_consent.cli.main import GOOD, main
from cookie_consent.integrations.prometheus import SinkCollector
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from tests.report.test_server_logs import MATOMO_NCSA
from tests.support import analytics_sample as sample
from tests.support.documentation import ROOT, blocks
from tests.support.report_records import Record, line
from tests.support.servers.clickhouse_server import ClickHouseDatabases, ask, clickhouse_databases
from tests.support.servers.processes import program_path

pytestmark = pytest.mark.server

REPORTS, FIGURES, KEEPING, TOOLS = (
    f"docs/{name}.md" for name in ("analytics", "figures", "keeping-records", "own-tools")
)
POLICY = (ROOT / "examples" / "registry" / "consent.toml").read_text("utf-8").replace("Asia/Tokyo", "UTC")
"""A policy whose days are those of the records."""
LONGEST_RUN = 120
WEEK = ("2026-11-16T00:00:00Z", "2026-11-22T23:59:59.999Z")
RECORDS = sample.records()
COUNTS = sample.counts(RECORDS)
VIEWS = [record for record in RECORDS if sample.is_view(record)]
CONSOLE = [block for page in (REPORTS, FIGURES, KEEPING, TOOLS) for block in blocks(page, "console")]
COMMANDS = [
    line.removeprefix("$ ")
    for block in CONSOLE
    if "--access-log" in block or "goaccess" in block
    for line in block.splitlines()
]
(SITE,), (METRICS, _), (DUCKDB, PANDAS, POLARS) = (blocks(page, "python") for page in (REPORTS, KEEPING, TOOLS))
IN_POSTGRESQL, IN_CLICKHOUSE = blocks(TOOLS, "sql")[:4], blocks(TOOLS, "sql")[4:]
(VECTOR,) = blocks(TOOLS, "toml")
FLUENT_BIT, OPENTELEMETRY = blocks(TOOLS, "yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the access log of a week."""
    sample.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    with clickhouse_databases() as databases:
        yield databases


@pytest.fixture
def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What each command says."""
    (folder / "consent.toml").write_text(POLICY, "utf-8")
    said: dict[str, str] = {}
    for text in COMMANDS:
        command = shlex.split(text)
        if command[0] == "cookie-consent":
            assert main(command[1:]) == GOOD, command
        else:
            run(command)
        said[text] = capsys.readouterr().out
    return said


def test_documented_commands_work(folder: Path, said: dict[str, str]) -> None:
    def of(*words: str) -> str:
        """Return what the first command with these words says."""
        return next(out for text, out in said.items() if all(word in text for word in words))

    def in_csv(name: str) -> str:
        return (folder / f"{name}.csv").read_text("utf-8")

    visitors = len({record["visitor.id"] for record in VIEWS})
    assert re.search(rf"^visitors +{visitors}$", of("report"), re.MULTILINE)
    named = {
        record["visitor.id"]
        for record in VIEWS
        if record["user_agent.device"] == "mobile" and record["url.path"].startswith("/names")
    }
    assert re.search(rf"^visitors +{len(named)}$", of("report --", "--where"), re.MULTILINE)
    pages = Counter(record["url.path"] for record in VIEWS)
    assert in_csv("figures/pages").splitlines()[1].startswith(f"/,{pages['/']},")
    assert in_csv("figures/channels").startswith("channel,sessions,visitors\n")
    assert "\n/names,/names/check," in in_csv("names/next_pages")
    assert in_csv("figures/missing").startswith("path,source,requests,visitors\n")
    assert re.search(r"would remove .*access record", of("purge"))
    visitor = json.loads(of("export --visitor"))
    of_visitor = [record for record in RECORDS if record["visitor.id"] == visitor["id"]]
    assert [record["url.path"] for record in visitor["access_records"]] == [record["url.path"] for record in of_visitor]
    assert of("erase").startswith(f"Erased: {len(of_visitor)} access record")
    for name in ("report.html", "goaccess.html"):
        assert "<html" in (folder / name).read_text("utf-8")[:300]
    assert (folder / "week.jsonl").read_bytes().count(b"\n") == len(RECORDS) - len(of_visitor)
    assert (folder / "registry.csv").read_bytes().count(b"\n") == len(RECORDS) - len(of_visitor) + 1
    (importer,) = blocks(TOOLS, "sh")
    lines = (folder / shlex.split(importer)[-1]).read_text("ascii").splitlines()
    requests = [
        record
        for record in RECORDS
        if record["record.kind"] != "event" or record["event.name"] == "page_view"
        if record not in of_visitor
    ]
    assert len(lines) == len(requests)
    assert all(map(MATOMO_NCSA.fullmatch, lines))


def run(command: list[str]) -> None:
    """Run a program of the system."""
    subprocess.run(
        [program_path(command[0], command[0]), *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=LONGEST_RUN,
    )


def run_python(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "analytics"}
    exec(compile(code, "a page of the documentation", "exec"), names)  # noqa: S102 (our own page)
    return names


def test_report_app_shows_report_only_to_analysts(folder: Path) -> None:
    site = Starlette(routes=run_python(SITE)["routes"])

    async def status(user: str) -> int:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await site({**scope, "user": user}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://site.example") as client:
            return (await client.get("/report/")).status_code

    assert asyncio.run(status("somebody")) == 403
    assert asyncio.run(status("an analyst")) == 200


def test_prometheus_counters_have_documented_names(folder: Path) -> None:
    access_log = run_python(METRICS)["access_log"]
    try:
        access_log.write(line(RECORDS[0]))
        access_log.close()
        shown = generate_latest(REGISTRY).decode()
    finally:
        for collector in list(REGISTRY._collector_to_names):
            if isinstance(collector, SinkCollector):
                REGISTRY.unregister(collector)
    for name in ("dropped", "waiting", "spilled_total", "written_total"):
        assert f"cookie_consent_access_records_{name}" in shown


@pytest.mark.full_matrix
def test_data_frames_match_records(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exports = [command for command in map(shlex.split, COMMANDS) if {"parquet", "jsonl"} & set(command)]
    assert [main(command[1:]) for command in exports] == [GOOD, GOOD]
    assert main(["compact", "--access-log", "logs/access.jsonl"]) == GOOD
    closed = [record for record in VIEWS if record["time"][:10] <= str(sample.LAST_CLOSED)]
    pages = {path: (views, visitors) for path, views, visitors in run_python(DUCKDB)["pages"]}
    assert pages == {
        path: (len(of), len({record["visitor.id"] for record in of}))
        for path, of in grouped(closed, "url.path").items()
    }
    by_entry = run_python(PANDAS)["by_entry"]
    begun = [record for record in closed if record["time"] < f"{sample.LAST_CLOSED}T18"]
    assert dict(by_entry) == {
        path: len({record["visitor.id"] for record in of})
        for path, of in grouped(first_views(begun), "url.path").items()
    }
    slowest = run_python(POLARS)["slowest"]
    assert dict(slowest.select("route", "requests").iter_rows()) == Counter(
        record["http.route"] for record in RECORDS if record["record.kind"] != "event"
    )


def grouped(records: list[Record], key: str) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record[key]].append(record)
    return groups


def by_day() -> dict[str, list[Record]]:
    return grouped([{**record, "day": record["time"][:10]} for record in VIEWS], "day")


def visitors_by_day() -> dict[str, int]:
    return {day: len({record["visitor.id"] for record in of}) for day, of in by_day().items()}


def sums(name: str) -> dict[str, int]:
    return {count["count.day"]: count["count.value"] for count in COUNTS if count["count.name"] == name}


def shares() -> dict[str, float]:
    return {day: recorded / sums("views")[day] for day, recorded in sums("views_recorded").items()}


def first_views(views: list[Record]) -> list[Record]:
    """The first views of sessions: a session starts with a view after 30 minutes without a view."""
    first: list[Record] = []
    for of in grouped(views, "visitor.id").values():
        moments = [datetime.fromisoformat(record["time"]) for record in of]
        for record, moment, before in zip(of, moments, [None, *moments], strict=False):
            if before is None or moment - before > timedelta(minutes=30):
                first.append(record)
    return first


def entries() -> Counter[str]:
    """Sessions by entry page."""
    return Counter(record["url.path"] for record in first_views(VIEWS))


def write_to(url: str, folder: Path) -> None:
    sink = open_sink(f"{url}?spill={folder}")
    for record in RECORDS:
        sink.write(line(record))
    for count in COUNTS:
        sink.count(line(count))
    sink.close()
    assert sink.stats()["written"] == len(RECORDS) + len(COUNTS)


IN_VIEWS = (
    "SELECT host, path, status, viewed, event, referrer, source, medium, campaign, browser, os, device, country,"
    " duration_ms FROM {}views WHERE time < '2026-11-22 00:00:00'"
)
IN_SESSIONS = (
    "SELECT seconds, host, views, pages, entry_path, exit_path, bounced, referrer, source, medium, campaign"
    " FROM {}sessions WHERE began < '2026-11-21 18:00:00'"
)
"""All columns but the time, and the visitor, whose number differs. Files have these days."""


def beside_files(folder: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of the two tables beside a log in files."""
    sample.write(folder)
    sample.add_to_tables(folder)
    with duckdb.connect(folder / "logs" / "access.duckdb", read_only=True) as tables:
        views, sessions = (tables.sql(text.format("")).fetchall() for text in (IN_VIEWS, IN_SESSIONS))
        return ordered(views), ordered(sessions)


def ordered(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in rows), key=str)


def test_grafana_panels_over_postgresql_match_records(postgres_url: str, tmp_path: Path) -> None:
    write_to(postgres_url, tmp_path)
    for _ in range(2):  # an update of the package replaces them
        assert main(["compact", "--access-log", postgres_url]) == GOOD
    with psycopg.connect(postgres_url) as connection:

        def rows(panel: str) -> list[tuple[Any, ...]]:
            text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{WEEK[0]}' AND '{WEEK[1]}'", panel)
            return connection.execute(text.encode()).fetchall()

        views, share, answers, begun = map(rows, IN_POSTGRESQL)
    seen = {day: (len(of), visitors_by_day()[day]) for day, of in by_day().items()}
    assert {str(time)[:10]: numbers for time, *numbers in views} == {day: list(pair) for day, pair in seen.items()}
    assert {str(day): float(number) for day, number in share} == pytest.approx(shares())
    assert {str(day): asked for day, asked, *_ in answers} == sums("asked")
    assert {str(day): granted for day, _, granted, *_ in answers} == sums("granted")
    large = {path: sessions for path, sessions in entries().items() if sessions >= 5}  # the panel leaves out rare rows
    assert {path: sessions for path, sessions, _ in begun} == large


def test_views_in_postgresql_have_rows_of_tables_beside_files(postgres_url: str, tmp_path: Path) -> None:
    write_to(postgres_url, tmp_path)
    assert main(["compact", "--access-log", postgres_url]) == GOOD
    with psycopg.connect(postgres_url, options="-c TimeZone=UTC") as connection:
        views, sessions = (connection.execute(text.format("access_")) for text in (IN_VIEWS, IN_SESSIONS))
        assert (ordered(views), ordered(sessions)) == beside_files(tmp_path)


def test_charts_over_clickhouse_match_records(clickhouse: ClickHouseDatabases, tmp_path: Path) -> None:
    url = clickhouse.new_database()
    write_to(url, tmp_path)
    for _ in range(2):  # an update of the package replaces them
        assert main(["compact", "--access-log", url]) == GOOD
    views, share, devices, begun = (ask(url, chart) for chart in IN_CLICKHOUSE)
    assert {day[:10]: int(visitors) for day, _, visitors in views} == visitors_by_day()
    assert {day[:10]: int(number) for day, number, _ in views} == {day: len(of) for day, of in by_day().items()}
    large = {path: sessions for path, sessions in entries().items() if sessions >= 5}
    assert {path: int(sessions) for path, sessions, _ in begun} == large
    assert {day: float(number) for day, number in share} == pytest.approx(shares())
    assert sum(int(visitors) for *_, visitors in devices) == len({record["visitor.id"] for record in VIEWS})


def test_report_on_clickhouse_of_its_own(
    clickhouse: ClickHouseDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = clickhouse.new_database()
    write_to(url, tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("consent.toml").write_text(POLICY, "utf-8")
    (commands,) = blocks("docs/large-sites.md", "console")
    for text in commands.splitlines():
        command = shlex.split(text.removeprefix("$ cookie-consent "))
        assert main([url if word.startswith("clickhouse:") else word for word in command]) == GOOD
    visitors = len({record["visitor.id"] for record in VIEWS})
    assert re.search(rf"^visitors +{visitors}$", capsys.readouterr().out, re.MULTILINE)


def test_views_in_clickhouse_have_rows_of_tables_beside_files(clickhouse: ClickHouseDatabases, tmp_path: Path) -> None:
    url = clickhouse.new_database()
    write_to(url, tmp_path)
    ask(url, "INSERT INTO access_records SELECT * FROM access_records LIMIT 99")  # written twice
    assert main(["compact", "--access-log", url]) == GOOD
    views, sessions = (ask(url, text.format("access_")) for text in (IN_VIEWS, IN_SESSIONS))
    of_files = beside_files(tmp_path)
    assert in_numbers(views) == in_numbers(of_files[0])
    assert in_numbers(sessions) == in_numbers(of_files[1])


def in_numbers(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    """Return rows in which a truth is a number, and a number is one of microseconds' precision."""
    return ordered(
        [round(float(value), 6) if isinstance(value, bool | int | float) else value for value in row] for row in rows
    )


# Collectors

LOG = Path("/srv/site/logs/access.jsonl")
CLOSED = path_of(LOG, sample.FIRST, 1, FileFormat.PLAIN)
NOT_FOLLOWED = (
    counts_path(LOG),
    path_of(counts_path(LOG), sample.FIRST, 1, FileFormat.PLAIN),
    path_of(LOG, sample.FIRST, 1, FileFormat.GZIP),
    path_of(LOG, sample.FIRST, 1, FileFormat.PARQUET),
)


def followed(patterns: list[str]) -> list[Path]:
    return [
        path for path in (LOG, CLOSED, *NOT_FOLLOWED) if any(fnmatchcase(str(path), pattern) for pattern in patterns)
    ]


@pytest.fixture
def lines(folder: Path) -> list[str]:
    """The lines of an access log from which one visitor was erased."""
    open_sink("logs/access.jsonl").erase(RECORDS[-1]["visitor.id"])
    return Path("logs/access.jsonl").read_text("utf-8").splitlines()


def split_by_pattern(lines: list[str], skipped: str) -> tuple[list[str], list[str]]:
    """Return the lines that a pattern skips, and the others."""
    gone = [text for text in lines if re.search(skipped, text)]
    return gone, [text for text in lines if text not in gone]


def are_records(kept: list[str], gone: list[str]) -> bool:
    return (
        bool(gone) and all(text.isspace() for text in gone) and all("visitor.id" in json.loads(text) for text in kept)
    )


def test_vector_follows_log_files_and_skips_erased_lines(lines: list[str]) -> None:
    settings = tomllib.loads(VECTOR)
    assert followed(settings["sources"]["access"]["include"]) == [LOG, CLOSED]
    (skipped,) = re.findall(r"r'(.*?)'", settings["transforms"]["written"]["condition"])
    gone, kept = split_by_pattern(lines, skipped)
    assert are_records(kept, gone)
    stages = {**settings["sources"], **settings["transforms"]}
    for stage in (*settings["transforms"].values(), *settings["sinks"].values()):
        assert set(stage["inputs"]) <= stages.keys()


def test_fluent_bit_follows_log_files_and_reads_times(lines: list[str]) -> None:
    settings = yaml.safe_load(FLUENT_BIT)
    (tail,), (parser,) = settings["pipeline"]["inputs"], settings["parsers"]
    assert followed(tail["path"].split(",")) == [LOG, CLOSED]
    assert tail["parser"] == parser["name"]
    assert "log" not in {key for record in RECORDS for key in record}
    assert [rule["exclude"] for rule in settings["pipeline"]["filters"]] == ["log ^"]
    assert reads_times(parser["time_format"])


def test_opentelemetry_collector_follows_log_files_and_skips_erased_lines(lines: list[str]) -> None:
    settings = yaml.safe_load(OPENTELEMETRY)
    receiver = settings["receivers"]["filelog"]
    assert followed(receiver["include"]) == [LOG, CLOSED]
    skip, parse = receiver["operators"]
    (skipped,) = re.findall(r'matches "(.*)"', skip["expr"].replace("\\\\", "\\"))
    gone, kept = split_by_pattern(lines, skipped)
    assert are_records(kept, gone)
    assert reads_times(parse["timestamp"]["layout"])
    assert settings["service"]["pipelines"]["logs"] == {"receivers": ["filelog"], "exporters": ["debug"]}


def reads_times(layout: str) -> bool:
    """Whether a layout of strptime, in which %L means milliseconds, reads the times of records."""
    moment = datetime.strptime(RECORDS[0]["time"], layout.replace("%L", "%f"))  # noqa: DTZ007 (Z is a letter there)
    return f"{moment.isoformat(timespec='milliseconds')}Z" == str(RECORDS[0]["time"])


# The notebook


def shown(notebook: Any) -> list[list[str]]:
    return [
        [output["data"]["text/plain"] for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"
    ]


@pytest.mark.full_matrix
def test_notebook_has_outputs_of_a_fresh_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample.add_to_tables(folder)
    assert shown(sample.executed(folder)) == shown(sample.notebook())


def rows_of_cells() -> list[list[tuple[Any, ...]]]:
    """Return the rows that each cell of the notebook shows."""
    names: dict[str, Any] = {}
    rows = []
    for cell in json.loads(sample.NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            *statements, shown = ast.parse("".join(cell["source"])).body
            assert isinstance(shown, ast.Expr)
            exec(compile(ast.Module(statements, []), "a cell", "exec"), names)  # noqa: S102 (our own notebook)
            rows.append(eval(compile(ast.Expression(shown.value), "a cell", "eval"), names).fetchall())  # noqa: S307
    return rows


def test_notebook_has_figures_of_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample.add_to_tables(folder)
    whole_days = ["--from", str(sample.FIRST), "--to", str(sample.LAST_CLOSED - timedelta(days=1))]
    capsys.readouterr()
    assert main(["report", "--access-log", "logs/access.jsonl", "--json", "--threshold", "1", *whole_days]) == GOOD
    report = json.loads(capsys.readouterr().out)

    def of_report(figure: str, *keys: str) -> set[tuple[Any, ...]]:
        return {tuple(row[key] for key in keys) for row in report[figure]}

    seen, shares, days, _, sources, campaigns, pages, exits, answers = rows_of_cells()
    assert seen[0][2] == report["views"]
    recorded = {(str(day), views, recorded) for day, views, recorded, _ in shares}
    assert recorded == of_report("by_day", "day", "all_views", "all_views_recorded")
    assert {(str(day), *rest) for day, *rest, _ in days} == of_report("by_day", "day", "visitors", "views")
    large = {row for row in of_report("referrers", "referrer", "sessions", "visitors") if row[2] >= 5}
    assert set(sources) == large
    assert set(campaigns) == of_report("campaigns", "source", "medium", "campaign", "sessions", "visitors")
    assert {row[:3] for row in pages} == of_report("pages", "path", "views", "visitors")
    assert {row[:2] for row in exits} == of_report("exit_pages", "path", "sessions")
    consent = of_report("consent_by_day", "day", "asked", "granted", "partial", "refused", "unanswered")
    assert {(str(day), *rest) for day, *rest, _ in answers} == consent


def test_notebook_asks_five_questions_and_names_no_machine() -> None:
    text = sample.NOTEBOOK.read_text("utf-8")
    assert len(re.findall(r'"## \d\. ', text)) == 5
    assert not re.search(r"/(tmp|home|root|Users|usr)/", text)
    assert json.loads(text)["metadata"].keys() == {"kernelspec"}
