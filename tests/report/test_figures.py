"""Tests of the rows of figures: each is shown wherever figures are shown, and counts people as it should."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.report import FIGURES, report
from cookie_consent.report.export.csv_files import NAMES, as_csv
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.figures import SECTIONS, Figure, rows_of
from cookie_consent.report.page.page import page
from cookie_consent.report.page.panels import list_panels
from cookie_consent.sinks.files.closed_files import counts_path
from tests.report.test_report_page import tree
from tests.support.report_records import line
from tests.support.report_sample import sample_report

DAY = date(2026, 11, 25)


def one_row(figure: Figure) -> dict[str, Any]:
    """Return a row of a figure with a value in each column."""
    values = {"time": str(DAY), "count": 13}
    names = {column.key: values.get(column.kind, f"{figure.name}.{column.key}") for column in figure.names}
    return names | {column.key: 7 for column in figure.measures}


def report_with(figure: Figure) -> dict[str, Any]:
    """Return a report whose figure has one row."""
    row = one_row(figure)
    if figure.of_goal:
        goal = {**sample_report()["goals"][0], figure.key: [row]}
        return sample_report(goals=[goal])
    if figure.name == "funnels":
        return sample_report(funnels=[{"funnel": row.pop("funnel"), "steps": [row]}])
    if figure.name == "goals":
        return sample_report(goals=[sample_report()["goals"][0] | row])
    return sample_report(**{figure.name: [row]})


def test_each_figure_is_shown_in_json_csv_terminal_and_on_the_page() -> None:
    for figure in FIGURES:
        made = report_with(figure)
        (row,) = rows_of(made, figure)
        assert set(one_row(figure)) <= set(row)
        assert json.loads(json.dumps(made)) == made
        assert figure.name in NAMES
        assert as_csv(made, figure.name).splitlines() == [",".join(row), ",".join(map(str, row.values()))]
        if figure.name != "by_day":  # days are among the steps
            lines = [line.split() for line in as_text(made).splitlines()]
            assert [*row] in lines
            assert [str(value) for value in row.values()] in lines
        cells = " ".join(tree(page(made)).itertext())
        assert [row[each.key] for each in figure.names if each.kind == "text" and row[each.key] not in cells] == []
        panels = [panel for panel in list_panels(made) if panel.figure.section == figure.section and panel.rows]
        names = [panel.figure.name.partition("-")[0] for panel in panels]
        assert names if figure.name in ("by_day", "by_step") else figure.name in names


def test_each_figure_says_what_its_columns_are() -> None:
    for figure in FIGURES:
        assert (figure.section in SECTIONS, bool(figure.title)) == (True, True)
        assert len(figure.between) == len(figure.names) - 1 or not figure.is_list
        assert len({column.key for column in figure.columns}) == len(figure.columns)
        assert all(column.title for column in figure.columns)
        assert not figure.is_list or figure.measures[0].sql
    assert len({figure.name for figure in FIGURES}) == len({figure.title for figure in FIGURES}) == len(FIGURES)


def counts_of(thing: str, detail: str, people: int) -> list[dict[str, Any]]:
    """Return the counts of people who were asked on two pages, of whom one refuses and the others agree."""
    counted = {"asked": 2 * people, "asked_first": people, "granted": people - 1, "refused": 1}
    if thing == "purpose":
        del counted["asked_first"]
    return [
        {
            "time": f"{DAY}T10:00:00.000Z", "log.record.uid": f"{detail}-{name}", "count.day": str(DAY),
            "count.name": f"{name}_by_{thing}", "count.detail": detail, "count.value": value,
        }
        for name, value in counted.items()
    ]  # fmt: skip


@pytest.mark.parametrize("thing", ["prefix", "policy", "purpose"])
def test_answers_of_three_people_are_no_row(thing: str, tmp_path: Path) -> None:
    """Each of them was asked and answered, which is more counts than people."""
    counts = counts_path(tmp_path / "access.jsonl")
    counts.write_bytes(b"".join(map(line, [*counts_of(thing, "small", 3), *counts_of(thing, "large", 6)])))
    made = report(tmp_path / "access.jsonl", since=DAY, until=DAY, may_be_new=True)
    assert [(row[thing], row["refused"]) for row in made[f"consent_by_{thing}"]] == [("(other)", 2)]
