"""Tests that what is added to a page makes no error in it: html5lib, a parser as the standard describes, says so."""

from __future__ import annotations

from collections import Counter

import html5lib
import pytest

from tests.support.sites.checked_pages import DOCUMENTS, make_pages

pytestmark = pytest.mark.slow

END = "</html>"
ONLY_IN_HEAD = ("base", "meta", "style", "title")


def find_errors(html: str) -> Counter[str]:
    """Return the parse errors of a document."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    parser.parse(html)
    return Counter(f"{code} {details}" for _, code, details in parser.errors)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_page_has_no_parse_error_more_than_without_additions(document: str) -> None:
    expected = find_errors(DOCUMENTS[document])
    found = {page.name: find_errors(page.html) - expected for page in make_pages(document)}
    assert {name: errors for name, errors in found.items() if errors} == {}


# Elements that the app itself writes after </html> stand in the body for browsers, and so do ours behind them.
@pytest.mark.parametrize("document", [name for name, html in DOCUMENTS.items() if END in html and "Late" not in html])
def test_nothing_is_added_after_html_end_tag(document: str) -> None:
    last = DOCUMENTS[document].rpartition(END)[2]
    ends = {page.name: page.html.rpartition(END)[2] for page in make_pages(document)}
    assert {name: end for name, end in ends.items() if end != last} == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_body_holds_nothing_that_belongs_into_the_head(document: str) -> None:
    found = {}
    for page in make_pages(document):
        body = html5lib.parse(page.html, namespaceHTMLElements=False).find("body")
        found[page.name] = [element.tag for element in body.iter() if element.tag in ONLY_IN_HEAD]
    assert {name: tags for name, tags in found.items() if tags} == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_pages_have_question_message_and_link(document: str) -> None:
    marks = {"question": 'class="pchoice', "saved": "pchoice-status", "link": "pchoice-way-back"}
    assert [page.name for page in make_pages(document) if marks[page.visitor] not in page.html] == []
