"""Fixtures of the tests of reports."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.report.digests.server import DigestedServer


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each range, how many of its days the digests of a database answered."""
    found: list[int] = []
    answer = DigestedServer._answer

    def counted(engine: DigestedServer, asked: Any) -> None:
        answer(engine, asked)
        found.append(len(engine._digests))

    monkeypatch.setattr(DigestedServer, "_answer", counted)
    return found
