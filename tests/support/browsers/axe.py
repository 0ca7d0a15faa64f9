"""Runs axe-core on a page; explains the results that it leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.support.browsers.visitor_browser import ROOT

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "dark", "forced_colors": "active"},
}
"""The name of a set of colours -> the media features that Playwright emulates."""
EXPLAINED = {
    "color-contrast elmPartiallyObscured": (
        "At its edge the scrolled part of the banner is partly covered by the fixed part, and axe looks no "
        "further. tests/browser/test_looks.py measures the same texts."
    ),
}
"""A rule and the reason why axe leaves it open -> an explanation, and the test that decides instead."""
OFF_IN_FORCED_COLOURS = {
    "color-contrast": (
        "axe reads -webkit-text-fill-color, which Chromium reports as the page wrote it even where the browser has "
        "forced another colour. tests/browser/test_looks.py measures the colours that are forced."
    ),
}
"""A rule that is switched off -> why, and the test that decides instead."""

_SOURCE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async ([tags, off]) => {
    const rules = Object.fromEntries(off.map(rule => [rule, { enabled: false }]));
    const found = await axe.run({ runOnly: { type: "tag", values: tags }, rules });
    const reasons = ({ any, all, none }) => [...any, ...all, ...none].map(({ data }) => data?.messageKey ?? "");
    const flat = results => results.flatMap(({ id, nodes }) => nodes.map(node =>
        [`${id} ${reasons(node).find(Boolean) ?? ""}`.trim(), `${node.html} ${node.failureSummary}`]));
    return [flat(found.violations), flat(found.incomplete), found.passes.map(({ id }) => id)];
}"""


@dataclass(frozen=True)
class Findings:
    """The findings of axe on a page.

    Args:
        violations: rule and reason, and the element.
        undecided: results that axe leaves open and `EXPLAINED` does not explain.
        passed: the rules that applied and found nothing wrong.
    """

    violations: list[tuple[str, str]]
    undecided: list[tuple[str, str]]
    passed: set[str]

    def __bool__(self) -> bool:
        return bool(self.violations or self.undecided)


def run_axe(page: Page, *, forced_colours: bool = False) -> Findings:
    """Run axe on a page, and return its findings.

    Args:
        page: the page.
        forced_colours: whether the browser shows it in forced colours.
    """
    if not page.evaluate("'axe' in window"):
        # Playwright evaluates by the debugger, which no Content-Security-Policy blocks.
        page.evaluate(_SOURCE.read_text("utf-8"))
    off = list(OFF_IN_FORCED_COLOURS) if forced_colours else []
    violations, undecided, passed = page.evaluate(_RUN, [TAGS, off])
    unexplained = [(what, where) for what, where in undecided if what not in EXPLAINED]
    return Findings([tuple(found) for found in violations], unexplained, set(passed))
