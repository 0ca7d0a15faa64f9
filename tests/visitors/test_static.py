"""Tests of the scripts and styles: what is served, their size, and what they must not do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import brotli
import pytest

from cookie_consent.visitors.pages.assets import assets
from tests.support.built import STATIC, changed_sources

SCRIPTS, STYLES = ("choices.js", "landing.js", "question.js", "track.js"), ("choices.css", "link.css", "settings.css")


def source(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def served(name: str) -> str:
    return assets()[name].content.decode()


def code_lines(text: str) -> list[str]:
    """Return the lines of a script without indentation, types and comments at the beginning of a line."""
    lines, in_comment = [], False
    untyped = re.sub(r"/\*\* @type [^*]*\*/ ?", "", text)
    for line in map(str.strip, untyped.splitlines()):
        while in_comment or line.startswith("/*"):
            _, end, after = line.partition("*/")
            line, in_comment = after.strip(), not end
            if in_comment:
                break
        if line and not in_comment and not line.startswith("//"):
            lines.append(line)
    return lines


def test_static_folder_and_assets_have_expected_files() -> None:
    others = {"choices.d.ts", "window.d.ts", "autoconsent.json", "built"}
    assert {path.name for path in STATIC.iterdir()} == {*SCRIPTS, *STYLES, *others}
    assert {path.name for path in (STATIC / "built").iterdir()} == {*SCRIPTS, *STYLES, "sources.json"}
    assert assets().keys() == {*SCRIPTS, *STYLES}


def test_only_changed_sources_are_reported(tmp_path: Path) -> None:
    assert changed_sources() == []
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    (tmp_path / "choices.js").write_text("changed")
    (tmp_path / "new.css").write_text("p {}")
    (tmp_path / "landing.js").unlink()
    assert changed_sources(tmp_path) == ["choices.js", "landing.js", "new.css"]
    (tmp_path / "built" / "sources.json").write_text("    # Dark mode: by rules of our own, by the system's colours in the page's scheme, or as the page has it.
    dark = r"prefers-color-scheme: dark|color-scheme: var\(--pchoice-scheme, inherit\)|[^-]color: inherit;\n  text-d"
    assert re.search(dark, style)
    assert ":focus-visible" in style
    assert "min-block-size: 44px" in style
    # Logical properties instead of left and right, for right-to-left languages.
    assert not re.search(r"\b(left|right)\b", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    # Nothing moves, so prefers-reduced-motion needs no rule.
    assert not re.search(r"\b(animation|transition)\b", style)
