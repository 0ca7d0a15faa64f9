"""Fixtures for the tests of frameworks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The frameworks run on asyncio."""
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, with the key in the environment and its modules importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", "a key of the tests, long enough to be one")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("app", "test_app"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path
