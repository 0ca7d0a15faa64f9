"""Tests of what pytest-cov measures."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coverage import CoverageData

from cookie_consent.base import addresses, dates

ROOT = Path(__file__).parents[3]
TESTS = """
import pytest
from cookie_consent.base.addresses import truncated
from cookie_consent.base.dates import day_of, rfc3339

truncated("192.0.2.1")

@pytest.fixture
def time():
    rfc3339(1)
    pytest.skip("so that the fixture ends early")

@pytest.mark.no_cover
def test_time(time): ...

def test_day():
    day_of(1)
"""


@pytest.mark.slow
def test_collection_and_fixtures_of_uncovered_tests_are_not_measured(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(TESTS, "utf-8")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.support.coverage"]\n', "utf-8")
    command = (sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, "-q", "--cov")
    more = ("--cov-config", ROOT / "pyproject.toml", "--cov-report=", "--cov-fail-under=0", "-p", "no:cacheprovider")
    environ = os.environ | {"PYTHONPATH": str(ROOT), "COVERAGE_FILE": str(tmp_path / "measured")}
    subprocess.run((*map(str, (*command, *more)), tmp_path), env=environ, cwd=tmp_path, check=True, capture_output=True)
    data = CoverageData(str(tmp_path / "measured"))
    data.read()

    def is_measured(module: Any, function: Callable[..., object]) -> bool:
        lines, first = inspect.getsourcelines(function)
        return not set(data.lines(module.__file__) or ()).isdisjoint(range(first + 1, first + len(lines)))

    assert is_measured(dates, dates.day_of)
    assert not is_measured(dates, dates.rfc3339)
    assert not is_measured(addresses, addresses.truncated)
