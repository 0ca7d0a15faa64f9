"""Tests of the page about moving over: each mapping is accepted, and each cookie becomes what the page says."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime

import pytest

from cookie_consent.decision.decision import CONSENT_LIFETIME
from cookie_consent.decision.imported.records import import_answer
from cookie_consent.policy import from_toml
from cookie_consent.policy.imports import TOOLS, Import
from cookie_consent.policy.reading import read_all
from tests.support.documentation import ROOT
from tests.support.policies import small_policy

PAGE = (ROOT / "docs" / "moving.md").read_text(encoding="utf-8")
SECTIONS = {section.partition("\n")[0].lower(): section for section in PAGE.split("\n## ")[1:]}
NOW = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
STATES = {tool: {"analytics": "+", "media": "-"} for tool in TOOLS} | {"osano": {"analytics": "-", "media": "-"}}


def block(tool: str, kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)\n```", SECTIONS[tool], re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("tool", TOOLS)
def test_cookie_of_the_page_becomes_an_answer_by_the_mapping_of_the_page(tool: str) -> None:
    table = tomllib.loads(block(tool, "toml"))["imports"]
    declared, errors = read_all(from_toml._TABLES["imports"](table))
    assert errors == []
    policy = small_policy("analytics", "media", imports=declared)
    found = import_answer(policy, block(tool, "text").encode(), NOW, CONSENT_LIFETIME)
    assert found is not None
    assert found.tool == tool
    assert {id_: answer.state.value for id_, answer in found.record.answers.items()} == STATES[tool]
    # A time there is that of the answer here.
    has_time = "has no time" not in SECTIONS[tool]
    assert (found.record.decided_at < NOW) == has_time


def test_first_example_is_that_of_its_tool() -> None:
    (first,) = re.findall(r"^```toml\n(.*?)^```", PAGE.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
    assert tomllib.loads(first) == tomllib.loads(block("vanilla-cookieconsent", "toml"))


def test_page_explains_every_key() -> None:
    explained = re.findall(r"^\| `(.*?)` \|", SECTIONS["more keys"], re.MULTILINE)
    assert {*explained} == from_toml._IMPORT.keys()
    assert {*explained} == {*Import.__dataclass_fields__} - {"id"}
