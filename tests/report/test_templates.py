"""Tests of SQL templates, which stay compiled from one report to the next."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from cookie_consent.report.engines.dialect import DUCKDB, POSTGRESQL, _environment, sql

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has one folder for all temporary files")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of compiled templates, which is not there yet."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _environment.cache_clear()
    yield tmp_path / f"_jinja2-cache-{os.getuid()}"
    _environment.cache_clear()


def test_compiled_templates_are_kept_for_this_user_alone(place: Path) -> None:
    assert sql("totals", DUCKDB) != sql("totals", POSTGRESQL)
    assert [*place.iterdir()]
    assert place.stat().st_mode & 0o077 == 0


def test_compiled_templates_that_others_can_write_are_not_read(place: Path) -> None:
    place.symlink_to(place.parent)
    assert "visitors" in sql("totals", DUCKDB)
    assert not list(place.parent.glob("*.cache"))


def test_templates_are_rendered_where_nothing_can_be_written(place: Path) -> None:
    environment = _environment(DUCKDB)
    rmtree(place)
    assert "visitors" in environment.get_template("totals.sql").render()
    assert not place.exists()
