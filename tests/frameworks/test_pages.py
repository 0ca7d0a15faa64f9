"""Tests of the form of all pages in docs/frameworks. What they say is tested in a module for each framework."""

from __future__ import annotations

import textwrap
import tomllib

import pytest

from tests.frameworks.page import EXAMPLES, FOLDER, PAGES, SECTIONS, Block, Page

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)


@each_page
def test_page_has_the_sections_in_order(page: Page) -> None:
    assert [section for section in page.sections if section in SECTIONS] == list(SECTIONS)


@each_page
def test_page_has_no_block_of_a_kind_that_nothing_tests(page: Page) -> None:
    assert {block.kind for block in page.blocks} <= {"console", "python", "toml", "html+jinja", "html+django"}


@each_page
def test_page_begins_with_what_to_save_and_type(page: Page) -> None:
    install, init, key, app, server, report, tests, *rest = page.steps
    assert str(install).startswith('pip install "cookie-consent')
    assert str(init).startswith("cookie-consent init")
    assert str(key).startswith("export CONSENT_KEY=")
    assert isinstance(app, Block)
    assert (app.file, server) == ("app.py", "uvicorn app:app")
    assert str(report).startswith("cookie-consent report ")
    assert isinstance(tests, Block)
    assert (tests.file, rest[-1]) == ("test_app.py", "pytest")
    assert [str(command).split()[0] for command in rest[:-1]] in ([], ["pip"])


@each_page
def test_page_says_where_the_tests_have_the_key(page: Page) -> None:
    assert "in the same terminal, where the key is set:\n\n```console\n$ pip install pytest" in page.text


@each_page
def test_page_leads_to_its_example(page: Page) -> None:
    assert f"](../../examples/frameworks/{page.example.name})" in page.text.partition("## Start")[0]


@each_page
def test_overview_names_the_page(page: Page) -> None:
    overview = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert overview.count(f"]({page.path.name})") == 2


@each_page
def test_blocks_of_python_are_parts_of_the_example(page: Page) -> None:
    example = page.example_text
    assert page.excerpts
    assert [
        part for part in page.excerpts if part not in example and textwrap.indent(part, "    ") not in example
    ] == []


@each_page
def test_blocks_of_templates_are_parts_of_an_example(page: Page) -> None:
    templates = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES.rglob("*.html"))
    lines = [line for block in page.blocks if block.kind.startswith("html+") for line in block.text.splitlines()]
    assert [line for line in lines if line.strip() not in templates] == []


@each_page
def test_page_declares_cookies_of_the_framework_as_necessary(page: Page) -> None:
    cookies = tomllib.loads(page.cookies).get("cookies", [])
    assert [cookie["name"] for cookie in cookies if cookie["purpose"] != "necessary"] == []
