"""Fixtures for the tests of frameworks."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The frameworks run on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what an app sets up for logging: Litestar makes the root logger write from level INFO on."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers.copy()
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder as the current one, with the key in the environment and its modules importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENT_KEY", "a key of the tests, long enough to be one")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in ("app", "test_app"):
        if name not in before:
            sys.modules.pop(name, None)
