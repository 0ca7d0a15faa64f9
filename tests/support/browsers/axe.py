"""axe-core on a page, and what it cannot decide by itself."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page

from tests.support.browsers.visitor_browser import ROOT

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EXPLAINED = {
    "color-contrast elmPartiallyObscured": (
        "What the question has scrolled to its edge is partly covered by what does not scroll, and axe looks no "
        "further. tests/browser/test_contrast.py measures the same texts."
    ),
}
"""A rule and the reason why axe leaves it open -> why that is so, and what decides it instead."""
OFF_IN_FORCED_COLOURS = {
    "color-contrast": (
        "axe reads -webkit-text-fill-color, which Chromium reports as the page wrote it even where the browser has "
        "forced another colour. tests/browser/test_contrast.py measures the colours that are forced."
    ),
}
"""A rule that is not asked -> why, and what decides it instead."""

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
    """What axe says of a page.

    Args:
        violations: what is wrong: rule and reason, and where.
        undecided: what axe leaves open and `EXPLAINED` does not explain.
        passed: the rules that found what they look for, and nothing wrong with it.
    """

    violations: list[tuple[str, str]]
    undecided: list[tuple[str, str]]
    passed: set[str]

    def __bool__(self) -> bool:
        return bool(self.violations or self.undecided)


def look(page: Page, *, forced_colours: bool = False) -> Findings:
    """Return what axe finds on a page.

    Args:
        page: what is looked at.
        forced_colours: whether the browser shows it in the visitor's own colours.
    """
    if not page.evaluate("'axe' in window"):
        # By the debugger's way, which no Content-Security-Policy stops.
        page.evaluate(_SOURCE.read_text("utf-8"))
    off = list(OFF_IN_FORCED_COLOURS) if forced_colours else []
    violations, undecided, passed = page.evaluate(_RUN, [TAGS, off])
    unexplained = [(what, where) for what, where in undecided if what not in EXPLAINED]
    return Findings([tuple(found) for found in violations], unexplained, set(passed))
