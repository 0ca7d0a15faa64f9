"""Property tests of injection into HTML: any document, split anywhere."""

import re
from typing import Any

import html5lib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cookie_consent.http.insert import Page, Pieces
from tests.support.examples import examples

PROBE = "<form id=probe></form>"
TAIL = "<p id=tail><a href=x>y</a></p>"

BEGINNINGS = [
    "<!doctype html>",
    "\ufeff<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN'>\n",
    "<!-- a --> <!doctype html>\n<html lang=en>",
    "<?xml version='1.0'?><!doctype html><!-- b --><HTML>",
    "<html>",
    "<head>",
]
HEADS = [
    *(" ", "\n", "<head>", "<HEAD\n>", "</head>", "</HEAD a='>'>", "<html>", "<html class='<body>'>"),
    *("<!-- <body> -->", "<!-->", "<!--->", "<!---->", "<!----!>", "<!--!>a--!>", "<!-- -- > -->", "<!--a-!>-->"),
    *("<!x>", "<!>", "<!->", "<?x?>", "</3>", "</>", "</ body>", "<![CDATA[<body>"),
    *("<meta a='>' b=\">\">", "<meta a= >", "<meta a=b/>", '<meta ="a>', '<meta a/="b>', "<meta a = '>' c>"),
    *("<meta a='b'=\"c>", "<meta a=\"b\"c='>'>", "<meta a=b'>", "<LINK a\n=\n'<body>'>", "<base/>", "<bgsound>"),
    *("<title>a<body></title>", "<TITLE></titles></tiTle >", "<title></title/a='>'>", "<title><!-- </title>"),
    *("<style>a>b{}<body></style>", "<style><!-- </STYLE\n>", "<noframes><body></noframes>"),
    *("<noscript><body></noscript>", "<NOSCRIPT><link></noscript >"),
    *("<script>'<body>'</script>", "<script>a<b</scripts></SCRIPT\t>", "<script a='</script>'></script a='>'>"),
    *("<script><!-- </script>", "<script><!-- <script> </script><body> --></script>", "<script><!--></script>"),
    *("<script><!-- <script> --> </script>", "<script><!--><script></script>", "<script><!---><script></script>"),
    *("<script><!-- <scripts></script>", "<script><!- <script></script>", "<script></</script>"),
    *("<SCRIPT><!--<SCRIPT/></SCRIPT><body></SCRIPT>", "<script>--><!-- <script </script>--></script>"),
    *("</div>", "</p a='>'>", "</title>", "</averyveryverylongname>"),
]
ANYWHERE_IN_HEADS = [head for head in HEADS if "noscript" not in head.lower()]
TEMPLATES = [
    "<template><body><div></template>",
    "<template><template></template><body></template>",
    "<TEMPLATE a='</template>'><script></template></script></TEMPLATE>",
    "<template><!-- </template> --><title></template></title>a < b</template>",
    "</template>",
]
BODIES = [
    *("<body>", "<BODY class=\">\" id='<p>'>", "<body/>", "<body\n>", "<body a=b'>", "<body ='a>"),
    *("<div>", "<p>", "text", "&nbsp;", "<", "<3", "</body>", "</html>", "</br>", "<averyverylongname>"),
    *("<metadata>", "<heads>", "<bodyx a='<body>'>", "<a b='>'>", "<input>", "é", "<noscript>a</noscript>"),
]
CONTENTS = ["<p>", "text", "</p>", "<body a=b>", "<title>t</title>", "<script></script>", " ", "<!-- c -->"]

splits = st.lists(st.integers(1, 40), max_size=60)


def documents(heads: list[str]) -> st.SearchStrategy[str]:
    pieces = (
        st.sampled_from(BEGINNINGS),
        st.lists(st.sampled_from(heads), max_size=8).map("".join),
        st.sampled_from(BODIES),
        st.lists(st.sampled_from(CONTENTS), max_size=4).map("".join),
    )
    return st.tuples(*pieces).map("".join)


def split(content: bytes, sizes: list[int]) -> list[bytes]:
    """Return the content in chunks of these sizes, and the rest."""
    chunks = []
    for size in sizes:
        chunks.append(content[:size])
        content = content[size:]
    return [*chunks, content]


def send_page(
    chunks: list[bytes], head: str = "", style: str = "", question: str = PROBE, link: str = ""
) -> list[bytes]:
    """Return what is sent after each chunk."""
    page = Page(lambda _: Pieces(head.encode(), style.encode(), question.encode(), link.encode()))
    return [page.feed(chunk, is_last=at == len(chunks)) for at, chunk in enumerate(chunks, 1)]


def injected(chunks: list[bytes], **pieces: str) -> bytes:
    return b"".join(send_page(chunks, **pieces))


@settings(deadline=None)
@given(documents([*HEADS, *TEMPLATES]), splits)
def test_fragment_occurs_once_for_any_split(document: str, sizes: list[int]) -> None:
    content = document.encode()
    whole = injected([content])
    assert whole.count(PROBE.encode()) == 1
    assert whole.replace(PROBE.encode(), b"") == content
    assert injected(split(content, sizes)) == whole
    assert injected(split(content, [1] * len(content))) == whole


def tree(node: Any) -> Any:
    """Return a parsed element as plain values. The tag of a comment is a function."""
    return node.tag, dict(node.attrib), node.text or "", [tree(child) for child in node], node.tail or ""


def parsed(document: str) -> Any:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    return parser.parse(document.removeprefix("\ufeff"), scripting=True)


@examples(300)
@given(documents(HEADS))
@pytest.mark.slow
def test_parser_finds_fragment_first_in_otherwise_unchanged_document(document: str) -> None:
    page = parsed(injected([document.encode()]).decode())
    body = page.find("body")
    probe = body[0]
    assert (probe.tag, probe.attrib, len(probe), probe.text) == ("form", {"id": "probe"}, 0, None)
    assert not body.text
    body.text = probe.tail
    body.remove(probe)
    assert tree(page) == tree(parsed(document))


# An unclosed link would end at the link in the tail, and an unfinished tag would swallow the tail.
@examples(300)
@given(documents(HEADS).filter(lambda document: not re.search("<a |<text", document)))
@pytest.mark.slow
def test_parser_finds_tail_last_in_otherwise_unchanged_document(document: str) -> None:
    page = parsed(injected([document.encode()], question="", link=TAIL).decode())
    parents = {child: parent for parent in page.iter() for child in parent}
    last = [element for element in page.find("body").iter() if isinstance(element.tag, str)][-2]
    assert (last.tag, last.attrib, last.text, last[0].attrib) == ("p", {"id": "tail"}, None, {"href": "x"})
    white = last.tail or ""  # white space after </body> belongs to the body
    assert not white.strip()
    before = [None, *parents[last]][[*parents[last]].index(last)]
    if before is None:
        parents[last].text = (parents[last].text or "") + white
    else:
        before.tail = (before.tail or "") + white
    parents[last].remove(last)
    assert tree(page) == tree(parsed(document))


pieces = st.sampled_from([*BEGINNINGS, *HEADS, *TEMPLATES, *BODIES, "<frameset>", "<plaintext>", "<textarea>"])
broken = st.tuples(pieces, st.integers(0, 40)).map(lambda drawn: drawn[0][: drawn[1]].encode())
END_OF_BODY = re.compile(rb"(?i)</(?:body|html)\s*(?:>(?:\s|</(?:body|html)\s*>|<!--.*?-->)*(?:<.*)?)?", re.DOTALL)
soup = st.lists(st.one_of(broken, st.binary(max_size=4)), max_size=12).map(b"".join)


@examples(300)
@given(st.sampled_from([b"", b"<html>", b"<!doctype html>"]), soup, splits)
@example(b"<html>", b"<body", [])
@example(b"", b"\xef\xbb", [1])
@example(b"<html>", b"<frameset>", [])
@pytest.mark.slow
def test_injection_loses_no_bytes(beginning: bytes, rest: bytes, sizes: list[int]) -> None:
    content = beginning + rest
    whole = injected([content])
    before, fragment, after = whole.partition(PROBE.encode())
    assert before + after == content
    assert not beginning or fragment or b"<frameset" in rest.lower()
    assert injected(split(content, sizes)) == whole


@settings(deadline=None)
@given(st.lists(st.sampled_from([*ANYWHERE_IN_HEADS, *TEMPLATES]), max_size=8))
def test_bytes_are_not_held_after_complete_tag(heads: list[str]) -> None:
    # Until the second element, a `<meta charset>` may come, also after white space.
    chunks = [head.encode() for head in ["<html><head>", "<title></title>", *heads, ""]]
    sent = send_page(chunks)
    assert b"".join(sent[:3]).startswith(b"".join(chunks[:2]))
    assert sent[3:-1] == chunks[3:-1]


@settings(deadline=None)
@given(st.sampled_from([b"", b"<html>", b"<!doctype html>"]), soup, splits, st.sampled_from([PROBE, ""]))
@example(b"<html>", b"<bo", [], "")
@example(b"<html>", b"<body>", [6], PROBE)
@example(b"<html>", b"<body></body>", [14], PROBE)
@example(b"<html><body>", b"</body></html></body>", [1] * 40, PROBE)
def test_link_is_added_only_to_pages_and_before_their_last_tags(
    beginning: bytes, rest: bytes, sizes: list[int], question: str
) -> None:
    content = beginning + rest
    without = injected([content], question=question)
    whole = injected([content], question=question, link=TAIL)
    before, link, after = whole.partition(TAIL.encode())
    assert before + after == without
    assert bool(link) is (PROBE.encode() in injected([content]))
    assert not after or END_OF_BODY.fullmatch(after)
    assert injected(split(content, sizes), question=question, link=TAIL) == whole
    assert injected(split(content, [1] * len(content)), question=question, link=TAIL) == whole


@settings(deadline=None)
@given(documents([*HEADS, *TEMPLATES]), splits, st.sampled_from([PROBE, ""]))
def test_head_and_style_come_once_and_in_their_order_for_any_split(
    document: str, sizes: list[int], question: str
) -> None:
    pieces = {"head": "<script data-head></script>", "style": "<style></style>", "question": question}
    data = document.encode()
    whole = injected([data], **pieces)
    assert injected(split(data, sizes), **pieces) == whole
    at = 0
    for piece in filter(None, pieces.values()):
        assert whole.count(piece.encode()) == 1
        at = whole.index(piece.encode(), at)
        data_without = whole.replace(piece.encode(), b"")
        whole = data_without
    assert whole == data
