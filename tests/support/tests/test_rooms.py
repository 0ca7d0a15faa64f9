"""Tests of which rooms' tests `make check` runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.rooms import ROOT, rooms_of


@pytest.mark.parametrize(
    ("changed", "rooms"),
    [
        (["cookie_consent/decision/gate.py"], ["decision", "docs", "whole"]),
        (["cookie_consent/base/clock.py", "tests/sinks/test_files.py"], ["base", "docs", "sinks", "whole"]),
        (["tests/browser/test_life.py", "CHANGELOG.md", "docs/policy.md"], ["docs", "whole"]),
        (["static/choices.js"], ["docs", "endpoints", "http", "pages", "whole"]),
        *(
            ([path, "cookie_consent/decision/gate.py"], None)
            for path in (
                "cookie_consent/middleware.py",
                "cookie_consent/new/module.py",
                "tests/conftest.py",
                "tests/support/asgi.py",
                "pyproject.toml",
            )
        ),
    ],
)
def test_rooms_of_changed_files_are_tested(changed: list[str], rooms: list[str] | None) -> None:
    assert rooms_of(changed, ROOT) == rooms


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits, each of one file."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    git(tmp_path, "init", "--quiet")
    for name in ("first", "second"):
        commit(tmp_path, name)
    return tmp_path


def commit(folder: Path, name: str) -> None:
    (folder / name).write_text(name, "utf-8")
    git(folder, "add", name)
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", name)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=60)
