"""Tests of access records as NCSA log lines: their fields, and that GoAccess and Matomo's importer read them."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cookie_consent.base.user_agents import read_agent
from cookie_consent.report.export.formats import ncsa, user_agent
from tests.support.report_records import random_records
from tests.support.servers.processes import program_path

LONGEST_RUN = 60
VIEW: dict[str, Any] = {
    "time": "2026-11-05T09:08:07.123Z",
    "log.record.uid": "Uid-1",
    "record.version": 1,
    "record.kind": "view",
    "http.request.method": "GET",
    "server.address": "site.example",
    "url.path": "/訪問 a",
    "url.query": "utm_source=letter&utm_campaign=a+b",
    "http.request.referrer": "https://other.example",
    "network.protocol.version": "1.1",
    "http.response.status_code": 200,
    "duration_ms": 12.6,
    "visitor.id": "-visitor_1",
    "client.address": "203.0.113.0",
    "user_agent.name": "Firefox",
    "user_agent.os": "Linux",
    "user_agent.device": "pc",
}
LEAST = {"time": "2026-01-31T00:00:00.000Z", "record.kind": "view"}
HOSTILE = '" "x\n\r\t\x00\x1b[31m\\\u2028\x85\ud800 é%22'
MATOMO_NCSA = re.compile(
    r"(?P<ip>[\w*.:-]+)\s+\S+\s+(?P<user>\S+)\s+\[(?P<date>.*?)\s+(?P<zone>.*?)\]\s+"
    r'"\S+\s+(?P<path>.*?)\s+\S+"\s+(?P<status>\d+)\s+(?P<bytes>\S+)\s+"(?P<referrer>.*?)"\s+"(?P<agent>.*?)"'
)
"""What Matomo's importer reads of a combined log, from requirements LF-01 and LF-02."""


def test_view_is_a_combined_log_line() -> None:
    assert ncsa(VIEW) == (
        '203.0.113.0 - -visitor_1 [05/Nov/2026:09:08:07 +0000] "GET /%E8%A8%AA%E5%95%8F%20a?utm_source=letter&'
        'utm_campaign=a+b HTTP/1.1" 200 - "https://other.example" "(Linux; pc) Firefox/-"'
    )


def test_unknown_fields_are_hyphens() -> None:
    assert ncsa(LEAST) == '- - - [31/Jan/2026:00:00:00 +0000] "- - -" - - "-" "-"'


@pytest.mark.parametrize("key", sorted(key for key, value in VIEW.items() if isinstance(value, str) and key != "time"))
def test_hostile_value_ends_no_field_and_no_line(key: str) -> None:
    record = {**VIEW, key: VIEW[key] + HOSTILE}
    line = ncsa(record)
    assert line.isascii()
    assert line.isprintable()
    assert line.count('"') == 6
    assert line.count(" ") - ncsa(VIEW).count(" ") == (
        HOSTILE.count(" ") if key in ("user_agent.name", "user_agent.os") else 0  # these fields may have spaces
    )


def test_path_is_percent_encoded_reversibly() -> None:
    for path in ("/a%20b", "/a b", "/a?b", "/a#b", "/100%"):
        target = ncsa({**VIEW, "url.path": path, "url.query": ""}).split('"')[1].split(" ")[1]
        assert unquote(target) == path
        assert "?" not in target


AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36": (
        "(Windows; pc) Chrome/- Safari/-", "Chrome", "Windows",
    ),
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36": (
        "(Android; mobile) Chrome/- Safari/-", "Chrome", "Android",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1": ("(iPhone; iOS; mobile) Version/- Safari/-", "Safari", "iOS"),
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 "
    "Safari/604.1": ("(iPad; iOS; tablet) Version/- Safari/-", "Safari", "iOS"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Safari/605.1.15": ("(Macintosh; Mac OS X; pc) Version/- Safari/-", "Safari", "macOS"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0": (
        "(Ubuntu; pc) Firefox/-", "Firefox", "Linux",
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 "
    "Edg/141.0.0.0": ("(Windows; pc) Edge/-", "Edge", "Windows"),
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36": (
        "(CrOS; pc) Chrome/- Safari/-", "Chrome", "Chrome OS",
    ),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/120.0.0.0 "
    "Mobile/15E148 Safari/604.1": ("(iPhone; iOS; mobile) CriOS/-", "Chrome", "iOS"),
    "": ("-", "Unknown", "Unknown"),
}  # fmt: skip
"""A user agent -> what the line has instead, and the browser and system that GoAccess reads there."""


def record_of_agent(agent: str) -> dict[str, Any]:
    read = read_agent(agent.encode())
    return {**VIEW, "user_agent.name": read.name, "user_agent.os": read.os, "user_agent.device": read.device}


def test_user_agent_names_family_and_device_without_version() -> None:
    for agent, (written, _, _) in AGENTS.items():
        assert user_agent(record_of_agent(agent)) == written
    assert user_agent({"user_agent.name": "Lynx"}) == "(-; other) Lynx/-"
    assert user_agent({"user_agent.os": "Windows", "user_agent.name": "Other"}) == "(Windows; other) -"


def goaccess(folder: Path, lines: list[str], log_format: str, *options: str) -> dict[str, Any]:
    """Return what GoAccess counts in a log."""
    log, report = folder / "access.log", folder / "goaccess.json"
    log.write_text("\n".join(lines) + "\n", encoding="ascii")
    command = [program_path("goaccess", "goaccess"), str(log), f"--log-format={log_format}", "--no-global-config"]
    subprocess.run(
        [*command, "--no-progress", *options, "-o", str(report)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=LONGEST_RUN,
    )
    counted: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return counted


def panel(counted: dict[str, Any], name: str, what: str = "hits") -> dict[str, int]:
    """Return the rows of a panel; of a grouped panel, those inside the groups."""
    rows = counted[name]["data"]
    flat = [inner for row in rows for inner in row.get("items", [row])]
    found: Counter[str] = Counter()
    for row in flat:
        found[row["data"]] += row[what]["count"]
    return dict(found)


@pytest.mark.full_matrix
def test_goaccess_recognizes_browsers_and_systems(tmp_path: Path) -> None:
    lines = [ncsa({**record_of_agent(agent), "client.address": f"203.0.{n}.0"}) for n, agent in enumerate(AGENTS)]
    counted = goaccess(tmp_path, lines, "COMBINED")
    assert groups(counted, "browsers") == Counter(browser for _, browser, _ in AGENTS.values())
    assert groups(counted, "os") == Counter(system for _, _, system in AGENTS.values())


def groups(counted: dict[str, Any], name: str) -> dict[str, int]:
    return {row["data"]: row["hits"]["count"] for row in counted[name]["data"]}


def requests() -> list[dict[str, Any]]:
    """Return random requests in the form of today: with a truncated address and a protocol."""
    seen, made = set(), []
    for record in random_records(seed=11, visitors=40):
        if record["record.kind"] != "event" and record["log.record.uid"] not in seen:
            seen.add(record["log.record.uid"])
            number = int(record["visitor.id"].split("-")[1])
            made.append({**record, "client.address": f"203.0.{number % 7}.0", "network.protocol.version": "2"})
    return sorted(made, key=lambda record: record["time"])


def counted_requests(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the requests whose visitors GoAccess counts: not the 4xx ones (see its --4xx-to-unique-count)."""
    return [record for record in records if record["http.response.status_code"] // 100 != 4]


def ascii_host(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "server.address": record["server.address"].encode("idna").decode()}


@pytest.mark.full_matrix
def test_goaccess_counts_match_records(tmp_path: Path) -> None:
    records = [ascii_host(record) for record in requests()]
    lines = [ncsa(record) for record in records]
    counted = goaccess(tmp_path, lines, "COMBINED")
    general = counted["general"]
    assert (general["valid_requests"], general["failed_requests"]) == (len(records), 0)
    guests = {
        (record["time"][:10], record["client.address"], user_agent(record)) for record in counted_requests(records)
    }
    assert general["unique_visitors"] == len(guests)
    days = Counter(record["time"][:10].replace("-", "") for record in records)
    assert panel(counted, "visitors") == days
    assert panel(counted, "visitors", "visitors") == Counter(day.replace("-", "") for day, _, _ in guests)
    statuses = Counter(str(record["http.response.status_code"]) for record in records)
    assert Counter({row.split(" ")[0]: hits for row, hits in panel(counted, "status_codes").items()}) == statuses


@pytest.mark.full_matrix
def test_goaccess_can_count_visitor_ids(tmp_path: Path) -> None:
    records = requests()
    log_format = '%^ - %h [%d:%t %^] "%r" %s %b "%R" "%u"'
    options = ("--no-ip-validation", "--date-format=%d/%b/%Y", "--time-format=%T")
    counted = goaccess(tmp_path, [ncsa(record) for record in records], log_format, *options)
    assert counted["general"]["failed_requests"] == 0
    days = {(record["time"][:10], record["visitor.id"]) for record in counted_requests(records)}
    assert counted["general"]["unique_visitors"] == len(days)


def test_matomo_importer_pattern_matches_each_line() -> None:
    for record in map(ascii_host, requests()):
        read = MATOMO_NCSA.fullmatch(ncsa(record))
        assert read
        assert unquote(read["path"]).startswith(record["url.path"])
        assert (read["user"], read["status"]) == (record["visitor.id"], str(record["http.response.status_code"]))
        assert (read["ip"], read["agent"]) == (record["client.address"], user_agent(record))


def test_yandex_browser_does_not_look_like_a_robot() -> None:
    # "yandex" is on the list of robots in Matomo's importer.
    assert (
        user_agent({"user_agent.name": "Yandex Browser", "user_agent.os": "Windows"}) == "(Windows; other) YaBrowser/-"
    )
