"""Property tests of injection into HTML: any document, split anywhere."""

import asyncio
import re
from typing import Any

import html5lib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cookie_consent.base.html.document import Document
from cookie_consent.base.html.injection import Injection, Message
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


def inject(chunks: list[bytes], length: int, fragment: str = PROBE, tail: str = "") -> list[Message]:
    messages: list[Message] = []

    async def server(message: Message) -> None:
        messages.append(message)

    async def app() -> None:
        injection = Injection(server, lambda *_: fragment.encode(), tail.encode)
        headers = [(b"content-length", b"%d" % length)]
        await injection.send({"type": "http.response.start", "status": 200, "headers": headers})
        for at, chunk in enumerate(chunks, 1):
            more = at < len(chunks)
            await injection.send({"type": "http.response.body", "body": chunk, "more_body": more})
        await injection.finish()

    asyncio.run(app())
    return messages


def injected(chunks: list[bytes], fragment: str = PROBE, tail: str = "") -> bytes:
    """Return the body that is sent. Check its announced length, and that only the last message ends it."""
    start, *bodies = inject(chunks, sum(map(len, chunks)), fragment, tail)
    content = b"".join(message["body"] for message in bodies)
    assert start["headers"] == [(b"content-length", b"%d" % len(content))]
    assert [message["more_body"] for message in bodies] == [True] * (len(bodies) - 1) + [False]
    return content


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
    page = parsed(injected([document.encode()], "", TAIL).decode())
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
END_OF_BODY = re.compile(rb"(?i)</body\s*>(?:\s|</html\s*>|<!--.*?-->)*", re.DOTALL)
OPEN_TEXT = re.compile(rb"<(title|textarea)(?!.*</\1[\s/>]).*", re.IGNORECASE | re.DOTALL)
soup = st.lists(st.one_of(broken, st.binary(max_size=4)), max_size=12).map(b"".join)


@examples(300)
@given(st.sampled_from([b"", b"<html>", b"<!doctype html>"]), soup, splits)
@example(b"<html>", b"<body", [])
@example(b"", b"\xef\xbb", [1])
@pytest.mark.slow
def test_injection_loses_no_bytes(beginning: bytes, rest: bytes, sizes: list[int]) -> None:
    content = beginning + rest
    whole = injected([content])
    before, fragment, after = whole.partition(PROBE.encode())
    assert before + after == content
    assert not beginning or fragment
    assert injected(split(content, sizes)) == whole


@settings(deadline=None)
@given(st.lists(st.sampled_from([*ANYWHERE_IN_HEADS, *TEMPLATES]), max_size=8))
def test_bytes_are_not_held_after_complete_tag(heads: list[str]) -> None:
    chunks = [head.encode() for head in ["<html>", *heads]]
    messages = inject([*chunks, b""], 0)
    assert [message["body"] for message in messages[1:]] == [*chunks, PROBE.encode()]


@settings(deadline=None)
@given(st.sampled_from([b"", b"<html>", b"<!doctype html>"]), soup, splits, st.sampled_from([PROBE, ""]))
@example(b"<html>", b"<bo", [], "")
@example(b"<html>", b"<body>", [6], PROBE)
@example(b"<html>", b"<body></body>", [14], PROBE)
def test_tail_is_added_only_to_documents(beginning: bytes, rest: bytes, sizes: list[int], fragment: str) -> None:
    content = beginning + rest
    whole, without = injected([content], fragment, TAIL), injected([content], fragment)
    is_document = PROBE.encode() in injected([content])
    for page in (whole, injected(split(content, sizes), fragment, TAIL)):
        before, tail, after = page.partition(TAIL.encode())
        assert before + after == without
        assert bool(tail) is is_document
        assert not after or END_OF_BODY.fullmatch(after) or OPEN_TEXT.fullmatch(after)


@settings(deadline=None)
@given(documents([*HEADS, *TEMPLATES]), splits, st.sampled_from([PROBE, ""]))
def test_head_comes_once_and_at_the_same_place_for_any_split(document: str, sizes: list[int], fragment: str) -> None:
    head, data = b"<script data-first></script>", document.encode()

    def sent(sizes: list[int], first: bytes) -> bytes:
        parser = Document(lambda *_: fragment.encode(), lambda: first)
        return b"".join([parser.feed(chunk) for chunk in split(data, sizes)]) + parser.close()

    whole, plain = sent([], head), sent([], b"")
    assert sent(sizes, head) == whole
    assert whole.replace(head, b"") == plain
    assert whole.count(head) == 1
    assert whole.startswith(data[: whole.index(head)])  # before the fragment
