"""Tests of the audit with a browser, which sees what the text of a script does not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cookie_consent.cli import FINDING, WRONG_USAGE, main

pytestmark = [pytest.mark.browser, pytest.mark.covers, pytest.mark.timeout(150)]
TARGET = "tests.audit.in_browser:app"


def test_browser_sees_what_scripts_do_and_in_which_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "audit.html"
    assert main(["audit", TARGET, "--browser", "--json", "--html", str(page)]) == FINDING
    found = {(it["rule"], it["name"]): it for it in json.loads(capsys.readouterr().out)["findings"]}
    assert {key for key in found if key[0] != "never-seen"} == {
        ("undeclared-cookie", "computed"),
        ("undeclared-storage", "made-computed"),
        ("undeclared-storage", "kept-computed"),
        ("undeclared-host", "computed.example"),
        ("survives-withdrawal", "seen-quiet"),
    }
    assert found["undeclared-cookie", "computed"]["places"][0]["source"].endswith("/static/made.js:2")
    assert found["undeclared-storage", "made-computed"]["places"][0]["source"].endswith("/static/made.js:4")
    assert found["undeclared-cookie", "computed"]["visitors"] == [
        "unknown",
        "refused",
        "granted",
        "only analytics",
        "only media",
        "GPC",
    ]
    assert page.read_text(encoding="utf-8").count('src="data:image/jpeg;base64,/9j/') == 4


def test_missing_browser_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["audit", TARGET, "--browser"]) == WRONG_USAGE
    assert "There is no browser: --browser needs one of chromium" in capsys.readouterr().err
