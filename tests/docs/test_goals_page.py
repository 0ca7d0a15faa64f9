"""Tests of docs/goals.md: its goals and commands give what the records of a made-up week say."""

from __future__ import annotations

import csv
import shlex
import tomllib
from pathlib import Path

import pytest

from cookie_consent.cli.main import GOOD, main
from cookie_consent.policy.reader import read_goals
from tests.support import analytics_sample as sample
from tests.support.documentation import ROOT, blocks

PAGE = "docs/goals.md"
VIEWS = [record for record in sample.records() if sample.is_view(record)]
(TABLES,) = blocks(PAGE, "toml")
COMMANDS = [line.removeprefix("$ ") for block in blocks(PAGE, "console") for line in block.splitlines()]


def test_documented_goals_are_those_that_the_page_explains() -> None:
    goals, funnels = read_goals(tomllib.loads(TABLES))
    assert [goal.step for goal in goals] == ["/names/order", "event:download"]
    assert funnels[0].steps == ("/names*", "/names/check", "goal:order")


@pytest.mark.slow
@pytest.mark.one_python
def test_documented_commands_count_read_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    policy = (ROOT / "examples" / "registry" / "consent.toml").read_text("utf-8")
    in_utc = policy.replace("Asia/Tokyo", "UTC")  # as the days of the records
    Path("consent.toml").write_text(f"{in_utc}\n{TABLES}", "utf-8")
    said = []
    for command in map(shlex.split, COMMANDS):
        assert main(command[1:]) == GOOD, command
        said.append(capsys.readouterr().out)
    ordered = {record["visitor.id"] for record in VIEWS if record["url.path"] == "/names/order"}
    named = {record["visitor.id"] for record in VIEWS if record["url.path"].startswith("/names")}
    assert "Goals\ngoal " in said[0]
    rows = csv.DictReader(Path("figures/funnels.csv").read_text("utf-8").splitlines())
    steps = [row for row in rows if row["funnel"] == "buy"]
    assert [step["step"] for step in steps] == ["/names*", "/names/check", "goal:order"]
    assert int(steps[0]["visitors"]) == len(named)
    assert 0 < int(steps[2]["visitors"]) <= len(ordered)
    goals = csv.DictReader(Path("figures/goals.csv").read_text("utf-8").splitlines())
    assert {goal["goal"]: goal["visitors"] for goal in goals}["order"] == str(len(ordered))
    names = ("goals", "goals_by_source", "goals_by_campaign", "goals_by_entry_page", "funnels")
    page = (ROOT / PAGE).read_text("utf-8")
    assert all(f"`{name}.csv`" in page and Path(f"figures/{name}.csv").exists() for name in names)
