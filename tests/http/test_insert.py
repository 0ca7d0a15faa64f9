"""Tests of where our markup goes in a page: the places, any split of the bytes, and what is held."""

import pytest

from cookie_consent.http.insert import Page, Pieces, Places, find_encoding, find_end, find_places

PIECES = Pieces(b"<script data-head></script>", b"<style></style>", b"<form id=probe></form>", b"<p>link</p>")
QUESTION = Pieces(b"", b"", PIECES.question, b"")
LIMIT = 262_144


def send_page(chunks: list[bytes], pieces: Pieces) -> list[bytes]:
    """Return what is sent after each chunk, and at the end."""
    page = Page(lambda _: pieces)
    sent = [page.feed(chunk, is_last=False) for chunk in chunks]
    return [*sent, page.feed(b"", is_last=True)]


def insert(document: bytes, pieces: Pieces) -> bytes:
    """Return a document with the pieces, which is the same if it comes whole, in any two chunks or byte by byte."""
    whole = Page(lambda _: pieces).feed(document, is_last=True)
    for at in range(len(document)):
        assert b"".join(send_page([document[:at], document[at:]], pieces)) == whole
    assert b"".join(send_page([document[at : at + 1] for at in range(len(document))], pieces)) == whole
    return whole


# In these documents "|" is where the question belongs.

BODY_TAGS = [
    "<!doctype html><html><head><title>t</title></head><body>|<p>text</body></html>",
    "<!DOCTYPE HTML>\r\n<HTML>\r\n<HEAD>\r\n</HEAD>\r\n<BODY\nCLASS='x'>|\r\n</BODY>",
    "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0//EN' \"x\"><html><body>|",
    "<html><body>|",
    "<head></head><body>|",
    "<body>|",
    "<body class=a>|<p>",
    "<body/>|<p>",
    "\ufeff<!doctype html><body>|",
    " \n\t<!-- a --><!-- b --><!doctype html><body>|",
    "<?xml version='1.0'?><!doctype html><body>|",
    "<!doctype html><!doctype svg><body>|",
    "<!doctypehtml><body>|",
    "<!doctype html><body>|<body>",
    "<!doctype html><html><html><head><head></head></head></head><body>|",
    "<!doctype html></p></title></averyveryveryverylongname a='>'><body>|",
    "<html\n><body>|",
]
BODY_TAGS_THAT_DO_NOT_COUNT = [
    "<!doctype html><!-- <body> --><body>|",
    "<!doctype html><title><body></title><body>|",
    "<!doctype html><style><body></style><body>|",
    "<!doctype html><script>'<body>'</script><body>|",
    "<!doctype html><noscript><body></noscript><body>|",
    "<!doctype html><noframes><body></noframes><body>|",
    "<!doctype html><template><body></template><body>|",
    "<!doctype html><meta content='<body>'><body>|",
    "<!doctype html><html data-x='<body>'><body>|",
    "<!doctype html><?<body><body>|",
    "<!doctype html><![CDATA[<body>|]]>",
]
NO_BODY_TAG = [
    "<!doctype html><title>t</title>\n|<p>text",
    "<!doctype html>\n|text",
    "<!doctype html>|&nbsp;",
    "<!doctype html>|<",
    "<!doctype html>|<3",
    "<!doctype html>|\ufeff<title>t</title>",
    "<!doctype html>|\0",
    "<!doctype html>|\x0b",
    "<!doctype html></head>|text",
    "<!doctype html>|<h1>t</h1>",
    "<!doctype html>|<bodyx>",
    "<!doctype html>|<averyveryveryverylongname>",
    "<!doctype html><head></head>|</body></html>",
    "<!doctype html><head></head>|</html>",
    "<!doctype html>|</br>",
    "<!doctype html><base><basefont><bgsound><link><meta>|<hr>",
    "<!doctype html><BASE/><LINK\n/><Meta a>|<hr>",
    "<!doctype html><head></head><base><link><meta><title></title><script></script><style></style>|<p>",
    "<!doctype html><head></head><noframes><p></noframes><template><p></template>|<p>",
    "<!doctype html><head></head>|<noscript></noscript><body>",
    "<!doctype html><head><title>t</title></head>\n<!-- c -->\n|<noscript></noscript>",
]
COMMENTS = [
    "<!doctype html><!--><body>|-->",
    "<!doctype html><!---><body>|-->",
    "<!doctype html><!----><body>|",
    "<!doctype html><!-----><body>|",
    "<!doctype html><!-- a --!><body>|",
    "<!doctype html><!----!><body>|",
    "<!doctype html><!--!><body>--><body>|",
    "<!doctype html><!---!><body>--><body>|",
    "<!doctype html><!-- -- > - -> --!- <body> ---><body>|",
    "<!doctype html><!-- <!-- --><body>|-->",
    "<!doctype html><!x><body>|",
    "<!doctype html><!><body>|",
    "<!doctype html><!-><body>|",
    "<!doctype html><!-x -- ><body>|",
    "<!doctype html><?x -- ?><body>|",
    "<!doctype html></3 a='><body>|'>",
    "<!doctype html></ body><body>|",
    "<!doctype html></><body>|",
]
ATTRIBUTES = [
    "<!doctype html><body class='>' id=\">\">|",
    "<!doctype html><body data-a = '>'>|",
    '<!doctype html><body data-a\n=\n">" b>|',
    "<!doctype html><body data-a=x'>|'>",
    "<!doctype html><body data-a=\">\"data-b='>'>|",
    "<!doctype html><body data-a='\">'>|",
    "<!doctype html><body data-a=>|",
    "<!doctype html><body data-a= >|",
    "<!doctype html><body data-a=/>|",
    "<!doctype html><body ='>|'>",
    "<!doctype html><body data-a='b'='>|'>",
    "<!doctype html><body data-a/='>|'>",
    "<!doctype html><body data-a /b ='>'>|",
    "<!doctype html><body '>|'>",
    "<!doctype html><body data-a'>|'>",
    "<!doctype html><body/data-a='>'/>|",
    "<!doctype html><body a b = c d=e f>|",
    "<!doctype html><meta a='>' b><body>|",
    "<!doctype html><title a='>'><body></title b='>'><body>|",
]
SCRIPTS = [
    "<!doctype html><script>a</scripts></script ><body>|",
    "<!doctype html><script>a<b</scrip></SCRIPT/><body>|",
    "<!doctype html><script></</script\n><body>|",
    "<!doctype html><script src='</script>'><body></script a='>'><body>|",
    "<!doctype html><script><!-- </script><body>|",
    "<!doctype html><script><!-- --> </script><body>|",
    "<!doctype html><script><!-- <script> </script><body> --></script><body>|",
    "<!doctype html><SCRIPT><!-- <SCRIPT/> </SCRIPT\t> <body></SCRIPT><body>|",
    "<!doctype html><script><!-- <script> --> <script></script><body>|",
    "<!doctype html><script><!-- <scripts> </script><body>|",
    "<!doctype html><script><!--> <script> </script><body>|",
    "<!doctype html><script><!---> <script> </script><body>|",
    "<!doctype html><script><!- <script> </script><body>|",
    "<!doctype html><script>--> <!-- <script </script>--!></script><body>|",
    "<!doctype html><script><!-- <script></script <body></script><body>|",
]
RAW_TEXTS = [
    "<!doctype html><title></titles></titl></title\n><body>|",
    "<!doctype html><title><!-- </title><body>|",
    "<!doctype html><title><script></title><body>|",
    "<!doctype html><style>a>b{}</styles></STYLE><body>|",
    "<!doctype html><style><!-- </style><body>|",
    "<!doctype html><noscript><img></noscript/><body>|",
]
TEMPLATES = [
    "<!doctype html><template><p>a < b</template><body>|",
    "<!doctype html><template><template></template><body></template><body>|",
    "<!doctype html><TEMPLATE a='</template>'></TEMPLATE><body>|",
    "<!doctype html><template><!-- </template> --></template><body>|",
    "<!doctype html><template><script></template></script></template><body>|",
    "<!doctype html><template><textarea><template></textarea><xmp><template></xmp></template><body>|",
    "<!doctype html><template><iframe><template></iframe><noembed><template></noembed></template><body>|",
    "<!doctype html><template><title><template></title><style><template></style></template><body>|",
    "<!doctype html><template></head><noscript></template></noscript></template><noscript></noscript><body>|",
    "<!doctype html></head><template></template>|<noscript></noscript>",
    "<!doctype html></template><body>|<p>",
]
NO_BODY = [
    "<!doctype html>|",
    "<!doctype html>\n<html lang=en>\n<head><title>t</title></head>\n|",
    "<!doctype html><!-- a -->\n|",
    "<!doctype html>|<script>a</script",
    "<!doctype html><title>t</title>|<script><!-- <script>a</script>",
    "<html>|<!-- a <body> --",
    "<html>|<template><body>",
    "<html>|<template><plaintext></template><body>x",
    "<html>|<body class='",
    "<!doctype html><html><head></head>|<style>a</head><body>",
    "<!doctype html><head>|<noscript><p>a</head><body>",
    "<!doctype html>|<!-- a",
    "<!doctype html>|<html lang=",
    "<!doctype html>|<",
    "<html>|</bod",
    "<html>|<tit",
]
OPEN_TITLES = [
    "<html>|<template><template></template><title>a</template>",
    "<!doctype html><html lang=en><head><meta charset=utf-8>|<title>a</titles><body><p>text</body></html>",
    "<html>|<title>a</title",
]
DOCUMENTS = [
    *(BODY_TAGS + BODY_TAGS_THAT_DO_NOT_COUNT + NO_BODY_TAG + NO_BODY + OPEN_TITLES),
    *(COMMENTS + ATTRIBUTES + SCRIPTS + RAW_TEXTS + TEMPLATES),
]


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *(document.replace("<!doctype html>", "<!doctype html><html>") for document in NO_BODY_TAG)],
)
def test_question_comes_first_in_body_or_last_in_page_without_one(document: str) -> None:
    before, after = document.encode().split(b"|")
    assert insert(before + after, QUESTION) == before + QUESTION.question + after


@pytest.mark.parametrize(
    "page",
    [
        "<html><head><title>a</title>|</head><body>b",
        "<html><head><title>a</title>\n|</HEAD >\n<script></script><body>b",
        "<html><head><title>a</title>|<body>b",
        "<html><title>a</title>|<p>b",
        "<html><head>|</head></head><body>b",
        "<html><head><noscript></noscript>|</head><noscript></noscript>",
        "<html>|<body>",
        "<html><title>a</title>|<title>",
        "<!doctype html>|",
    ],
)
def test_style_comes_last_in_head(page: str) -> None:
    before, after = page.encode().split(b"|")
    style = Pieces(b"", b"<style></style>", b"", b"")
    assert insert(before + after, style) == before + style.style + after


HEADS = [
    (b"<!doctype html><html lang=en><head>", b"<title>x</title></head><body>", b"<p>hi</body></html>"),
    (b"<!doctype html>\n<html>\n<head prefix='a>b'>\n<meta charset=\"utf-8\">", b"\n<title>x</title><body>", b"hi"),
    (b"<!doctype html><html><!-- > --><head ><META CHARSET=utf-8 >", b"<script>1</script></head><body>", b""),
    (b"<html><head>", b"<meta name=x content='charset='><meta charset=utf-8><body>", b""),
    (b"<html><head>", b"<!-- <head> --><meta charset=utf-8>", b""),
    (b"<html>", b"<title>x</title>", b"<p>hi"),
    (b"<html>", b"", b"<header>hi"),
    (b"<html>", b"<body class=x>", b"hi"),
    (b"<html>", b"", b"text"),
    (b"<!doctype html>", b"<title>x</title>", b"<p>hi"),
    (b"<!doctype html>", b"", b"text"),
    (b"<head>", b"<title>x</title></head>", b"text"),
    (b"", b"<body>", b"hi"),
    (b"<html><head>", b"", b""),
    (b"<html>", b"", b""),
    (b"<!doctype html>", b"", b""),
]
"""Beginning of a page up to its head's content -> up to its body's content -> the rest."""


@pytest.mark.parametrize(("before", "head", "rest"), HEADS)
@pytest.mark.parametrize("question", [b"", b"<aside></aside>"])
def test_script_for_vendors_comes_first_in_head(before: bytes, head: bytes, rest: bytes, question: bytes) -> None:
    pieces = Pieces(b"<script></script>", b"", question, b"")
    assert insert(before + head + rest, pieces) == before + b"<script></script>" + head + question + rest


@pytest.mark.parametrize(
    "page",
    [
        "",
        " \n",
        "text",
        "<",
        "<p>text</p>",
        "<tr><td>row</td></tr>",
        "<title>t</title><body>",
        '{"html": "<html><body>"}',
        "</head><body>",
        "\ufeff",
        "\ufefftext",
        "\ufeff\ufeff<html><body>",
        "<!-- a --><p>",
        "<!-- <html><body>",
        "<!doctype><html><body>",
        "<!doctype svg><html><body>",
        "<!doctype htmlx><html><body>",
        "<!doctype html",
        "<html",
        "<html lang='>",
        "<htmlx><body>",
        "<header><body>",
        "<!doctype html><frameset><frame></frameset><body>",
    ],
)
def test_part_of_a_page_is_unchanged(page: str) -> None:
    assert insert(page.encode(), PIECES) == page.encode()


def test_later_frameset_is_unchanged_but_for_spaces_in_place_of_markup() -> None:
    sent = send_page([b"<html><head>", b"</head>", b"<frameset><frame>", b"</frameset></html>"], PIECES)
    spaces = b" " * len(PIECES.question + PIECES.link)
    assert b"".join(sent).replace(spaces, b"") == (
        b"<html><head>%b%b</head><frameset><frame></frameset></html>" % (PIECES.head, PIECES.style)
    )


@pytest.mark.parametrize(
    ("end", "is_all", "at"),
    [
        ("</body></html>", True, 0),
        ("</body>\n</html>\n", False, 0),
        ("</body></BODY></html>", True, 7),
        ("</html></body>", True, 0),
        ("</body></html></BODY>", True, 7),
        ("</body><!-- a --></HTML>", True, 0),
        ("</body>a</html>", True, 8),
        ("</body>a</html>b", True, 16),
        ("</body>a</html>b<", False, 16),
        ("</body>" + " " * 100 + "</html>", True, 0),
        ("</body></html", True, 0),
    ],
)
def test_end_of_a_page_is_the_first_of_its_last_tags(end: str, is_all: bool, at: int) -> None:
    for page in (end.encode(), b"<p>a</p></body>" + b"a" * 3000 + end.encode()):
        for _ in range(2):
            assert find_end(page, is_all=is_all) == len(page) - len(end) + at


@pytest.mark.parametrize(
    ("page", "language"),
    [
        ("<html lang=ja>", "ja"),
        ("<html lang='ja'>", "ja"),
        ('<!doctype html>\n<html class="a" lang="en-GB" dir=ltr>', "en-GB"),
        ("<!doctype html><!-- a --> <HTML LANG = ja>", "ja"),
        ("<html lang=ja lang=en>", "ja"),
        ("<html data-x=' lang=en' lang=ja>", "ja"),
        ("<html data-lang=en xml:lang=en langs=en hidden/lang=ja/>", "ja/"),
        ("<html a= b c ='d'lang=ja>", "ja"),
        ("<!doctype html><html lang=ja>", "ja"),
        ("<html lang='\u65e5'>", "\u65e5"),
        ("<html>", ""),
        ("<html lang>", ""),
        ("<html lang=''>", ""),
        ("<html lang hidden>", ""),
        ("<html data-x=' lang=en'>", ""),
        ("<!doctype html><html class=a>", ""),
        ("<!doctype html><head lang=ja>", ""),
        ("<!doctype html><p><html lang=ja>", ""),
        ("<!doctype html>", ""),
        ("<head><html lang=ja>", ""),
        ("<body lang=ja>", ""),
    ],
)
def test_language_is_that_of_html_tag(page: str, language: str) -> None:
    places = find_places(page.encode(), is_all=True)
    assert places.language == language


def test_markup_is_made_once() -> None:
    seen: list[str] = []

    def render(places: Places) -> Pieces:
        seen.append(places.language)
        return PIECES

    page = Page(render)
    for chunk in (b"<html la", b"ng=ja>", b"<head></head>", b"<body>", b"</body>"):
        page.feed(chunk, is_last=False)
    assert seen == ["ja"]
    assert page.pieces is PIECES


# In these pages "|" is where the link belongs.


@pytest.mark.parametrize(
    "end",
    [
        "x|</body></html>",
        "|</BODY\n></HTML >\r\n",
        "|</body>",
        "</body>|</body></html>",
        "<p>It ends with </body>, they say.</p>|</body></html>",
        "<script>let end = '</body>'</script>|</body><!-- 3 - 4 ms --></html><!--- --->\n",
        f"<!-- a -->|</body></html>{' ' * 2000}",
        "x|</html>",
        "x</body></html><p>more|",
        "x</body><script src=x></script>|</html>",
        "x</body class=last>|</html>",
        "x</bodyguard>|</html>",
        "x|</body></html><!-- never closed",
        "<!-- x </body> -->|",
        f"x</body></html>{' ' * 3000}|",
        "|",
        "x|</html></body>",
    ],
)
def test_link_comes_before_end_tags(end: str) -> None:
    before, after = f"<html><body>{end}".encode().split(b"|")
    link = Pieces(b"", b"", b"", PIECES.link)
    assert insert(before + after, link) == before + link.link + after


@pytest.mark.parametrize(
    ("chunks", "sent"),
    [
        (["<!doctype html>", "<html>"], ["", ""]),
        (["<!doctype html><!-- a -->", "<head>", "<title>"], ["", "", "<!doctype html><!-- a --><head>"]),
        (["<html><head>", "<title>", "a", "</title>"], ["", "<html><head>", "", "<title>a</title>"]),
        (["<html><head><!-- a --> ", "<base>"], ["<html><head><!-- a --> ", "<base>"]),
        (["<html><head><script>a", "</script", ">b"], ["<html><head>", "", "<script>a</script>QUESTIONb"]),
        (["<html><head></head>", "<bo", "dy>", "<p>"], ["<html><head></head>", "", "<body>QUESTION", "<p>"]),
        (["<html><head></head>", "<bold>"], ["<html><head></head>", "QUESTION<bold>"]),
        (["<html><body>", "<p>", "</bo", "ld>"], ["<html><body>QUESTION", "<p>", "</bo", "ld>"]),
    ],
)
def test_bytes_are_sent_as_soon_as_the_places_before_them_are_known(chunks: list[str], sent: list[str]) -> None:
    out = send_page([chunk.encode() for chunk in chunks], QUESTION)[:-1]
    assert [part.replace(QUESTION.question, b"QUESTION").decode() for part in out] == sent


def test_last_tags_wait_for_the_end_of_the_page() -> None:
    sent = send_page([b"<html><body>a", b"b</bo", b"dy>", b"</html>", b"\n"], Pieces(b"", b"", b"", b"LINK"))
    assert sent == [b"<html><body>a", b"b", b"", b"", b"", b"LINK</body></html>\n"]


@pytest.mark.parametrize(
    "opening", ["<script>", "<script><!-- ", "<style>", "<title>", "<!-- ", "<meta a='", "<template>"]
)
def test_no_more_is_held_than_a_limit(opening: str) -> None:
    page = Page(lambda _: QUESTION)
    held = b"<html><head>" + opening.encode() + b" " * (LIMIT - 100)
    assert page.feed(held, is_last=False) in (b"", b"<html><head>")
    assert page.feed(b" " * 200, is_last=False).endswith(QUESTION.question + opening.encode() + b" " * (LIMIT + 100))
    assert page.feed(b"<body>", is_last=False) == b"<body>"


@pytest.mark.parametrize(
    "part",
    [
        *("<!-- a", "<script>", "<script><!--", "<script><!--<script>", "<title>", "<template>", "<template><p a='"),
        *("<meta a='", '<script =" ', "<script></script ='", "</p a='", "<meta a", "<template><template></template"),
        *("<script><!-- </script", "</head>", "<script>-", "<!---", "\n<", "<noscript>", "</html", "</body><!--"),
    ],
)
def test_page_whose_tags_never_end_is_read_in_linear_time(part: str) -> None:
    # A pattern that tries again and again would take hours.
    page = b"<html><head>" + part.encode() * 100_000
    assert len(Page(lambda _: PIECES).feed(page, is_last=True)) == len(page) + sum(map(len, PIECES))


def test_rest_is_released_without_markup_or_with_spaces_of_its_length() -> None:
    for pads in (True, False):
        page = Page(lambda _: PIECES)
        page.feed(b"<html><head></head><bo", is_last=False)
        assert page.release(pads=pads) == b"<bo" + b" " * (len(PIECES.question + PIECES.link) if pads else 0)
        assert page.feed(b"dy>", is_last=True) == b"dy>"
    page = Page(lambda _: PIECES)
    assert page.feed(b"<ht", is_last=False) == b""
    assert page.release(pads=True) == b"<ht"


def test_body_may_be_memoryview() -> None:
    view = memoryview(b"<body>")
    assert Page(lambda _: QUESTION).feed(view, is_last=True) == b"<body>" + QUESTION.question


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/html", "ascii"),
        ("text/html; charset=utf-8", "utf-8"),
        (" Text/HTML ;CHARSET=UTF-8 ", "utf-8"),
        ('text/html; charset="utf8"', "utf-8"),
        ("text/html; charset=utf-8; charset=utf-16", "utf-8"),
        ('text/html; a="; charset=utf-16"; charset=utf-8', "utf-8"),
        ("text/html;charset", "ascii"),
        ("text/html;charset=", "ascii"),
        ("text/html; boundary=utf-16", "ascii"),
        ("text/html; charset=iso-8859-1", "ascii"),
        ("text/html; charset=windows-1252", "ascii"),
        ("text/html; charset=Shift_JIS", "ascii"),
        ("text/html; charset=euc-jp", "ascii"),
        ("text/html; charset=gb18030", "ascii"),
        ("text/html; charset=utf-16", None),
        ("text/html; charset=utf-16le", None),
        ("text/html; charset=utf-32", None),
        ("text/html; charset=utf-7", None),
        ("text/html; charset=iso-2022-jp", None),
        ("text/html; charset=hz-gb-2312", None),
        ("text/html; charset=cp037", None),
        ("text/html; charset=rot13", None),
        ("text/html; charset=nonsense", None),
        ("text/html; charset=\u00fc\0", None),
        ("application/xhtml+xml; charset=utf-8", None),
        ("text/htmlx", None),
        ("text/html, text/html", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_encoding_follows_content_type(content_type: str, encoding: str | None) -> None:
    assert find_encoding(content_type.encode("latin-1")) == encoding
