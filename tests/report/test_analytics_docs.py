"""Tests of docs/analytics.md, figures.md, keeping-records.md, own-tools.md and large-sites.md: their blocks
of code run on the access log of a made-up site's week. The twelve questions of analytics.md have tests of their own.

Vector, Fluent Bit and the OpenTelemetry Collector are not run, because the system has no packages of them. The tests
parse their configuration (TOML, YAML) and try its patterns and formats on real files and lines. Matomo's importer is
not run, because it needs a Matomo. A test compares the file that its command reads with the pattern in
`test_server_logs`.
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
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY, generate_latest
from starlette.applications import Starlette

from cookie_consent.cli.main import GOOD, main
from cookie_consent.integrations.prometheus import SinkCollector
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from tests.report.test_server_logs import MATOMO_NCSA
from tests.support import analytics_sample as sample
from tests.support.documentation import ROOT, blocks
from tests.support.report_records import Record, line, write_to_store
from tests.support.servers.clickhouse_server import ClickHouseDatabases, ask
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
IN_POSTGRESQL, IN_CLICKHOUSE = blocks(TOOLS, "sql")[:3], blocks(TOOLS, "sql")[3:]
(VECTOR,) = blocks(TOOLS, "toml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the access log of a week."""
    sample.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What each command of ours says."""
    (folder / "consent.toml").write_text(POLICY, "utf-8")
    said: dict[str, str] = {}
    for text in COMMANDS:
        program, *arguments = shlex.split(text)
        if program == "cookie-consent":
            assert main(arguments) == GOOD, text
            said[text] = capsys.readouterr().out
    return said


def test_documented_commands_work(folder: Path, said: dict[str, str]) -> None:
    def of(*words: str) -> str:
        """Return what the first command with these words says."""
        return next(out for text, out in said.items() if all(word in text for word in words))

    def in_csv(name: str) -> str:
        return (folder / f"{name}.csv").read_text("utf-8")

    assert re.search(rf"^visitors +{visitors_in(VIEWS)}$", of("report"), re.MULTILINE)
    named = {
        record["visitor.id"]
        for record in VIEWS
        if record["user_agent.device"] == "mobile" and record["url.path"].startswith("/names")
    }
    assert re.search(rf"^visitors +{len(named)}$", of("report --", "--where"), re.MULTILINE)
    pages = Counter(record["url.path"] for record in VIEWS)
    assert in_csv("figures/pages").splitlines()[1].startswith(f"/,{pages['/']},")
    assert "\n/names,/names/check," in in_csv("names/next_pages")
    assert re.search(r"would remove .*access record", of("purge"))
    visitor = json.loads(of("export --visitor"))
    of_visitor = [record for record in RECORDS if record["visitor.id"] == visitor["id"]]
    assert [record["url.path"] for record in visitor["access_records"]] == [record["url.path"] for record in of_visitor]
    assert of("erase").startswith(f"Erased: {len(of_visitor)} access record")
    assert "<html" in (folder / "report.html").read_text("utf-8")[:300]
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


@pytest.mark.full_matrix
@pytest.mark.parametrize("text", [text for text in COMMANDS if text.startswith("goaccess ")])
def test_goaccess_reads_documented_export(text: str, folder: Path, said: dict[str, str]) -> None:
    name, *arguments = shlex.split(text)
    program = [program_path(name, name), *arguments]
    subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=LONGEST_RUN)
    assert "<html" in (folder / "goaccess.html").read_text("utf-8")[:300]


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
    assert pages == {path: (len(of), visitors_in(of)) for path, of in grouped(closed, "url.path").items()}
    by_entry = run_python(PANDAS)["by_entry"]
    begun = [record for record in closed if record["time"] < f"{sample.LAST_CLOSED}T18"]
    assert dict(by_entry) == {path: visitors_in(of) for path, of in grouped(first_views(begun), "url.path").items()}
    slowest = run_python(POLARS)["slowest"]
    assert dict(slowest.select("route", "requests").iter_rows()) == Counter(
        record["http.route"] for record in RECORDS if record["record.kind"] != "event"
    )


def grouped(records: list[Record], key: str) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record[key]].append(record)
    return groups


def visitors_in(records: Iterable[Record]) -> int:
    return len({record["visitor.id"] for record in records})


BY_DAY = grouped([{**record, "day": record["time"][:10]} for record in VIEWS], "day")
"""Day -> its views."""


def sums(name: str) -> dict[str, int]:
    return {count["count.day"]: count["count.value"] for count in COUNTS if count["count.name"] == name}


def first_views(views: list[Record]) -> list[Record]:
    """The first views of sessions: a session starts with a view after 30 minutes without a view."""
    first: list[Record] = []
    for of in grouped(views, "visitor.id").values():
        moments = [datetime.fromisoformat(record["time"]) for record in of]
        for record, moment, before in zip(of, moments, [None, *moments], strict=False):
            if before is None or moment - before > timedelta(minutes=30):
                first.append(record)
    return first


def write_to(url: str, folder: Path) -> None:
    """Write the sample to a database, and make its views twice, as after an update of the package."""
    write_to_store(f"{url}?spill={folder}", RECORDS, COUNTS)
    for _ in range(2):
        assert main(["compact", "--access-log", url]) == GOOD


IN_VIEWS = (
    "SELECT host, path, status, viewed, event, referrer, source, medium, campaign, browser, os, device, country,"
    " duration_ms FROM {}views WHERE time < '2026-11-22 00:00:00'"
)
IN_SESSIONS = (
    "SELECT seconds, host, views, pages, entry_path, exit_path, bounced, referrer, source, medium, campaign"
    " FROM {}sessions WHERE began < '2026-11-21 18:00:00'"
)
"""All columns but the time, and the visitor, whose number differs. Files have these days."""


@pytest.fixture(params=["postgresql", "clickhouse"])
def ask_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask a database with the sample. Grafana's macro is expanded as Grafana does it."""
    if request.param == "clickhouse":
        of_server: ClickHouseDatabases = request.getfixturevalue("clickhouse")
        clickhouse_url = of_server.new_database()
        write_to(clickhouse_url, tmp_path)
        return lambda text: [tuple(row) for row in ask(clickhouse_url, text)]
    url: str = request.getfixturevalue("postgres_url")
    write_to(url, tmp_path)

    def ask_postgresql(text: str) -> list[tuple[Any, ...]]:
        text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN '{WEEK[0]}' AND '{WEEK[1]}'", text)
        with psycopg.connect(url, options="-c TimeZone=UTC") as connection:
            return connection.execute(text.encode()).fetchall()

    return ask_postgresql


def test_documented_charts_match_records(
    ask_database: Callable[[str], list[tuple[Any, ...]]], request: pytest.FixtureRequest
) -> None:
    charts = IN_POSTGRESQL if "postgresql" in request.node.name else IN_CLICKHOUSE
    views, share, begun = map(ask_database, charts)
    assert {str(day)[:10]: (int(seen), int(visitors)) for day, seen, visitors in views} == {
        day: (len(of), visitors_in(of)) for day, of in BY_DAY.items()
    }
    shares = {day: recorded / sums("views")[day] for day, recorded in sums("views_recorded").items()}
    assert {str(day)[:10]: float(number) for day, number in share} == pytest.approx(shares)
    entries = Counter(record["url.path"] for record in first_views(VIEWS))
    assert {path: int(sessions) for path, sessions, _ in begun} == {
        path: sessions
        for path, sessions in entries.items()
        if sessions >= 5  # the chart leaves out rare rows
    }


def test_views_in_a_database_have_rows_of_tables_beside_files(
    ask_database: Callable[[str], list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    sample.write(tmp_path)
    sample.add_to_tables(tmp_path)
    with duckdb.connect(tmp_path / "logs" / "access.duckdb", read_only=True) as tables:
        for query in (IN_VIEWS, IN_SESSIONS):
            rows = tables.sql(query.format("")).fetchall()
            assert in_numbers(ask_database(query.format("access_"))) == in_numbers(rows)


def in_numbers(rows: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    """Return sorted rows in which a truth is a number, and a number is one of microseconds' precision."""
    numbers = [
        tuple(round(float(value), 6) if isinstance(value, bool | int | float) else value for value in row)
        for row in rows
    ]
    return sorted(numbers, key=str)


def test_report_on_clickhouse_of_its_own(
    clickhouse: ClickHouseDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = clickhouse.new_database()
    write_to_store(f"{url}?spill={tmp_path}", RECORDS, COUNTS)
    monkeypatch.chdir(tmp_path)
    Path("consent.toml").write_text(POLICY, "utf-8")
    (commands,) = blocks("docs/large-sites.md", "console")
    for text in commands.splitlines():
        command = shlex.split(text.removeprefix("$ cookie-consent "))
        assert main([url if word.startswith("clickhouse:") else word for word in command]) == GOOD
    assert re.search(rf"^visitors +{visitors_in(VIEWS)}$", capsys.readouterr().out, re.MULTILINE)


# Collectors

LOG = Path("/srv/site/logs/access.jsonl")
CLOSED = path_of(LOG, sample.FIRST, 1, FileFormat.PLAIN)
NOT_FOLLOWED = (
    counts_path(LOG),
    path_of(counts_path(LOG), sample.FIRST, 1, FileFormat.PLAIN),
    path_of(LOG, sample.FIRST, 1, FileFormat.GZIP),
    path_of(LOG, sample.FIRST, 1, FileFormat.PARQUET),
)


def test_vector_follows_log_files_and_skips_erased_lines(folder: Path) -> None:
    settings = tomllib.loads(VECTOR)
    patterns = settings["sources"]["access"]["include"]
    followed = [path for path in (LOG, CLOSED, *NOT_FOLLOWED) if any(fnmatchcase(str(path), each) for each in patterns)]
    assert followed == [LOG, CLOSED]
    open_sink("logs/access.jsonl").erase(RECORDS[-1]["visitor.id"])
    (skipped,) = re.findall(r"r'(.*?)'", settings["transforms"]["written"]["condition"])
    lines = Path("logs/access.jsonl").read_text("utf-8").splitlines()
    gone = {text for text in lines if re.search(skipped, text)}
    assert gone
    assert all(map(str.isspace, gone))
    assert all("visitor.id" in json.loads(text) for text in lines if text not in gone)
    stages = {**settings["sources"], **settings["transforms"]}
    for stage in (*settings["transforms"].values(), *settings["sinks"].values()):
        assert set(stage["inputs"]) <= stages.keys()


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
