from __future__ import annotations

import re
from pathlib import Path

import brotli
import pytest

from cookie_consent.assets import assets

STATIC = Path(__file__).parent.parent / "static"


def test_what_ships_is_the_readable_source() -> None:
    files = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert {name: asset.content for name, asset in assets().items()} == files
    assert files.keys() == {"choices.js", "choices.css", "settings.css"}


def test_the_script_and_style_of_the_question_are_under_4_kb() -> None:
    sizes = [len(brotli.compress(assets()[name].content, quality=11)) for name in ("choices.js", "choices.css")]
    assert sum(sizes) < 4000


@pytest.mark.parametrize(
    "never",
    ["document.cookie", "localStorage", "sessionStorage", "indexedDB", "innerHTML", "outerHTML", "insertAdjacentHTML",
     "document.write", "eval(", "new Function", "http://", "https://"],
)  # fmt: skip
def test_the_script_stores_nothing_and_makes_no_code_from_text(never: str) -> None:
    assert never not in (STATIC / "choices.js").read_text(encoding="utf-8")


def test_the_script_depends_on_no_other() -> None:
    assert not re.search(r"^\s*(import|export)\b(?!\.meta)|\bimport\(", script(), re.MULTILINE)


@pytest.mark.parametrize("name", ["choices.css", "settings.css"])
def test_the_styles_load_nothing_and_serve_every_visitor(name: str) -> None:
    style = (STATIC / name).read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert ":focus-visible" in style
    assert "min-block-size: 44px" in style
    # Sides are named by the direction of writing, so that right-to-left languages come out right.
    assert not re.search(r"\b(left|right)\b", style)
    # Nothing moves, so that prefers-reduced-motion has nothing to stop.
    assert not re.search(r"\b(animation|transition)\b", style)


def script() -> str:
    return (STATIC / "choices.js").read_text(encoding="utf-8")
