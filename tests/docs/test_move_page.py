"""Tests of docs/how-to/move-to-a-database.md: a site's records and proofs are in PostgreSQL afterwards."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support import analytics_sample as sample
from tests.support.asgi import Visitor, install
from tests.support.documentation import blocks, run

pytestmark = pytest.mark.server

PAGE = "docs/how-to/move-to-a-database.md"
ADDRESS = "postgresql://user:password@host/database"
FIGURES = ("visitors", "sessions", "views", "pages", "referrers", "devices")
Capture = pytest.CaptureFixture[str]


def figures(access_log: str, capsys: Capture) -> dict[str, Any]:
    capsys.readouterr()
    week = ["--from", "2026-11-16", "--to", "2026-11-22", "--threshold", "1"]
    assert main(["report", "--access-log", access_log, "--json", *week]) == GOOD
    report = json.loads(capsys.readouterr().out)
    return {name: report[name] for name in FIGURES}


def test_records_and_proofs_are_in_the_database(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "_VISITORS", 60)
    sample.write(tmp_path)
    Visitor(install(ledger="sqlite:///consent.db")).accept()
    for block in blocks(PAGE, "console"):
        assert main(shlex.split(block.replace(ADDRESS, postgres_url))[2:]) == GOOD
    (code,) = blocks(PAGE, "python")
    for _ in range(2):  # it may be run again
        run(code.replace(ADDRESS, postgres_url))
    before = figures("logs/access.jsonl", capsys)
    assert before["visitors"]
    assert figures(postgres_url, capsys) == before
    assert main(["verify", "--ledger", postgres_url]) == GOOD
    assert capsys.readouterr().out.startswith("All fits: 1 record, ")
