"""Tests of the audit with a site that has planted faults, and things that only look like faults."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cookie_consent.cli import FINDING, main
from tests.audit import planted

pytestmark = pytest.mark.slow
EXPECTED = {
    **{(rule, name): f"/fault/{case}" for case, (_, rule, name) in planted.FAULTS.items()},
    **{found: f"/{path}" for path, (_, _, found) in planted.SET_COOKIES.items() if found},
    ("fails-when-refused", "/fails"): "/fails",
    ("request-without-consent", "archive.films.example"): "/archive/film",
}
LINE = next(
    number
    for number, line in enumerate(Path(planted.__file__).read_text(encoding="utf-8").splitlines(), 1)
    if line.endswith("# THE LINE")
)


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], dict[str, Any]]:
    return audit("tests.audit.planted:app", "--pages", "1000")


def audit(*arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the command finds: rule and name -> the finding."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main(["audit", *arguments, "--json"]) == FINDING
    findings = json.loads(output.getvalue())["findings"]
    return {(finding["rule"], finding["name"]): finding for finding in findings}


def test_each_planted_fault_is_found_and_nothing_else(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert len(EXPECTED) >= 40
    assert len(planted.LOOK_ALIKES) + 4 >= 40
    assert {key for key in found if key[0] != "never-seen"} == set(EXPECTED)


@pytest.mark.parametrize(("key", "path"), EXPECTED.items(), ids=lambda it: it if isinstance(it, str) else "-")
def test_finding_has_its_page(key: tuple[str, str], path: str, found: dict[tuple[str, str], dict[str, Any]]) -> None:
    if key[0] != "survives-withdrawal":  # this one is seen in the browser's jar
        assert found[key]["places"][0]["page"] == f"https://localhost{path}"


def test_finding_names_line_of_page_of_file_and_of_app(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    def source(rule: str, name: str) -> str:
        first: str = found[rule, name]["places"][0]["source"]
        return first

    page, _, line = source("undeclared-host", "pixel.example").rpartition(":")
    sent = TestClient(planted.app, "https://localhost").get(page).text.splitlines()
    assert planted.FAULTS["image"][0] in sent[int(line) - 1]
    assert source("undeclared-cookie", "byfile") == "https://localhost/static/stores.js:3"
    assert source("undeclared-host", "sheet.example") == "https://localhost/static/site.css:2"
    file, _, line = source("undeclared-cookie", "ab_test").rpartition(":")
    assert Path(file).resolve() == Path(planted.__file__)
    assert int(line) == LINE


def test_finding_names_visitors(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    everybody = ["unknown", "refused", "granted", "only analytics", "only media", "GPC"]
    assert found["undeclared-cookie", "ab_test"]["visitors"] == everybody
    without_media = ["unknown", "refused", "only analytics", "GPC"]
    assert found["request-without-consent", "films.example"]["visitors"] == without_media
    assert found["request-without-consent", "archive.films.example"]["visitors"] == everybody


def test_what_is_declared_and_never_seen_is_a_note(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert [name for rule, name in found if rule == "never-seen"] == []
