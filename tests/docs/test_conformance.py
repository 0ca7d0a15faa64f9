"""Tests of the statement of conformance: each requirement has the test that it needs, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import requirements as module
from tests.support.requirements import NEED_A_TEST, ROOT, STATUSES, proofs, requirements, statement

KNOWN = {it.id: it for it in requirements()}


def test_requirements_have_known_statuses_and_sources() -> None:
    assert len(KNOWN) > 170
    assert [it.id for it in KNOWN.values() if it.status not in STATUSES] == []
    assert [it.id for it in KNOWN.values() if not (it.says and it.source)] == []


def test_each_requirement_has_a_test_or_says_why_not() -> None:
    tested = proofs()
    assert [it.id for it in KNOWN.values() if it.status in NEED_A_TEST and it.id not in tested] == []
    assert [it.id for it in KNOWN.values() if it.status != "proved" and not it.note] == []


def test_tests_name_known_requirements_that_they_can_prove() -> None:
    tested = proofs()
    assert {id_: tests for id_, tests in tested.items() if id_ not in KNOWN} == {}
    assert {id_ for id_ in tested if KNOWN[id_].status not in NEED_A_TEST} == set()


def test_lost_test_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    id_, (first, *_) = next((id_, tests) for id_, tests in proofs().items() if len(tests) == 1)
    path, name = first.split("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    copy = tmp_path / path
    copy.parent.mkdir(parents=True)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    copy.write_text(text, encoding="utf-8")
    assert id_ in proofs()
    copy.write_text(re.sub(rf"def {name}\b", "def no_test", text).replace(f'"{id_}"', '""'), encoding="utf-8")
    assert id_ not in proofs()


def test_statement_has_each_requirement_once() -> None:
    ids = re.findall(r"^- \*\*([A-Z]+-\d+)\*\* ", statement(), re.MULTILINE)
    assert sorted(ids) == sorted(KNOWN)


@pytest.mark.requirement("LP-02")
def test_nothing_truncated_is_called_anonymous() -> None:
    """A truncated address is less data, and an id is a pseudonym."""
    texts = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "cookie_consent").rglob("en.toml")]
    assert len(texts) > 50
    assert [path.name for path in texts if "anonymi" in path.read_text(encoding="utf-8").lower()] == []
