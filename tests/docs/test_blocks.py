"""Tests that every block of code in the documentation runs in a test.

`TESTED` says which tests run the blocks of a page, and how many blocks of each kind they run. Whoever adds a block adds
a test that runs it, and counts it here.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
SPHINX = re.compile(r"\{(toctree|include)\}")
"""Not code: what tells Sphinx about pages."""
HELD = {"docs/reference/": "docs/test_reference", "docs/frameworks/": "frameworks/test_pages"}
"""Folders of pages with a form of their own -> the module below `tests/` that holds all blocks of these pages."""
NOT_RUN = {"text"}
"""Pictures of flows, messages and addresses. The tests of most pages compare them with what is said."""

TESTED: dict[str, tuple[list[str], dict[str, int]]] = {
    "README.md": (["docs/test_readme"], {"console": 1, "python": 1, "toml": 1}),
    "CONTRIBUTING.md": (["docs/test_snippets"], {"sh": 3}),
    "docs/access-record.md": (["tracing/test_access_record"], {"json": 2}),
    "docs/analytics.md": (
        ["report/test_analytics_docs", "report/test_twelve_questions"],
        {"console": 14, "python": 1, "toml": 1},
    ),
    "docs/banner.md": (
        [
            *("browser/test_docs", "browser/test_theming", "browser/test_testing", "browser/test_events"),
            *("docs/test_docs", "visitors/test_layouts"),
        ],
        {"css": 6, "html": 3, "python": 3, "toml": 2, "js": 1, "javascript": 1},
    ),
    "docs/behind-a-proxy.md": (["whole/test_behind_a_proxy"], {"python": 2, "nginx": 1, "caddyfile": 1, "yaml": 1}),
    "docs/caching.md": (["whole/test_shared_caches", "docs/test_snippets"], {"python": 1, "nginx": 1, "vcl": 1}),
    "docs/consent-in-numbers.md": (["report/test_consent_docs"], {"console": 2, "json": 1, "python": 1}),
    "docs/countries.md": (["report/test_countries"], {"toml": 1, "python": 1, "console": 1}),
    "docs/cards.md": (["docs/test_cards"], {"python": 2, "html+jinja": 1}),
    "docs/features.md": (["docs/test_features"], {"python": 4, "html+jinja": 1}),
    "docs/gated.md": (["support/sites/gated_site"], {"html": 3}),
    "docs/figures.md": (["report/test_analytics_docs"], {"console": 1}),
    "docs/goals.md": (["docs/test_goals_page"], {"toml": 1, "console": 1}),
    "docs/how-to/answer-by-json.md": (["docs/test_how_tos"], {"json": 2}),
    "docs/how-to/ask-again-while-developing.md": (["docs/test_how_tos"], {"python": 1}),
    "docs/how-to/behind-nginx-or-caddy.md": (["docs/test_how_tos"], {"console": 1, "nginx": 1, "caddyfile": 1}),
    "docs/how-to/change-the-look.md": (["docs/test_how_tos"], {"css": 1, "python": 1}),
    "docs/how-to/find-the-cookies-that-your-site-sets.md": (["docs/test_how_tos"], {"python": 1}),
    "docs/how-to/gate-google-analytics-4.md": (["docs/test_how_tos"], {"toml": 1, "html": 2}),
    "docs/how-to/keep-proof.md": (["docs/test_how_tos"], {"console": 2, "python": 1}),
    "docs/how-to/keep-third-parties-out.md": (["docs/test_how_tos"], {"python": 1}),
    "docs/how-to/leave-admin-out.md": (["docs/test_leave_admin_out"], {"python": 2}),
    "docs/how-to/one-answer-for-several-hosts.md": (["docs/test_how_tos"], {"toml": 1, "python": 1}),
    "docs/how-to/one-language-only.md": (["docs/test_how_tos"], {"console": 1, "toml": 1}),
    "docs/how-to/put-the-link-into-your-footer.md": (["docs/test_how_tos"], {"python": 1, "html": 1}),
    "docs/how-to/read-your-first-report.md": (["docs/test_how_tos"], {"python": 1, "console": 1}),
    "docs/how-to/replace-a-secret-key.md": (["docs/test_how_tos"], {"python": 1}),
    "docs/how-to/show-a-map-only-with-consent.md": (["docs/test_how_tos"], {"toml": 1, "python": 2, "html+jinja": 1}),
    "docs/how-to/test-as-a-consenting-visitor.md": (["docs/test_testing_page"], {"python": 4}),
    "docs/moving.md": (["docs/test_moving"], {"toml": 8}),
    "docs/mutation.md": (["docs/test_snippets"], {"console": 1}),
    "docs/operating.md": (
        ["docs/test_operating"],
        {"ini": 2, "sh": 3, "console": 2, "python": 1, "nginx": 1},
    ),
    "docs/keeping-records.md": (
        ["report/test_analytics_docs", "sinks/test_contract"],
        {"console": 1, "python": 2, "toml": 1},
    ),
    "docs/other-logs.md": (
        ["tracing/test_logging", "integrations/test_sentry", "docs/test_snippets"],
        {"python": 5, "nginx": 2},
    ),
    "docs/own-tools.md": (
        ["report/test_analytics_docs"],
        {"console": 3, "python": 3, "toml": 1, "sql": 7, "sh": 1, "yaml": 2},
    ),
    "docs/performance.md": (["docs/test_snippets"], {"console": 1}),
    "docs/playground.md": (["cli/playground/test_command"], {"console": 1}),
    "docs/policy.md": (["docs/test_readme", "docs/test_snippets"], {"console": 1, "toml": 2, "python": 1}),
    "docs/proof.md": (["docs/test_docs"], {"json": 1, "python": 1, "console": 3, "toml": 2}),
    "docs/regimes.md": (["docs/test_docs", "docs/test_snippets"], {"toml": 1, "python": 1, "nginx": 1}),
    "docs/security.md": (["docs/test_security_page", "docs/test_snippets"], {"toml": 3, "html+jinja": 1, "console": 1}),
    "docs/start.md": (["docs/test_start"], {"console": 6, "python": 4}),
    "docs/subdomains.md": (["docs/test_docs", "docs/test_snippets"], {"toml": 1, "console": 1}),
    "docs/users/analysts.md": (["docs/test_users"], {"console": 1, "python": 1, "json": 1}),
    "docs/warnings.md": (["docs/test_warnings_page"], {"python": 2}),
    "docs/vendors.md": (["docs/test_vendors", "support/sites/recipe_site"], {"toml": 15, "html": 15}),
}
"""Page -> the modules below `tests/` that run its blocks, and how many blocks of each kind these run."""


def kinds(page: Path) -> Counter[str]:
    """Return how many blocks of code of each kind a page has."""
    fences = re.findall(r"^\s*(`{3,})(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    opening = [kind.strip() for _, kind in fences[::2]]
    return Counter(kind for kind in opening if not SPHINX.match(kind) and kind not in NOT_RUN)


def pages_with_blocks() -> dict[str, dict[str, int]]:
    """Return how many blocks of code of each kind the pages have."""
    found = {page.relative_to(ROOT).as_posix(): dict(kinds(page)) for page in PAGES}
    return {name: blocks for name, blocks in found.items() if blocks and not name.startswith(tuple(HELD))}


WITH_BLOCKS = pages_with_blocks()


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_each_block_of_a_page_runs_in_a_test(page: str) -> None:
    assert page in TESTED, f"{page} has blocks of code: run them in a test, then name the test in {Path(__file__).name}"
    modules, tested = TESTED[page]
    assert WITH_BLOCKS[page] == tested, f"run the new blocks of {page} in {modules}, then count them here"


@pytest.mark.parametrize("page", TESTED)
def test_modules_that_run_the_blocks_of_a_page_name_it(page: str) -> None:
    name = Path(page).name
    modules = [(ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8") for module in TESTED[page][0]]
    assert all(name in module or f'"{name.removesuffix(".md")}"' in module for module in modules)
    assert page in WITH_BLOCKS, f"{page} has no blocks any more: remove it here"
