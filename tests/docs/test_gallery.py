"""The gallery has a picture of everything, and the command makes what it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support import gallery
from tests.support.browsers.surfaces import SURFACES

NAMED = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", (gallery.FOLDER / gallery.README).read_text("utf-8"))
MOST_BYTES = 2_000_000


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_page_is_the_one_that_the_command_writes() -> None:
    assert (gallery.FOLDER / gallery.README).read_text("utf-8") == gallery.readme()


def test_each_picture_that_the_page_names_is_there_and_no_other() -> None:
    files = {path.name for path in gallery.FOLDER.glob("*.png")}
    assert {name for _, name in NAMED} == files == {f"{picture.name}.png" for picture in gallery.PICTURES}
    assert sum((gallery.FOLDER / name).stat().st_size for name in files) < MOST_BYTES


def test_each_picture_is_described_in_words_of_its_own() -> None:
    assert len({alt for alt, _ in NAMED}) == len(NAMED)
    assert all(len(alt) > 10 for alt, _ in NAMED)


def test_nearly_everything_that_visitors_see_is_in_it() -> None:
    seen = {picture.surface for picture in gallery.PICTURES}
    alike = {"settings page after an answer", "settings page after an error", "requests page after an error"}
    assert SURFACES.keys() - seen == alike


@pytest.mark.browser
def test_the_command_makes_the_pictures_that_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["settings-phone", "theme-paper", "purposes"]
    gallery.main(["--folder", str(tmp_path / "new"), *(f"--only={name}" for name in few)])
    assert capsys.readouterr().out.startswith("3 pictures")
    made = {path.name: size_of(path) for path in (tmp_path / "new").glob("*.png")}
    desk, phone = (gallery.DESK["width"], gallery.DESK["height"]), (gallery.PHONE["width"], gallery.PHONE["height"])
    assert made == {"settings-phone.png": phone, "theme-paper.png": desk, "purposes.png": desk}
    assert (tmp_path / "new" / gallery.README).is_file()


def test_a_picture_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gallery.main(["--folder", str(tmp_path), "--only=croner"])
    assert "there is no picture croner" in capsys.readouterr().err
