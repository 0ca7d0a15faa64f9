"""Makes the pictures of docs/gallery, and the page that shows them: `python -m tests.support.gallery`.

The pictures show the museum's site in Chromium. They stay the same as long as nothing looks different. `--only NAME`
makes one of them, `--folder FOLDER` writes them elsewhere.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from cookie_consent.report.page.page import page
from tests.support.browsers.surfaces import SURFACES, museum_site
from tests.support.browsers.themes import THEMES, adopt_rules
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, ROOT, Visitor
from tests.support.report_sample import compared_report

FOLDER = ROOT / "docs" / "gallery"
README = "README.md"
DESK = ViewportSize(width=1120, height=700)
COLOURS = 256
"""The most colours of a picture: enough for its content, in a fraction of the bytes."""
_SHOW_THE_PURPOSES = "document.querySelector('.pchoice details').scrollIntoView({ block: 'end' })"
_INTRODUCTION = """\
# Gallery

What visitors see on a small museum's site, and what its analytics team sees, as Chromium shows it. `make gallery` makes
these pictures and this page.
[Theming](../banner.md#theming) says how to change the look.
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a surface.

    Args:
        name: the name of its file, without the extension.
        title: a short title.
        surface: one of `SURFACES`.
        alt: the text alternative.
        theme: the theme of the site; "" for the default look.
    """

    name: str
    title: str
    surface: str
    alt: str
    theme: str = ""


_QUESTION = "a question, links, and “Refuse all” and “Accept all” side by side and alike"
_SURFACES = (
    Picture("corner", "The question", "first layer", f"A box in the lower left corner of a page: {_QUESTION}"),
    Picture("bar", "In a bar", "first layer in a bar", f"A bar along the lower edge of a page: {_QUESTION}"),
    Picture(
        "dialog", "In a dialog", "first layer in a dialog", f"A dialog in the middle of a darkened page: {_QUESTION}"
    ),
    Picture(
        "purposes",
        "Each purpose for itself",
        "purposes open",
        "The question, scrolled down to two purposes with a box to tick each, unticked, and “Save my choice”",
    ),
    Picture(
        "link",
        "The link at the end of a page",
        "link",
        "The end of a page; below it, in the middle and in its font, the link “Privacy settings: refused”",
    ),
    Picture(
        "box",
        "In place of what is off",
        "fallback box",
        "A page with a box where a map would be: what is off, what it needs, “You refused it.”, and a button “Allow "
        "Maps and films and go on”",
    ),
    Picture(
        "card",
        "In place of somebody else’s content",
        "card",
        "A page with a box where a map would be: a picture, who would receive what, and the buttons “Show once” and "
        "“Always allow” side by side and alike",
    ),
    Picture(
        "explaining",
        "A page that is off",
        "explaining page",
        "A page “Film of the house is switched off”: what it needs, who would receive data, and a button “Allow Maps "
        "and films and go on”",
    ),
    Picture(
        "settings",
        "The settings page",
        "settings page",
        "A page “Privacy settings”: what holds, “Refuse all” and “Accept all”, and the first purpose with its cookies "
        "in a table",
    ),
)
_THEMES = tuple(
    Picture(f"theme-{name}", name.capitalize(), "first layer", f"The question in the theme “{name}”", theme=name)
    for name in THEMES
)
REPORT = "report"
"""The surface of the report, with made-up figures that stay the same."""
_WHAT = (
    "A report “Visits, 1 to 25 November 2026”: visitors, sessions and views in numbers, the share of all pages that "
    "they stand for, bars for each day, and the first pages, sources, campaigns and countries"
)
_REPORT = (Picture("report", "The report", REPORT, _WHAT),)
SECTIONS = {
    "Everything that is seen": _SURFACES,
    "Themes": _THEMES,
    "What analytics teams see": _REPORT,
}
PICTURES = tuple(picture for pictures in SECTIONS.values() for picture in pictures)


def readme() -> str:
    """Return the page that shows the pictures, two in a row."""
    lines = [_INTRODUCTION]
    for title, pictures in SECTIONS.items():
        lines.append(f"## {title}\n")
        for first in range(0, len(pictures), 2):
            row = pictures[first : first + 2]
            lines.append(_row([picture.title for picture in row]))
            lines.append(_row(["---"] * len(row)))
            lines.append(_row([f"![{picture.alt}]({picture.name}.png)" for picture in row]) + "\n")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def make(pictures: Sequence[Picture], folder: Path) -> None:
    """Make pictures, and write them to a folder."""
    with _museum_visitor() as visitor:
        for picture in pictures:
            (folder / f"{picture.name}.png").write_bytes(_png(_screenshot(visitor, picture)))


def _screenshot(visitor: Visitor, picture: Picture) -> Image.Image:
    if picture.surface == REPORT:
        visitor.page.set_content(page(compared_report()))
    else:
        SURFACES[picture.surface](visitor, "en")
    adopt_rules(visitor.page, THEMES[picture.theme] if picture.theme else "")
    if picture.surface == "purposes open":
        visitor.page.evaluate(_SHOW_THE_PURPOSES)
    return Image.open(io.BytesIO(visitor.page.screenshot(animations="disabled"))).convert("RGB")


def _png(image: Image.Image) -> bytes:
    """Return an image in few bytes."""
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


@contextmanager
def _museum_visitor() -> Iterator[Visitor]:
    """Start the site and a browser with a visitor."""
    with (
        TemporaryDirectory() as kept,
        museum_site(Path(kept)) as sites,
        sync_playwright() as playwright,
        # With scroll bars, which Playwright hides by default.
        playwright.chromium.launch(**CHROMIUM_OPTIONS, ignore_default_args=["--hide-scrollbars"]) as browser,
    ):
        context = browser.new_context(locale="en-GB", viewport=DESK, color_scheme="light", forced_colors="none")
        yield Visitor(context, sites)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the gallery."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.gallery", description="Makes the pictures of docs/gallery."
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to put them (default: %(default)s)")
    parser.add_argument("--only", action="append", metavar="NAME", help="one of them; may be given several times")
    given = parser.parse_args(arguments)
    unknown = sorted({*(given.only or ())} - {picture.name for picture in PICTURES})
    if unknown:
        parser.error(f"there is no picture {', '.join(unknown)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    chosen = [picture for picture in PICTURES if not given.only or picture.name in given.only]
    make(chosen, given.folder)
    (given.folder / README).write_text(readme(), "utf-8")
    size = sum((given.folder / f"{picture.name}.png").stat().st_size for picture in chosen)
    sys.stdout.write(f"{len(chosen)} pictures, {size / 1000:.0f} kB, in {given.folder}\n")


if __name__ == "__main__":
    main()
