"""Tests of docs/frameworks.md. What it says of its framework is tested in a module of its own."""

from __future__ import annotations

import textwrap
import tomllib

import pytest

from tests.frameworks.page import COMMON, EXAMPLES, PAGES, Page

each_page = pytest.mark.parametrize("page", [COMMON, *PAGES], ids=lambda page: page.name)


def test_newcomer_types_what_the_tests_type() -> None:
    assert [command.split()[0] for command in COMMON.commands] == [
        "pip",
        "cookie-consent",
        "export",
        "uvicorn",
        "cookie-consent",
        "pip",
        "pytest",
    ]


@each_page
def test_page_has_no_block_of_a_kind_that_nothing_tests(page: Page) -> None:
    kinds = {block.kind for block in page.blocks} - {"{toctree}"}
    assert kinds <= {"console", "python", "toml", "html+jinja", "html+django"}
    assert page is COMMON or "console" not in kinds


@each_page
def test_blocks_of_python_are_parts_of_an_example(page: Page) -> None:
    example = page.example_text
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
