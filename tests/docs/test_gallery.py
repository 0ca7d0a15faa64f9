"""Tests of the gallery: its page, its pictures, and the command that makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support import gallery
from tests.support.browsers.themes import THEMES
from tests.support.browsers.visitor_browser import ROOT

NAMED = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", (gallery.FOLDER / gallery.README).read_text("utf-8"))
MOST_BYTES = 2_000_000


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_gallery_page_is_up_to_date() -> None:
    assert (gallery.FOLDER / gallery.README).read_text("utf-8") == gallery.readme()


def test_gallery_has_exactly_the_named_pictures() -> None:
    files = {path.name for path in gallery.FOLDER.glob("*.png")}
    assert {name for _, name in NAMED} == files == {f"{picture.name}.png" for picture in gallery.PICTURES}
    assert sum((gallery.FOLDER / name).stat().st_size for name in files) < MOST_BYTES


@pytest.mark.parametrize("theme", THEMES)
def test_docs_show_each_theme_as_shipped(theme: str) -> None:
    page = (ROOT / "docs" / "banner.md").read_text("utf-8")
    assert THEMES[theme] in re.findall(r"^```css\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert f"](gallery/theme-{theme}.png)" in page


@pytest.mark.browser
def test_command_makes_the_requested_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["settings", "theme-paper", "purposes"]
    gallery.main(["--folder", str(tmp_path / "new"), *(f"--only={name}" for name in few)])
    assert capsys.readouterr().out.startswith("3 pictures")
    made = {path.name: size_of(path) for path in (tmp_path / "new").glob("*.png")}
    desk = (gallery.DESK["width"], gallery.DESK["height"])
    assert made == {"settings.png": desk, "theme-paper.png": desk, "purposes.png": desk}
    assert (tmp_path / "new" / gallery.README).is_file()
