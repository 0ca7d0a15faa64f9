"""What waits in templates is printed where its purposes are allowed, as a browser that runs scripts would show it."""

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.enforcement.printing import Printing

PURPOSES = {"necessary": True, "media": True, "ads": False}
ALLOWED = '<template data-purpose="media">'


def printed(page: str, *, sizes: int = 0) -> str:
    """Return a page after printing. With `sizes`, it arrives in pieces of as many bytes."""
    body, printing = page.encode(), Printing(PURPOSES)
    pieces = [body[at : at + sizes] for at in range(0, len(body), sizes)] if sizes else [body]
    sent = [printing.feed(piece, is_last=False) for piece in pieces]
    return b"".join([*sent, printing.feed(b"", is_last=True)]).decode()


def blank(tag: str) -> str:
    return " " * len(tag)


@pytest.mark.parametrize("sizes", [0, 1, 7], ids=["whole", "by byte", "in pieces"])
@pytest.mark.parametrize(
    "tag",
    [
        ALLOWED,
        "<TEMPLATE DATA-PURPOSE=media>",
        "<template id=a\ndata-purpose = 'media necessary' hidden>",
        '<template data-purpose="&#109;edia">',
        '<template data-purpose="media" data-purpose="ads">',
        "<template title='>' data-purpose=media />",
    ],
)
def test_allowed_template_is_printed(tag: str, sizes: int) -> None:
    page = f"<p>a</p>{tag}<iframe src='/map'></iframe></template ><p>b</p>"
    assert printed(page, sizes=sizes) == page.replace(tag, blank(tag)).replace("</template >", blank("</template >"))


@pytest.mark.parametrize("sizes", [0, 1, 7], ids=["whole", "by byte", "in pieces"])
@pytest.mark.parametrize(
    "page",
    [
        "<template><p>a</p></template>",
        '<template data-purpose="ads"><p>a</p></template>',
        '<template data-purpose="media ads"><p>a</p></template>',
        '<template data-purpose="media unknown"><p>a</p></template>',
        '<template data-purpose=""><p>a</p></template>',
        '<template data-purpose="ads" data-purpose="media"><p>a</p></template>',
        '<template data-purpose="media" shadowrootmode="open"><p>a</p></template>',
        '<template x-data-purpose="media"><p>a</p></template>',
        '<templates data-purpose="media"><p>a</p></templates>',
        f"<template>{ALLOWED}<p>a</p></template></template>",
        f"<!-- {ALLOWED}<p>a</p></template> -->",
        f"<!--->{'<p>a</p>'}<!-- - -- > {ALLOWED}</template> --!>",
        f"<script>let a = '{ALLOWED}</template>'</script>",
        f"<script><!-- <script> </script> {ALLOWED}</template> --></script>",
        f"<style>{ALLOWED}</template></style>",
        f"<textarea>{ALLOWED}</template></textarea>",
        f"<noscript>{ALLOWED}</template></noscript>",
        f"<plaintext>{ALLOWED}</template>",
        f"<p title='{ALLOWED}</template>'>",
        f"<? {ALLOWED[1:-1]} >",
        "a < b <",
        "</template>",
        "<template data-purpose='media",
    ],
)
def test_rest_of_page_stays_as_it_is(page: str, sizes: int) -> None:
    assert printed(page, sizes=sizes) == page


def test_templates_in_one_that_is_printed_are_decided_on_by_themselves() -> None:
    inner = '<template data-purpose="ads"><p>b</p></template>'
    page = f"{ALLOWED}<p>a</p>{inner}{ALLOWED}<p>c</p></template></template><p>d</p>"
    assert printed(page).split() == f"<p>a</p>{inner} <p>c</p> <p>d</p>".split()


def test_no_more_is_held_than_a_tag_may_need() -> None:
    printing, tag = Printing(PURPOSES), b"<template data-purpose='media' title='" + b"x" * 9000
    assert printing.feed(b"<img src='data:" + b"x" * 100, is_last=False)
    assert printing.feed(b"'>" + tag, is_last=False).endswith(tag)
    assert printing.feed(b"'></template>", is_last=False) == b"'></template>"


PIECES = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<!--",
            "-->",
            "<script>",
            "</script>",
            "<style>",
            "</style>",
            "<",
            ">",
            "'",
            '"',
            " ",
            "text",
        ),
        *("<template>", ALLOWED, '<template data-purpose="ads">', "</template>", "<div title='", "<b/>", "-", "!"),
    ]
)


@given(pieces=st.lists(PIECES, max_size=12), sizes=st.integers(1, 9))
def test_pieces_change_nothing(pieces: list[str], sizes: int) -> None:
    page = "".join(pieces)
    assert printed(page, sizes=sizes) == printed(page)
    assert len(printed(page)) == len(page)


@given(pieces=st.lists(PIECES, max_size=12))
def test_parser_sees_no_template_that_is_allowed(pieces: list[str]) -> None:
    """A parser that is not ours finds no template left for which a script would have something to do."""
    page = printed("<!doctype html><body>" + "".join(pieces))
    document = html5lib.parse(page, namespaceHTMLElements=False)
    inner = {each for outer in document.iter("template") for each in outer.iter("template") if each is not outer}
    assert not [each for each in document.iter("template") if each.get("data-purpose") == "media" and each not in inner]
