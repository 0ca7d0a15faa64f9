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
from tests.support.report_records import RECORDS
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


@pytest.mark.requirement("LF-01", "LF-02")
def test_view_is_a_combined_log_line() -> None:
    assert ncsa(VIEW) == (
        '203.0.113.0 - -visitor_1 [05/Nov/2026:09:08:07 +0000] "GET /%E8%A8%AA%E5%95%8F%20a?utm_source=letter&'
        'utm_campaign=a+b HTTP/1.1" 200 - "https://other.example" "(Linux; pc) Firefox/-"'
    )


@pytest.mark.requirement("LF-02")
def test_unknown_fields_are_hyphens() -> None:
    assert ncsa(LEAST) == '- - - [31/Jan/2026:00:00:00 +0000] "- - -" - - "-" "-"'


@pytest.mark.requirement("LP-08")
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


@pytest.mark.parametrize(
    ("browser", "system", "written"),
    [
        ("Lynx", "", "(-; other) Lynx/-"),
        ("Other", "Windows", "(Windows; other) -"),
        ("Other", "Other", "-"),
        ("Yandex Browser", "Windows", "(Windows; other) YaBrowser/-"),  # Matomo takes "yandex" for a robot
    ],
)
def test_user_agent_has_words_that_log_readers_know(browser: str, system: str, written: str) -> None:
    assert user_agent({"user_agent.name": browser, "user_agent.os": system}) == written


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


def hits_in(counted: dict[str, Any], panel: str) -> dict[str, int]:
    return {row["data"]: row["hits"]["count"] for row in counted[panel]["data"]}


@pytest.mark.full_matrix
def test_goaccess_recognizes_browsers_and_systems(tmp_path: Path) -> None:
    lines = [ncsa({**record_of_agent(agent), "client.address": f"203.0.{n}.0"}) for n, agent in enumerate(AGENTS)]
    counted = goaccess(tmp_path, lines, "COMBINED")
    assert hits_in(counted, "browsers") == Counter(browser for _, browser, _ in AGENTS.values())
    assert hits_in(counted, "os") == Counter(system for _, _, system in AGENTS.values())


REQUESTS = [
    {
        **record,
        "client.address": f"203.0.{int(record['visitor.id'].split('-')[1]) % 7}.0",
        "network.protocol.version": "2",
        "server.address": record["server.address"].encode("idna").decode(),
    }
    for record in {record["log.record.uid"]: record for record in RECORDS}.values()
    if record["record.kind"] != "event"
]
"""Requests with a truncated address and a protocol."""


@pytest.mark.requirement("LF-01")
@pytest.mark.full_matrix
@pytest.mark.parametrize(
    ("log_format", "options", "guest_of"),
    [
        ("COMBINED", (), lambda record: (record["client.address"], user_agent(record))),
        (
            '%^ - %h [%d:%t %^] "%r" %s %b "%R" "%u"',
            ("--no-ip-validation", "--date-format=%d/%b/%Y", "--time-format=%T"),
            lambda record: record["visitor.id"],
        ),
    ],
)
def test_goaccess_counts_match_records(log_format: str, options: Any, guest_of: Any, tmp_path: Path) -> None:
    """By addresses and agents, or by visitor ids. GoAccess counts no visitors with 4xx (--4xx-to-unique-count)."""
    counted = goaccess(tmp_path, [*map(ncsa, REQUESTS)], log_format, *options)
    assert (counted["general"]["valid_requests"], counted["general"]["failed_requests"]) == (len(REQUESTS), 0)
    guests = {
        (record["time"][:10], guest_of(record))
        for record in REQUESTS
        if record["http.response.status_code"] // 100 != 4
    }
    assert counted["general"]["unique_visitors"] == len(guests)
    assert hits_in(counted, "visitors") == Counter(record["time"][:10].replace("-", "") for record in REQUESTS)


@pytest.mark.requirement("LF-01")
def test_matomo_importer_pattern_matches_each_line() -> None:
    for record in REQUESTS:
        read = MATOMO_NCSA.fullmatch(ncsa(record))
        assert read
        assert unquote(read["path"]).startswith(record["url.path"])
        fields = (read["user"], read["status"], read["ip"], read["agent"])
        status = str(record["http.response.status_code"])
        assert fields == (record["visitor.id"], status, record["client.address"], user_agent(record))
