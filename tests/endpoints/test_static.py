"""Tests of the scripts and styles: what is served, their size, and what they must not do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import brotli
import pytest

from cookie_consent.pages.assets import assets
from tests.support.built import STATIC

HIDING = "@keyframes pchoice { 0%, to { display: none; } }"
SCRIPTS = (
    "cards.js",
    "choices.js",
    "gated.js",
    "landing.js",
    "question.js",
    "shared.js",
    "track.js",
    "vendors.js",
)
WHOLE_STYLES = ("choices.css", "link.css", "settings.css")
STYLES = ("cards.css", *WHOLE_STYLES)


def source(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def served(name: str) -> str:
    return assets()[name].content.decode()


def test_static_folder_and_assets_have_expected_files() -> None:
    others = {"choices.d.ts", "window.d.ts", "autoconsent.json", "built"}
    assert {path.name for path in STATIC.iterdir()} == {*SCRIPTS, *STYLES, *others}
    assert {path.name for path in (STATIC / "built").iterdir()} == {*SCRIPTS, *STYLES, "sources.json"}
    assert assets().keys() == {*SCRIPTS, *STYLES}


@pytest.mark.parametrize("name", [*SCRIPTS, *STYLES])
def test_served_file_has_no_comments_and_fewer_bytes(name: str) -> None:
    assert not re.search(r"/\*|\n.|  ", served(name))
    assert len(served(name)) < len(source(name)) * 0.8


@pytest.mark.parametrize("name", [*SCRIPTS, *STYLES])
def test_names_that_pages_use_are_as_in_the_source(name: str) -> None:
    """Custom properties, classes, attributes, exports and properties of objects: only local names are shortened."""
    names = re.compile(r"--[a-z][a-z-]*|\.pchoice[a-z-]*|\bdata-[a-z-]+|(?<=dataset\.)\w+|\bwindow\.\w+")
    comments = re.compile(r"/\*.*?\*/|^\s*//.*|//(?= ).*", re.DOTALL if name in STYLES else re.MULTILINE)
    assert set(names.findall(served(name))) == set(names.findall(comments.sub("", source(name))))


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.slow
def test_served_script_is_valid_javascript(name: str, tmp_path: Path) -> None:
    script = tmp_path / f"{name}.mjs"
    script.write_bytes(assets()[name].content)
    subprocess.run(["node", "--check", script], check=True, timeout=60)


def test_script_of_what_waits_has_the_size_that_the_docs_say() -> None:
    size = len(brotli.compress(assets()["gated.js"].content, quality=11))
    docs = (STATIC.parent / "docs" / "gated.md").read_text(encoding="utf-8")
    assert f"The script has {size / 1000:.1f} kB (brotli)." in docs


NEVER = (
    *("document.cookie", "cookieStore", "setItem", "getItem", "sessionStorage", "indexedDB", "caches", "innerHTML"),
    *("outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://"),
)


@pytest.mark.requirement("CK-17", "UI-18")
@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_store_nothing_and_evaluate_no_text(name: str) -> None:
    # One script reads a cookie, and none writes any. Another one clears what was refused.
    excepted = {"shared.js": "document.cookie.match(", "vendors.js": "[localStorage, sessionStorage]"}
    text = source(name).replace(excepted.get(name, "\0"), "")
    assert [word for word in NEVER if word in text] == []


@pytest.mark.requirement("UI-18")
@pytest.mark.parametrize("name", STYLES)
def test_styles_load_nothing(name: str) -> None:
    assert "url(" not in source(name)
    assert "@import" not in source(name)


@pytest.mark.requirement("AX-02", "AX-10")
@pytest.mark.parametrize("name", WHOLE_STYLES)
def test_styles_are_accessible(name: str) -> None:
    style = source(name)
    # Dark mode: by rules of our own, by the system's colours in the page's scheme, or as the page has it.
    dark = r"prefers-color-scheme: dark|color-scheme: var\(--pchoice-scheme, inherit\)|[^-]color: inherit;\n  text-d"
    assert re.search(dark, style)
    assert ":focus-visible" in style
    assert "min-block-size: 44px" in style
    # Logical properties instead of left and right, for right-to-left languages.
    assert not re.search(r"\b(left|right)\b", re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL))
    # Nothing moves, so prefers-reduced-motion needs no rule. What an animation may do is to hide for a moment.
    assert "transition" not in style
    assert re.sub(r"\s+", " ", "".join(re.findall(r"@keyframes.*?\n}", style, re.DOTALL))) in ("", HIDING)


@pytest.mark.parametrize(
    ("names", "most"),
    [
        (("choices.js", "choices.css"), 4000),
        (("cards.js", "cards.css"), 650),
        (("shared.js",), 1000),
        (("vendors.js",), 1000),
    ],
)
def test_script_and_style_are_small(names: tuple[str, ...], most: int) -> None:
    assert sum(len(brotli.compress(assets()[name].content, quality=11)) for name in names) < most


@pytest.mark.parametrize(
    ("name", "pattern", "found"),
    [
        ("choices.js", r"[\w.]*localStorage[\w.(]*", ["window.localStorage"]),
        ("question.js", "localStorage", []),
        ("choices.js", r"import\(`\$\{\w+\}/(\w+)\.js`\)|import[^.(]", ["landing", "question", "question"]),
        ("question.js", r"import\b(?!\.meta).*", []),
        ("shared.js", r"import\(.*?\)", ['import(e.dataset.script??"")']),
        ("vendors.js", r"</script|<!--|[^\x00-\x7f]", []),
    ],
)
def test_script_reaches_for_no_more_than_it_needs(name: str, pattern: str, found: list[str]) -> None:
    assert re.findall(pattern, served(name)) == found
