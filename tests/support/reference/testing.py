"""The page on what a site's tests may use, from the functions and their docstrings."""

from __future__ import annotations

from cookie_consent import testing
from cookie_consent.testing import fixtures
from tests.support.reference.functions import described
from tests.support.reference.markdown import joined, link

_HOW_TO = "test-as-a-consenting-visitor.md"
_TITLE = f"""\
# Functions for your tests

What `cookie_consent.testing` has. How to use it: {link("test as a consenting visitor", _HOW_TO)}."""


def page() -> str:
    return joined(
        _TITLE,
        "## Answers",
        *(_function(testing, name) for name in ("answer", "refuse", "aanswer", "arefuse")),
        "## Fixtures of pytest",
        "They are in `cookie_consent.testing.fixtures`.",
        *(_function(fixtures, name) for name in ("answering", "refusing", "aanswering", "arefusing")),
        "## The banner",
        *(_function(testing, name) for name in ("dark_patterns", "assert_no_dark_patterns")),
    )


def _function(module: object, name: str) -> str:
    return joined(f"### `{name}`", *described(getattr(module, name), name))
