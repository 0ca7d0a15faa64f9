"""Tests of the rows of figures: each is shown wherever figures are shown, and counts people as it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.report import FIGURES, report
from cookie_consent.report.export.csv_files import NAMES, as_csv
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.figures import LISTS, SECTIONS, Figure, rows_of
from cookie_consent.report.page.page import page
from cookie_consent.report.page.panels import list_panels
from cookie_consent.sinks import open_sink
from tests.report.test_report_page import tree
from tests.support.report_sample import sample_report

DAY = date(2026, 11, 25)
OF_EACH_FIGURE = pytest.mark.parametrize("figure", FIGURES, ids=[figure.name for figure in FIGURES])


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


@OF_EACH_FIGURE
def test_figure_is_shown_in_json_csv_and_terminal(figure: Figure) -> None:
    made = report_with(figure)
    (row,) = rows_of(made, figure)
    assert set(one_row(figure)) <= set(row)
    assert json.loads(json.dumps(made)) == made
    assert as_csv(made, figure.name).splitlines() == [",".join(row), ",".join(map(str, row.values()))]
    assert figure.name in NAMES
    lines = [line.split() for line in as_text(made).splitlines()]
    assert figure.name == "by_day" or [*row] in lines
    assert figure.name == "by_day" or [str(value) for value in row.values()] in lines


@OF_EACH_FIGURE
def test_figure_is_shown_on_the_page(figure: Figure) -> None:
    made = report_with(figure)
    (row,) = rows_of(made, figure)
    cells = " ".join(tree(page(made)).itertext())
    texts = [row[column.key] for column in figure.names if column.kind == "text"]
    assert [text for text in texts if text not in cells] == []
    assert any(panel.figure.section == figure.section and panel.rows for panel in list_panels(made))
    if figure.name not in ("by_day", "by_step"):
        assert any(panel.figure.name.startswith(figure.name) and panel.rows for panel in list_panels(made))


@OF_EACH_FIGURE
def test_figure_says_what_its_columns_are(figure: Figure) -> None:
    assert figure.section in SECTIONS
    assert figure.title
    assert len(figure.between) == len(figure.names) - 1 or not figure.is_list
    keys = [column.key for column in figure.columns]
    assert len(keys) == len(set(keys))
    assert all(column.title for column in figure.columns)
    assert not figure.is_list or figure.measures[0].sql


def test_figures_have_names_of_their_own() -> None:
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert len({figure.title for figure in FIGURES}) == len(FIGURES)


def consent_of(tmp_path: Path, *counts: tuple[str, str, int]) -> dict[str, Any]:
    """Return the report of counts: name, detail and value of each."""
    with closing(open_sink(str(tmp_path / "access.jsonl"))) as sink:
        for number, (name, detail, value) in enumerate(counts):
            sink.count(line(number, name, detail, value))
    return report(tmp_path / "access.jsonl", since=DAY, until=DAY, may_be_new=True)


def line(number: int, name: str, detail: str, value: int) -> bytes:
    """Return the line of a count."""
    count = {
        "time": f"{DAY}T10:00:00.000Z", "log.record.uid": f"count-{number}", "record.version": 1,
        "count.day": str(DAY), "server.address": "example.jp", "count.name": name, "count.detail": detail,
        "count.value": value,
    }  # fmt: skip
    return json.dumps(count).encode() + b"\n"


def answers_of(thing: str, detail: str, people: int) -> Sequence[tuple[str, str, int]]:
    """Return the counts of people who were asked on two pages, of whom one refuses and the others agree."""
    counted = {"asked": 2 * people, "asked_first": people, "granted": people - 1, "refused": 1}
    if thing == "purpose":
        del counted["asked_first"]
    return [(f"{name}_by_{thing}", detail, value) for name, value in counted.items()]


@pytest.mark.parametrize("thing", ["prefix", "policy", "purpose"])
def test_answers_of_three_people_are_no_row(thing: str, tmp_path: Path) -> None:
    """Each of them was asked and answered, which is more counts than people."""
    made = consent_of(tmp_path, *answers_of(thing, "small", 3), *answers_of(thing, "large", 6))
    assert [(row[thing], row["refused"]) for row in made[f"consent_by_{thing}"]] == [("(other)", 2)]


def test_list_of_each_figure_is_in_the_report(tmp_path: Path) -> None:
    made = consent_of(tmp_path)
    assert [name for name in made if name in {figure.name for figure in LISTS}] == [figure.name for figure in LISTS]
