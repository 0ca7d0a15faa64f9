"""The same records, counted by GoAccess and by an importer of Matomo's: how long each takes, and why counts differ."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb

from benchmarks.analytics_command import Ran, answered, consent, run
from benchmarks.analytics_reading import RANGES, make, report
from benchmarks.table import Cell, Table
from tests.processes import program

_ALL = RANGES[-1]
_HITS = """
SELECT count(*) AS lines, count(DISTINCT uid) FILTER (kind <> 'event') AS hits,
    count(DISTINCT visitor) FILTER (kind <> 'event') AS visitors,
    count(DISTINCT (time::DATE, visitor)) FILTER (kind <> 'event') AS visitors_by_day,
    count(DISTINCT (time::DATE, address, browser, os, device)) FILTER (kind <> 'event') AS apart_in_a_log,
    count(DISTINCT uid) FILTER (kind = 'event') AS events, count(*) - count(DISTINCT uid) AS again
FROM read_json($path, format = 'newline_delimited', columns = {
    'time': 'TIMESTAMP', 'log.record.uid': 'VARCHAR', 'record.kind': 'VARCHAR', 'visitor.id': 'VARCHAR',
    'client.address': 'VARCHAR', 'user_agent.name': 'VARCHAR', 'user_agent.os': 'VARCHAR',
    'user_agent.device': 'VARCHAR'}) AS lines(time, uid, kind, visitor, address, browser, os, device)
"""
"""What is in the records, by a way of its own: neither the report's SQL nor the export."""
_ANSWER = {
    "access_token": "none",
    "token_type": "Bearer",
    "expires_in": 86_400,
    "idsite": "1",
    "main_url": "https://registry.example",
    "data": {"id": "1", "attributes": {"urls": ["https://registry.example"]}},
}
"""What an importer wants to know of its server before it begins, in Matomo's words and in those of Piwik PRO."""
_IGNORED = re.compile(r"(\d+) requests ignored")


def measure(folder: Path, records: int, importer: str | None) -> Table:
    """Export records for GoAccess, and for an importer if there is one, and compare with the report.

    Args:
        folder: where files are.
        records: how many.
        importer: the command of an importer of Matomo's kind, with what it needs to log in; None for none.
    """
    path = make(folder / "peers", records, "jsonl")
    truth = _truth(path)
    own = report(path, _ALL)
    said = answered(own)
    table = Table(f"{records:,} records of {(_ALL.last - _ALL.first).days + 1} days, side by side")
    hits = sum(row["requests"] for row in said["routes"])
    table.rows.append(_row("cookie-consent report", own, hits, said["visitors"], own.mebibytes))
    lines = folder / "peers" / "access.log"
    days = ["--from", str(_ALL.first), "--to", str(_ALL.last)]
    export = consent("export", "--access-log", str(path), "--format", "ncsa", *days, "--out", str(lines))
    written = sum(1 for _ in lines.open("rb"))
    table.rows.append(_row("cookie-consent export --format ncsa", export, written, None, export.mebibytes))
    goaccess, counted = _goaccess(lines)
    visitors = counted["unique_visitors"]
    table.rows.append(_row("goaccess", goaccess, counted["valid_requests"], visitors))
    table.notes = [*_differences(truth, hits, said["visitors"], written), *_of_goaccess(truth, counted, written)]
    if importer:
        imported, ignored = _import(importer, lines)
        table.rows.append(_row("importer, parsing only", imported, written - ignored, None))
        table.notes += [_difference("importer: lines that it ignored", ignored, 0, "a line that it cannot read")]
    else:
        table.notes += ["No importer: name one with --importer; Matomo's import_logs.py is in no registry of packages."]
    shutil.rmtree(path.parent)
    return table


def _truth(path: Path) -> dict[str, int]:
    with duckdb.connect(":memory:") as connection:
        found = connection.execute(_HITS, {"path": str(path)})
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
        assert row, "counts are one row"
        return dict(zip(names, row, strict=True))


def _row(name: str, ran: Ran, hits: int, visitors: int | None, mebibytes: int | None = None) -> dict[str, Cell]:
    return {
        "program": name,
        "seconds": round(ran.seconds, 2),
        "CPU s": round(ran.cpu, 2),
        "MiB": mebibytes,
        "hits": hits,
        "visitors": visitors,
        "hits/s": round(hits / ran.seconds),
    }


def _differences(truth: dict[str, int], hits: int, visitors: int, written: int) -> list[str]:
    """Say what the report and the export count otherwise than the records themselves do."""
    return [
        f"Of {truth['lines']:,} records {truth['again']:,} are written twice and count once, and {truth['events']:,} "
        "are events, which are no lines of a server's log.",
        _difference("report: hits", hits, truth["hits"], "a row of routes beyond the list's limit"),
        _difference("report: visitors", visitors, truth["visitors"], "visitors without a page that was seen"),
        _difference("export: lines", written, truth["hits"], "a record that is no line"),
    ]


def _of_goaccess(truth: dict[str, int], counted: dict[str, Any], written: int) -> list[str]:
    return [
        _difference("goaccess: hits", counted["valid_requests"], written, "a line that it cannot read"),
        _difference("goaccess: lines that failed", counted["failed_requests"], 0, "a line that it cannot read"),
        _difference(
            "goaccess: visitors",
            counted["unique_visitors"],
            truth["apart_in_a_log"],
            "an agent that it takes for a robot, or lines that it counts as no visit",
        ),
        f"GoAccess tells visitors apart by address, agent and day. A visitor's id tells {truth['visitors']:,} apart, "
        f"{truth['visitors_by_day']:,} if each counts once a day; addresses are truncated and agents are names only, "
        f"so that a log of lines tells {truth['apart_in_a_log']:,} apart.",
    ]


def _difference(what: str, found: int, expected: int, why: str) -> str:
    if found == expected:
        return f"{what}: {found:,}, as counted independently."
    return f"{what}: {found:,}, but {expected:,} counted independently; it would be {why}."


def _goaccess(lines: Path) -> tuple[Ran, dict[str, Any]]:
    out = lines.with_name("goaccess.json")
    options = ["--log-format=COMBINED", "--no-global-config", "--no-progress", "--tz=UTC", f"--output={out}"]
    ran = run([program("goaccess", "goaccess"), str(lines), *options])
    counted = json.loads(out.read_text("utf-8"))["general"]
    assert isinstance(counted, dict), counted
    return ran, counted


def _import(importer: str, lines: Path) -> tuple[Ran, int]:
    """Have an importer parse lines, and send nothing; return how it ran, and how many lines it ignored."""
    everything = ["--enable-static", "--enable-bots", "--enable-http-errors", "--enable-http-redirects"]
    with _api() as url:
        options = [f"--url={url}", "--dry-run", "--idsite=1", "--log-format-name=ncsa_extended", *everything]
        ran = run([*shlex.split(importer), *options, str(lines)])
    ignored = _IGNORED.search(ran.said)
    assert ignored, ran
    return ran, int(ignored[1])


@contextmanager
def _api() -> Iterator[str]:
    """A server of which an importer asks whether its site is there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(_ANSWER).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
