"""Tests of what a document loads from other hosts, found in its HTML."""

from __future__ import annotations

import html5lib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cookie_consent.http.foreign_hosts import find_loads
from cookie_consent.http.insert import read_attributes

URL = "https://a.example/x"


def found(html: str) -> list[tuple[str, str, str, str]]:
    return [(it.element, it.attribute, it.address, it.directive) for it in find_loads(html.encode())]


@pytest.mark.parametrize(
    ("html", "load"),
    [
        (f'<script async src="{URL}?id=1"></script>', ("script", "src", f"{URL}?...", "script")),
        (f"<SCRIPT\nTYPE=Module SRC='{URL}'></SCRIPT>", ("script", "src", URL, "script")),
        (f"<script type=text/javascript src={URL}></script>", ("script", "src", URL, "script")),
        (f"<iframe src={URL}></iframe>", ("iframe", "src", URL, "frame")),
        (f'<img alt=">" src="{URL}">', ("img", "src", URL, "img")),
        (f'<img srcset="{URL} 1x, /b 2x">', ("img", "srcset", URL, "img")),
        ("<img src=//a.example/x>", ("img", "src", "//a.example/x", "img")),
        (f'<noscript><img src="{URL}"></noscript>', ("img", "src", URL, "img")),
        (f'<link href="{URL}" rel="preload stylesheet">', ("link", "href", URL, "style")),
        (f'<link rel=icon href="{URL}">', ("link", "href", URL, "img")),
        (f'<style>@import url("{URL}");</style>', ("style", "@import", URL, "style")),
        (f'<style>p {{}} @import "{URL}"</style>', ("style", "@import", URL, "style")),
        (f"<script>s.src='{URL}.js?id='+i</script>", ("script", "", f"{URL}.js?...", "script")),
        (f'<script type=module>import "{URL}.js"</script>', ("script", "", f"{URL}.js", "script")),
        (f'<form method=post action="{URL}">', ("form", "action", URL, "form")),
        (f'<video poster="{URL}">', ("video", "poster", URL, "media")),
        (f'<object data="{URL}">', ("object", "data", URL, "object")),
        (f'<embed src="{URL}">', ("embed", "src", URL, "object")),
        (f'<!--> <img src="{URL}"> -->', ("img", "src", URL, "img")),
        (f"<template></template><img src={URL}>", ("img", "src", URL, "img")),
    ],
)
def test_what_a_document_loads_is_found(html: str, load: tuple[str, str, str, str]) -> None:
    assert found(f"<!doctype html><html><body>{html}</body></html>") == [load]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="/own.js"></script>',
        f'<script type="text/plain" data-purpose="a" src="{URL}"></script>',
        f'<script type="text/plain" data-purpose="a" data-src="{URL}"></script>',
        f'<script type="application/json" src="{URL}"></script>',
        f"<script>write('<img src=\"{URL}\">')</script>",
        f'<script><!-- <script> <img src="{URL}"> </script> --></script>',
        f'<iframe data-purpose="a" data-src="{URL}"></iframe>',
        f'<iframe><img src="{URL}"></iframe>',
        f'<a href="{URL}">',
        f'<link rel="canonical" href="{URL}">',
        f'<link href="{URL}">',
        f'<!-- <img src="{URL}"> -->',
        f'<template><img src="{URL}"><template></template><style>@import "{URL}"</style></template>',
        f'<textarea><img src="{URL}"></textarea>',
        f'<title><img src="{URL}"></title>',
        f'<p title="<img src={URL}>">',
        f'<img src="data:image/svg+xml,{URL}">',
        '<img src="https:///x">',
        f'<img src="https://{"a" * 257}/">',
        f'<img src="{URL}',
        f'<img data-x="src={URL}">',
        f'<script type="text/plain" data-purpose="a">s.src="{URL}.js"</script>',
        f'<script type="application/ld+json">{{"url": "{URL}.js"}}</script>',
        f'<script>let page = "{URL}"; let sentence = "see {URL}.js"</script>',
        f'<script src="/own.js">"{URL}.js"</script>',
        f'<template><script>s.src="{URL}.js"</script></template>',
        f'<a b="x" <img src="{URL}"',
        f'<!x <img src="{URL}">',
    ],
)
def test_what_waits_or_is_no_load_is_not_found(html: str) -> None:
    assert found(html) == []


@pytest.mark.parametrize(
    "html",
    [
        "<script>" + "'//a.js" * 30_000 + "</script>",
        *('<a b="x" <a b=' * 20_000, "<script src=//a.example <img " * 10_000, "</a b='x' " * 30_000, "<!" * 120_000),
        f"<style>@import {' ' * 250_000};</style>",
        f"<script type='{' ' * 125_000}{'script ' * 18_000}x' src=//a.example></script>",
    ],
    ids=["script", "tags", "elements", "ends", "comments", "import", "type"],
)
def test_documents_with_parts_that_never_end_are_read_once(html: str) -> None:
    assert found(html) == []


def test_first_of_two_attributes_counts() -> None:
    assert read_attributes(b' src=1 SRC="2" async data-x = \'3\' empty="">') == {
        b"src": b"1",
        b"async": b"",
        b"data-x": b"3",
        b"empty": b"",
    }


PIECES = st.sampled_from(
    [
        *("<img src=//h/{}>", '<img src="//h/{}" alt=">">', "<iframe src='//h/{}'></iframe>", "<hr>", "</i>", "a < b"),
        *("<script src=//h/{}></script>", "<script><img src=//h/{}></script>", "<!-- <img src=//h/{}> -->", "<!-->"),
        *("<template><img src=//h/{}></template>", "<template>", "</template>", "</textarea>", "<!--", "-->"),
        *("<style><img src=//h/{}></style>", "<textarea><img src=//h/{}></textarea>", "<script><!-- <script></script>"),
        *("<b title='<img src=//h/{}>'>", "<img title=<img/src=//h/{}>", "</script>", '"', "'", "<img src=//h/{}"),
    ]
)


def loaded(element: html5lib.treebuilders.etree_lxml.Element) -> list[str]:
    """Return the addresses that an element and those in it load, in the order of the tree."""
    if element.tag == "template":
        return []
    own = [element.get("src")] if element.tag in ("img", "iframe", "script") and element.get("src") else []
    return own + [address for child in element if isinstance(child.tag, str) for address in loaded(child)]


@given(st.lists(PIECES, max_size=12))
@example(["<img src=//h/{}", '"', "<img src=//h/{}>"])
def test_the_same_is_found_as_by_a_parser_of_html(pieces: list[str]) -> None:
    body = "".join(piece.replace("{}", str(number)) for number, piece in enumerate(pieces))
    html = f"<!doctype html><html><head></head><body>{body}"
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    in_a_log = [address.replace('"', "'") for address in loaded(tree)]
    assert sorted(address for _, _, address, _ in found(html)) == sorted(in_a_log)
