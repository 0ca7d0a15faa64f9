"""Tests of accessibility with axe-core: each surface, in each width, colour scheme and language.

By default each surface is seen in one language, and in two widths and colours, in turn. FULL_MATRIX=1 or --full-matrix
runs all combinations.
"""

from __future__ import annotations

from itertools import groupby

import pytest
from playwright.sync_api import Page

from tests.support.browsers.axe import COLOURS, Findings, run_axe
from tests.support.browsers.matrix import Row, every_row
from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.visitor_browser import Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = pytest.mark.browser

WIDTHS = {"1440": 900, "768": 1024, "360": 640, "320": 568}
"""The width of a screen -> its height."""
DIMENSIONS = {"language": LANGUAGES, "surface": tuple(SURFACES), "width": tuple(WIDTHS), "colours": tuple(COLOURS)}
REQUIRED_RULES = {"color-contrast", "region", "target-size", "button-name", "landmark-unique", "valid-lang"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of all widths and colours of the same page."""
    if "looks" in metafunc.fixturenames:
        rows = every_row(DIMENSIONS) if metafunc.config.getoption("--full-matrix") else rows_in_turn()
        groups = [(where, list(them)) for where, them in groupby(rows, key=lambda row: row[:2])]
        ids = [f"{surface}, {language}" for (language, surface), _ in groups]
        metafunc.parametrize(("where", "looks"), groups, ids=ids)


def rows_in_turn() -> list[Row]:
    """Return two combinations for each surface; together they have each width with each set of colours."""
    widths, colours = tuple(WIDTHS), tuple(COLOURS)
    return [
        (LANGUAGES[place % len(LANGUAGES)], surface, widths[turn % len(widths)], colours[turn % len(colours)])
        for place, surface in enumerate(SURFACES)
        for turn in (place, place + len(SURFACES))
    ]


def axe_findings(page: Page, width: str, colours: str) -> Findings:
    """Return the findings of axe on a page with this screen width and these colours."""
    page.set_viewport_size({"width": int(width), "height": WIDTHS[width]})
    page.emulate_media(**COLOURS[colours])
    return run_axe(page, forced_colours=colours == "forced")


def test_axe_finds_no_violations(museum_visitor: Visitor, where: tuple[str, str], looks: list[Row]) -> None:
    language, surface = where
    SURFACES[surface](museum_visitor, language)
    found = {
        f"{width} px, {colours}": axe_findings(museum_visitor.page, width, colours) for _, _, width, colours in looks
    }
    assert {look: findings for look, findings in found.items() if findings} == {}


def test_required_axe_rules_have_run(museum_visitor: Visitor) -> None:
    SURFACES["first layer"](museum_visitor, "en")
    assert axe_findings(museum_visitor.page, "1440", "light").passed >= REQUIRED_RULES


def test_axe_finds_no_violations_with_injected_settings_link(museum_visitor: Visitor) -> None:
    museum_visitor.go("/linked/en/")
    findings = axe_findings(museum_visitor.page, "1440", "light")
    assert not findings, findings
