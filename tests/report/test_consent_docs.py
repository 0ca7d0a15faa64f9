"""Tests of docs/consent-in-numbers.md: its commands say what the page says, on counts that the package wrote."""

from __future__ import annotations

import asyncio
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from cookie_consent.sinks import open_sink
from cookie_consent.tracing.counts import Counts, Shown
from tests.support.asgi import SITE, policy
from tests.support.documentation import blocks

PAGE = "docs/consent-in-numbers.md"
COMMANDS = blocks(PAGE, "console")
DAY = datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp()


DEVICES = {
    "mobile": {"asked": 200, "first": 300, "granted": 110, "refused": 70, "partial": 10, "at_once": 140},
    "pc": {"asked": 100, "first": 300, "granted": 150, "refused": 50, "partial": 10, "at_once": 160},
}
"""Device -> how often it was asked on later and on first pages, what it answered, and how often on the first page."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the counts of a day."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "consent.toml").write_text(SITE, "utf-8")
    monkeypatch.chdir(tmp_path)
    sink = open_sink("logs/access.jsonl")
    asyncio.run(count(Counts(sink, lambda: DAY)))
    sink.close()
    (tmp_path / "logs" / "access.jsonl").touch()
    return tmp_path


async def count(counts: Counts) -> None:
    host = b"registry.example"
    for device, numbers in DEVICES.items():
        shown, at_once = Shown(policy(), device, "/docs"), numbers["at_once"]
        for number in range(numbers["asked"] + numbers["first"]):
            asked = ("asked", "asked_first") if number < numbers["first"] else ("asked",)
            counts.add_with_details(asked, host, "en", shown, [("asked", id_) for id_ in policy().asked])
        for answer in ("granted", "refused", "partial"):
            for _ in range(numbers[answer]):
                known = shown if answer == "granted" else shown._replace(device="")
                names = (answer, "answered_first") if at_once > 0 else (answer,)
                counts.add_with_details(names, host, "en", known)
                at_once -= 1
    for name, value in (("withdrawn", 4), ("changed", 20), ("settings", 30)):
        for _ in range(value):
            counts.add(name, host, language="en")
    counts.flush()


@pytest.mark.slow
def test_documented_figures_are_those_of_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_json, in_csv = COMMANDS
    assert main(shlex.split(in_json)[2:]) == GOOD
    (documented,) = blocks(PAGE, "json")
    assert json.loads(f"{{{documented}}}")["consent"] == json.loads(capsys.readouterr().out)["consent"]
    command, look, shown = in_csv.split("\n", 2)
    assert main(shlex.split(command)[2:]) == GOOD
    assert Path(look.removeprefix("$ cat ")).read_text("utf-8") == shown
