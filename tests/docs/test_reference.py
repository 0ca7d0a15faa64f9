"""Tests of docs/reference: the pages are what the code says, and what they show as an example works."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.enforcement.request_consent import RequestConsent
from tests.support.asgi import Visitor
from tests.support.policies import KEY
from tests.support.reference import consent, options
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.example import policy
from tests.support.reference.pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "The code says something else by now. Run: make reference"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == {"README.md", *PAGES}


def test_every_option_is_explained_and_belongs_to_a_group() -> None:
    known = [name for names in options.GROUPS.values() for name in names]
    assert sorted(known) == sorted(options.parameters())
    assert options.meanings().keys() == options.parameters().keys()


def test_page_on_consent_lists_every_name_that_is_for_apps() -> None:
    page = PAGES["consent.md"]()
    names = {name for name, _ in consent.public_members(RequestConsent)}
    assert {"allows", "feature", "purposes", "language", "nonce"} <= names
    assert [name for name in names if f"`{name}`" not in page] == []
    assert not names & consent.NOT_FOR_APPS


def test_docstring_is_read_in_its_parts() -> None:
    def documented() -> None:
        """Do this.

        Then that:

        - first,
          in two lines
        - second

        Args:
            first: what it is, with
                a second line.
            second: another.

        Raises:
            ValueError: it cannot.
        """

    read = docstring_of(documented)
    assert read.text == "Do this.\n\nThen that:\n\n- first, in two lines\n- second"
    assert read.names == {"first": "what it is, with a second line.", "second": "another."}
    assert read.raises == {"ValueError": "it cannot."}


def test_example_of_the_page_on_consent_works() -> None:
    (example,) = re.findall(r"^```python\n(from .*?)^```", PAGES["consent.md"](), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(example, "consent.md", "exec"), names)  # noqa: S102 (our own page)
    visitor = Visitor(ConsentMiddleware(Starlette(routes=[Route("/", names["offices"])]), policy(), KEY))
    before = visitor.get(headers=[("accept-language", "en")]).text
    visitor.accept()
    assert [before, visitor.get().text] == [policy().feature("map").fallback["en"], "the map"]
