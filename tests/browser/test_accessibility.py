"""axe-core on all that visitors see: each surface, on every width, in light, dark and forced colours, in three
languages of which one is written from right to left.

By default the combinations are a selection in which everything meets everything else at least once; FULL_MATRIX=1 or
--full-matrix takes them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browsers.axe import Findings, look
from tests.support.browsers.matrix import Row, every_row, paired_rows
from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.visitor_browser import Sites, Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = pytest.mark.browser

WIDTHS = {"1440": 900, "768": 1024, "360": 640, "320": 568}
"""The width of a screen -> its height."""
COLOURS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
}
DIMENSIONS = {"language": LANGUAGES, "surface": tuple(SURFACES), "width": tuple(WIDTHS), "colours": tuple(COLOURS)}
MUST_HAVE_LOOKED = {"color-contrast", "region", "target-size", "button-name", "landmark-unique", "valid-lang"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of all that is looked at on one and the same page."""
    if "looks" in metafunc.fixturenames:
        rows = every_row(DIMENSIONS) if metafunc.config.getoption("--full-matrix") else paired_rows(DIMENSIONS)
        groups = [(where, list(them)) for where, them in groupby(rows, key=lambda row: row[:2])]
        ids = [f"{surface}, {language}" for (language, surface), _ in groups]
        metafunc.parametrize(("where", "looks"), groups, ids=ids)


@pytest.fixture(scope="module")
def visitor(browser: Browser, museum: Sites) -> Iterator[Visitor]:
    """One visitor for all tests, with one page."""
    visitor = Visitor(browser.new_context(), museum)
    yield visitor
    visitor.context.close()
    assert visitor.complaints == []


def dress(page: Page, width: str, colours: str) -> Findings:
    """Return what axe says of a page on a screen of a width, in some colours."""
    page.set_viewport_size({"width": int(width), "height": WIDTHS[width]})
    page.emulate_media(**COLOURS[colours])
    return look(page, forced_colours=colours == "forced")


def test_axe_finds_no_violations(visitor: Visitor, where: tuple[str, str], looks: list[Row]) -> None:
    language, surface = where
    SURFACES[surface](visitor, language)
    found = {f"{width} px, {colours}": dress(visitor.page, width, colours) for _, _, width, colours in looks}
    assert {look: findings for look, findings in found.items() if findings} == {}


def test_required_axe_rules_have_run(visitor: Visitor) -> None:
    SURFACES["first layer"](visitor, "en")
    assert dress(visitor.page, "1440", "light").passed >= MUST_HAVE_LOOKED


def test_axe_finds_no_violations_with_injected_settings_link(visitor: Visitor) -> None:
    visitor.go("/linked/en/")
    findings = dress(visitor.page, "1440", "light")
    assert not findings, findings
