"""Tests of docs/consent-in-numbers.md: its commands say what the page says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from tests.support.asgi import SITE
from tests.support.documentation import blocks
from tests.support.report_records import line

PAGE = "docs/consent-in-numbers.md"
COMMANDS = blocks(PAGE, "console")


COUNTS = {
    "": {"asked": 900, "asked_first": 600, "granted": 260, "refused": 120, "partial": 20, "answered_first": 300}
    | {"withdrawn": 4, "changed": 20, "settings": 30},
    "mobile": {"asked": 500, "asked_first": 300, "granted": 110},
    "pc": {"asked": 400, "asked_first": 300, "granted": 150},
}
"""Device -> its counts; those of all devices first. The device of those who said no is not known."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the counts of a day."""
    monkeypatch.chdir(tmp_path)
    Path("logs").mkdir()
    Path("consent.toml").write_text(SITE, "utf-8")
    Path("logs/access.jsonl").touch()
    own = {"time": "2026-11-18T12:00:00Z", "count.day": "2026-11-18", "server.address": "registry.example"}
    lines = [
        line(
            {
                **own,
                "log.record.uid": f"{device}-{name}",
                "count.name": f"{name}_by_device" if device else name,
                "count.detail": device,
                "count.value": value,
            }
        )
        for device, counts in COUNTS.items()
        for name, value in counts.items()
    ]
    Path("logs/access.counts.jsonl").write_bytes(b"".join(lines))
    return tmp_path


@pytest.mark.slow
def test_documented_figures_are_those_of_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_json, in_csv = COMMANDS
    assert main(shlex.split(in_json)[2:]) == GOOD
    (documented,) = blocks(PAGE, "json")
    assert json.loads(f"{{{documented}}}")["consent"] == json.loads(capsys.readouterr().out)["consent"]
    command, look, shown = in_csv.split("\n", 2)
    assert main(shlex.split(command)[2:]) == GOOD
    assert Path(look.removeprefix("$ cat ")).read_text("utf-8") == shown
