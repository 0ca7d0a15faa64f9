"""Tests of docs/reference: the pages are what the code says, and what they show as an example works."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import cookie_consent.policy
from cookie_consent import ConsentMiddleware
from cookie_consent.enforcement.request_consent import RequestConsent
from cookie_consent.policy import from_toml
from cookie_consent.visitors.answers.posted import PostedAnswer
from tests.support.asgi import Visitor
from tests.support.policies import KEY, policy_of
from tests.support.reference import consent, css, events, options
from tests.support.reference.docstrings import docstring_of
from tests.support.reference.example import every_table, policy
from tests.support.reference.exchanges import Site
from tests.support.reference.http import PREFIX
from tests.support.reference.markdown import ROOT, blocks_of
from tests.support.reference.pages import FOLDER, PAGES
from tests.support.reference.policy_errors import WRONG, WRONG_KINDS, WRONG_PLACES, wrong_file

pytestmark = pytest.mark.one_python


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


def test_page_on_the_policy_file_has_every_table() -> None:
    tables = re.findall(r"^## `\[+(\w+)", PAGES["policy-file.md"](), re.MULTILINE)
    assert set(tables) == from_toml._TABLES.keys()


NOT_OF_A_KEY = {
    "this is no TOML file in UTF-8": "of the file as a whole",
    "this file is in ": "of the file as a whole",
    "this is a folder": "of the file as a whole",
    "what was kept is no policy": "of what the ledger keeps",
    "there is no option": "a file cannot have it: the key would be a signal",
}
"""The beginning of a message -> why the page lacks it."""


def messages_of_the_code() -> list[tuple[str, str]]:
    """Return the pattern and the beginning of each error that the code can make of a policy."""
    found = []
    for path in sorted(Path(cookie_consent.policy.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PolicyError" and node.args:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                texts = [str(part.value) if isinstance(part, ast.Constant) else "" for part in parts]
                found.append((".*".join(map(re.escape, texts)), texts[0]))
    return found


def test_page_on_the_policy_file_has_every_error_of_the_code() -> None:
    shown = [*WRONG_KINDS, *WRONG_PLACES, *(wrong for changes in WRONG.values() for wrong in changes)]
    problems = [wrong_file(wrong).problem for wrong in shown]
    messages = messages_of_the_code()
    assert len(messages) > 50
    missing = [
        pattern
        for pattern, beginning in messages
        if pattern
        and not beginning.startswith(tuple(NOT_OF_A_KEY))
        and not pattern.endswith("gone")  # tests/whole/test_gone.py has these
        and not any(re.search(pattern, problem) for problem in problems)
    ]
    assert missing == [], "Add a file that has this error to tests/support/reference/policy_errors.py"


def test_page_on_http_has_every_endpoint_and_explains_what_it_takes() -> None:
    page = PAGES["http.md"]()
    paths = {path for path in Site().app._endpoints._routes._table if not path.startswith("/assets/")}
    assert [path for path in paths if f"{PREFIX}{path}`" not in page] == []
    # Each field of an answer is in one of the two tables.
    fields = {
        "purpose=ID",
        "recipient=ID",
        *(docstring_of(PostedAnswer).names.keys() - {"purposes", "recipients", "form_id"}),
    }
    assert [name for name in fields if not re.search(rf"^\| `{name}`", page, re.MULTILINE)] == []


def test_page_on_http_shows_no_secret_value() -> None:
    page = PAGES["http.md"]()
    assert "__Host-consent=…; Max-Age=" in page
    assert not re.search(r"[A-Za-z0-9_-]{43}", page)


def test_page_on_css_has_every_property_of_the_style_sheets() -> None:
    read = dict(css.properties())
    assert len(read) == len(set(css.properties()))
    assert css.PROPERTIES.keys() == read.keys()
    sheets = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "static").glob("*.css"))
    assert css.PROPERTIES.keys() == set(re.findall(r"--pchoice-([a-z-]+)", sheets))
    assert {path.name for path in (ROOT / "static").glob("*.css")} == css.SHEETS.keys()


def test_classes_of_the_page_on_css_exist() -> None:
    templates = ROOT / "cookie_consent" / "visitors" / "pages" / "templates"
    paths = (*templates.glob("*.html"), *(ROOT / "static").glob("*.js"))
    written = "".join(path.read_text(encoding="utf-8") for path in paths)
    layouts = {"pchoice-corner", "pchoice-bar", "pchoice-modal"}
    assert 'classes = "pchoice pchoice-" ~ layout ~ " pchoice-part"' in written
    assert [name for name in css.CLASSES.keys() - layouts if not re.search(rf'["\s]{name}["\s]', written)] == []


def test_example_of_the_page_on_css_sets_what_there_is() -> None:
    (example,) = blocks_of("css.md", "css")
    assert set(re.findall(r"--pchoice-([a-z-]+)", example)) <= css.PROPERTIES.keys()
    assert set(re.findall(r"^\.(pchoice[a-z-]*)", example, re.MULTILINE)) <= css.CLASSES.keys()


def test_example_of_the_page_on_events_is_one_that_a_browser_runs() -> None:
    assert blocks_of("events.md", "js") == blocks_of("banner.md", "js")


def test_page_on_events_has_every_attribute_of_scripts_and_templates() -> None:
    for_sites = {name.removeprefix("data-") for name in events.ATTRIBUTES}
    assert for_sites | events.OUR_OWN == events.attributes_in_code()
    assert not for_sites & events.OUR_OWN


def test_events_of_the_page_are_those_that_the_script_sends() -> None:
    script = (ROOT / "static" / "track.js").read_text(encoding="utf-8")
    sent = re.findall(r'(?:tell|track|written)\("([a-z_]+)"', script)
    assert events.SENT.keys() == set(sent)


def test_own_texts_of_the_example_are_used() -> None:
    own = tomllib.loads(blocks_of("texts.md", "toml")[0])
    offered = policy_of({**every_table(), **own})
    assert offered.texts["en"]["banner_title"] == "Your choice"


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
