"""Tests of the documentation site: it builds without a warning, and it needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.one_python
def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--doctree-dir", str(tmp_path / "doctrees")]
    site = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", *options, "docs", str(site)]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (build.returncode, build.stderr) == (0, "")
    loads = re.compile(r'<(?:script|img|link|iframe)[^>]* (?:src|href)="(?:https?:)?//[^"]*"')
    imports = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*")
    pages = [page.read_text("utf-8") for page in site.rglob("*.html")]
    styles = [file.read_text("utf-8") for file in site.rglob("*.css")]
    assert len(pages) > 50
    assert [found for page in pages for found in loads.findall(page)] == []
    assert [found for style in styles for found in imports.findall(style)] == []
