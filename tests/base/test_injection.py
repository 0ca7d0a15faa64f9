"""Tests of injection into HTML: the places of fragment and tail, streaming, header fields and ASGI messages."""

import asyncio
import re
from collections.abc import Iterable, Sequence

import pytest

from cookie_consent.base.html.document import Document
from cookie_consent.base.html.injection import Injection, Message, injectable

PROBE = "<form id=probe></form>"
HTML = (b"content-type", b"text/html; charset=utf-8")
LIMIT = 65536


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": [HTML, *headers]}


def body(content: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def stream(chunks: Sequence[bytes], *headers: tuple[bytes, bytes]) -> list[Message]:
    return [start(*headers), *(body(chunk, True) for chunk in chunks), body(b"")]


def sent_after_each(
    messages: Iterable[Message], fragment: str = PROBE, finish: bool = True, tail: str = ""
) -> list[list[Message]]:
    """Return what the server got after each message, and at last when the response was finished."""
    steps: list[list[Message]] = []

    async def server(message: Message) -> None:
        steps[-1].append(message)

    async def app() -> None:
        injection = Injection(server, lambda *_: fragment.encode(), tail.encode)
        for message in messages:
            steps.append([])
            await injection.send(message)
        steps.append([])
        if finish:
            await injection.finish()

    asyncio.run(app())
    return steps


def sent(messages: Iterable[Message], fragment: str = PROBE, *, tail: str = "") -> list[Message]:
    return [message for step in sent_after_each(messages, fragment, tail=tail) for message in step]


def content(messages: Iterable[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)


def sent_after_chunks(*chunks: bytes) -> list[bytes]:
    return [content(step) for step in sent_after_each(stream(chunks))[1 : len(chunks) + 1]]


def languages_asked_for(*chunks: bytes) -> list[str | None]:
    languages: list[str | None] = []

    def fragment(language: str | None, _: bytes) -> bytes:
        languages.append(language)
        return PROBE.encode()

    async def server(_: Message) -> None:
        pass

    async def app() -> None:
        injection = Injection(server, fragment)
        for message in stream(chunks):
            await injection.send(message)

    asyncio.run(app())
    return languages


def streamed(chunks: Iterable[bytes]) -> bytes:
    document = Document(lambda *_: PROBE.encode())
    return b"".join([*map(document.feed, chunks), document.close()])


# In these documents "|" is where the fragment belongs.

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
    "<!doctype html><frameset><frame></frameset>\n<body>|",
    "<!doctype html>|<script>a</script",
    "<!doctype html><title>t</title>|<script><!-- <script>a</script>",
    "<html>|<!-- a <body> --",
    "<html>|<template><body>",
    "<html>|<template><plaintext></template><body>x",
    "<html>|<body class='",
    "<!doctype html><html><head></head>|<style>a</head><body>",
    "<!doctype html><head>|<noscript><p>a</head><body>",
    "<!doctype html><frameset><frame>|",
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
    *(BODY_TAGS + BODY_TAGS_THAT_DO_NOT_COUNT + NO_BODY_TAG),
    *(COMMENTS + ATTRIBUTES + SCRIPTS + RAW_TEXTS + TEMPLATES),
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_fragment_comes_first_in_body(document: str) -> None:
    assert_place_of_fragment(document)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_fragment_comes_first_in_body_after_html_tag(document: str) -> None:
    assert_place_of_fragment(document.replace("<!doctype html>", "<!doctype html><html>"))


@pytest.mark.parametrize("document", NO_BODY + OPEN_TITLES)
def test_fragment_comes_last_in_document_without_body(document: str) -> None:
    assert_place_of_fragment(document)


def assert_place_of_fragment(document: str) -> None:
    """Check a document that comes whole, split into any two parts, and byte by byte."""
    given, expected = document.replace("|", "").encode(), document.replace("|", PROBE).encode()
    assert content(sent([start(), body(given)])) == expected
    assert streamed(given[at : at + 1] for at in range(len(given))) == expected
    for at in range(len(given)):
        assert streamed((given[:at], given[at:])) == expected


@pytest.mark.parametrize(
    "given",
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
    ],
)
def test_response_without_full_document_is_unchanged(given: str) -> None:
    validators = ((b"Content-Length", b"%d" % len(given.encode())), (b"ETag", b'"1"'))
    message_start, message_body = start(*validators), body(given.encode())
    messages = sent([message_start, message_body])
    assert messages[0] is message_start
    assert messages[1] is message_body
    assert len(messages) == 2
    split = [given.encode()[at : at + 1] for at in range(len(given.encode()))]
    assert sent(stream(split, *validators))[0] == message_start
    assert content(sent(stream(split))) == given.encode()


def test_messages_without_optional_keys_are_unchanged() -> None:
    messages: list[Message] = [
        {"type": "http.response.start", "status": 200},
        {"type": "http.response.body"},
    ]
    assert sent(messages) == messages


def test_messages_after_rejected_document_are_unchanged() -> None:
    late = body(b"<html><body>")
    assert sent([start(), body(b"<p>", True), late])[2] is late


def test_messages_after_insertion_are_unchanged() -> None:
    late = body(b"<body>")
    assert sent([start(), body(b"<html><body>", True), late])[2] is late


def test_document_is_recognized_within_64_kib() -> None:
    page = b" " * (LIMIT - 6) + b"<html><body>"
    assert content(sent(stream([page]))) == page + PROBE.encode()
    assert content(sent(stream([page[:9], page[9:-8], page[-8:]]))) == page + PROBE.encode()


@pytest.mark.parametrize(
    "page",
    [
        b" " * (LIMIT - 5) + b"<html><body>",
        b"<!--" + b"-" * LIMIT + b"--><html><body>",
        b"<html lang='" + b"a" * LIMIT + b"'><body>",
        b"<!doctype html>" + b" " * LIMIT + b"<html><body>",
    ],
)
def test_document_start_beyond_64_kib_is_ignored(page: bytes) -> None:
    assert content(sent(stream([page]))) == page
    assert content(sent(stream([page[:9], page[9:-8], page[-8:]]))) == page
    assert sent_after_chunks(page[: LIMIT - 1], page[LIMIT - 1 : LIMIT]) == [b"", page[:LIMIT]]


@pytest.mark.parametrize(
    ("chunks", "passed"),
    [
        (["<!doctype html>", "<html>"], ["", "<!doctype html><html>"]),
        (["<!doctype html><!-- a -->", "<head>"], ["", "<!doctype html><!-- a --><head>"]),
        (["<!doctype html>\n<meta ", "a='", "'>"], ["<!doctype html>\n", "", "<meta a=''>"]),
        (["<html lang=", "en>"], ["", "<html lang=en>"]),
        (["<html>", "<title>", "a", "</title>"], ["<html>", "", "", "<title>a</title>"]),
        (["<html>", "<title>a</ti", "b</title>"], ["<html>", "", "<title>a</tib</title>"]),
        (["<html>", "<script>a", "</script", ">b"], ["<html>", "", "", f"<script>a</script>{PROBE}b"]),
        (["<html>", "<script><!-", "-a--", "></script>"], ["<html>", "", "", "<script><!--a--></script>"]),
        (["<html>", "<!-- a", "--", "- b --!", ">"], ["<html>", "", "", "", "<!-- a--- b --!>"]),
        (["<html>", "<!-", "-", "-->"], ["<html>", "", "", "<!---->"]),
        (["<html>", "<met", "a", " b>"], ["<html>", "", "", "<meta b>"]),
        (["<html>", "<meta a", "='>", "<body", "'>"], ["<html>", "", "", "", "<meta a='><body'>"]),
        (["<html>", "</averyverylong", "name", ">"], ["<html>", "", "", "</averyverylongname>"]),
        (["<html>", "<frameset>", "<bo", "dy>"], ["<html>", "<frameset>", "<bo", "dy>"]),
        (["<html>", "<bo", "dy", " >"], ["<html>", "", "", f"<body >{PROBE}"]),
        (["<html>", "<bo", "ld>"], ["<html>", "", f"{PROBE}<bold>"]),
        (["<html>", "<body>", "<p>", "<body>"], ["<html>", f"<body>{PROBE}", "<p>", "<body>"]),
    ],
)
def test_bytes_are_sent_as_soon_as_parsed(chunks: list[str], passed: list[str]) -> None:
    out = sent_after_chunks(*(chunk.encode() for chunk in chunks))
    assert [chunk.decode() for chunk in out] == passed


@pytest.mark.parametrize(
    "opening", ["<script>", "<script><!-- ", "<style>", "<title>", "<!-- ", "<meta a='", "<meta ", "<template>"]
)
def test_unclosed_markup_is_not_held_beyond_64_kib(opening: str) -> None:
    """What comes at the end of the document is inserted before it, as long as that can be."""
    chunks = [b"<html>" + opening.encode(), *[b"<!x" * 1024] * 200]
    first, *following = sent_after_chunks(*chunks)
    held = LIMIT // 3072
    assert (first, following[:held]) == (b"<html>", [b""] * held)
    assert following[held:] == [b"".join([opening.encode(), *chunks[1 : held + 2]]), *chunks[held + 2 :]]


def test_body_is_found_after_very_long_tag() -> None:
    chunks = [b"<html><meta a='", *[b"<body>" * 1000] * 200, b"'><body>"]
    assert content(sent(stream(chunks))) == b"".join(chunks) + PROBE.encode()


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
        ("<html>", None),
        ("<html lang>", None),
        ("<html lang=''>", None),
        ("<html lang hidden>", None),
        ("<html data-x=' lang=en'>", None),
        ("<!doctype html><html class=a>", None),
        ("<!doctype html><head lang=ja>", None),
        ("<!doctype html><p><html lang=ja>", None),
        ("<!doctype html>", None),
        ("<head><html lang=ja>", None),
        ("<body lang=ja>", None),
    ],
)
def test_fragment_is_made_once_in_page_language(page: str, language: str | None) -> None:
    given = page.encode()
    assert languages_asked_for(given) == [language]
    assert languages_asked_for(*(given[at : at + 1] for at in range(len(given)))) == [language]


@pytest.mark.parametrize("page", [b"", b"<p lang=ja>", b"<!-- <html lang=ja>"])
def test_no_fragment_is_made_without_document(page: bytes) -> None:
    assert languages_asked_for(page) == []


def test_empty_fragment_leaves_response_unchanged() -> None:
    messages = [start((b"etag", b'"1"')), body(b"<html>", True), body(b"<body>")]
    assert sent(messages, fragment="") == messages


def test_content_length_counts_bytes_of_fragment() -> None:
    messages = sent([start((b"content-length", b"6")), body(b"<body>")], "\u540c\u610f")
    assert messages[0]["headers"][1] == (b"content-length", b"12")
    assert messages[1]["body"] == b"<body>" + "\u540c\u610f".encode()


def test_content_length_is_corrected_before_body_tag() -> None:
    steps = sent_after_each(
        [start((b"Content-Length", b"12")), body(b"<html>", True), body(b"<body>")], fragment="<hr>"
    )
    assert steps[0] == []
    assert steps[1] == [
        {"type": "http.response.start", "status": 200, "headers": [HTML, (b"Content-Length", b"16")]},
        body(b"<html>", True),
    ]
    assert steps[2] == [body(b"<body><hr>")]


@pytest.mark.parametrize("lengths", [["x"], [""], ["-1"], ["1, 1"], ["1", "1"], ["9" * 5000], ["\u0661"]])
def test_invalid_content_length_is_dropped(lengths: list[str]) -> None:
    fields = [(b"Content-Length", length.encode()) for length in lengths]
    assert sent([start(*fields), body(b"<body>")])[0] == start()


def test_validators_and_digests_are_dropped_and_other_fields_kept() -> None:
    dropped = [
        *((b"ETag", b'"1"'), (b"last-modified", b"x"), (b"Content-MD5", b"x"), (b"digest", b"x")),
        *((b"Content-Digest", b"x"), (b"repr-digest", b"x"), (b"Accept-Ranges", b"bytes")),
    ]
    kept = [(b"X-One", b"1"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d"), (b"Vary", b"*")]
    fields = [kept[0], *dropped[:3], kept[1], (b"content-length", b" 6 "), *dropped[3:], *kept[2:]]
    headers = sent([start(*fields), body(b"<body>")])[0]["headers"]
    length = (b"content-length", b"%d" % (6 + len(PROBE)))
    assert headers == [HTML, kept[0], kept[1], length, *kept[2:]]


def test_app_messages_are_not_mutated() -> None:
    messages = [start((b"content-length", b"6"), (b"etag", b'"1"')), body(b"<body>")]
    copies = [start((b"content-length", b"6"), (b"etag", b'"1"')), body(b"<body>")]
    assert sent(messages) != copies
    assert messages == copies


def test_other_message_keys_are_kept() -> None:
    messages = [{**start(), "trailers": True}, {**body(b"<body>"), "x": 1}, {"type": "http.response.trailers"}]
    trailing = sent(messages)
    assert trailing[0] == messages[0]
    assert trailing[1] == {**body(b"<body>" + PROBE.encode()), "x": 1}
    assert trailing[2] is messages[2]


def test_body_may_be_memoryview() -> None:
    view = memoryview(b"<body>")
    assert content(sent([start(), {"type": "http.response.body", "body": view}])) == b"<body>" + PROBE.encode()


def test_each_message_yields_at_most_one_message() -> None:
    page = b"<!doctype html><html><head><title>t</title><script>a</script></head><body><p>"
    steps = sent_after_each(stream([page[at : at + 1] for at in range(len(page))]))
    bodies = [[message for message in step if message["type"] == "http.response.body"] for step in steps]
    assert max(map(len, bodies)) == 1
    assert all(message["body"] for step in bodies[:-2] for message in step)


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend", "trailers", "debug", "unknown"])
def test_other_message_releases_held_start_unchanged(kind: str) -> None:
    other = {"type": f"http.response.{kind}"}
    messages = [start((b"etag", b'"1"')), other, body(b"<html><body>")]
    assert sent(messages) == messages


def test_other_message_releases_held_bytes_unchanged() -> None:
    messages = [start(), body(b"<!doctype html>", True), {"type": "http.response.debug"}, body(b"<body>")]
    assert sent(messages) == messages


def test_message_before_start_does_not_prevent_injection() -> None:
    early = [{"type": "http.response.debug"}, {"type": "http.response.zerocopysend"}]
    assert sent([*early, start(), body(b"<body>")]) == [*early, start(), body(b"<body>" + PROBE.encode())]


def test_message_inside_document_does_not_prevent_injection() -> None:
    debug = {"type": "http.response.debug"}
    messages = [start(), body(b"<html><bo", True), debug, body(b"dy>")]
    expected = [start(), body(b"<html>", True), debug, body(b"<body>" + PROBE.encode())]
    assert sent(messages) == expected


def test_fragment_comes_before_zero_copy_bytes() -> None:
    unseen = {"type": "http.response.zerocopysend", "file": 3}
    messages = [start(), body(b"<html><bo", True), unseen, body(b"<body>")]
    expected = [start(), body(b"<html>", True), body(PROBE.encode() + b"<bo", True), unseen, body(b"<body>")]
    assert sent(messages) == expected


def test_empty_fragment_adds_no_message_before_pathsend() -> None:
    messages = [start(), body(b"<html>", True), {"type": "http.response.pathsend", "path": "x"}]
    assert sent(messages, fragment="") == messages


def test_start_without_body_is_sent_when_app_finishes() -> None:
    assert sent_after_each([start((b"etag", b'"1"'))]) == [[], [start((b"etag", b'"1"'))]]
    assert sent_after_each([start()], finish=False) == [[], []]


def test_nothing_is_sent_if_app_sends_nothing() -> None:
    assert sent([]) == []


@pytest.mark.parametrize("pieces", [[b"<!doctype ht"], [b"<html>", b"<script></scr"], [b"<html>", b"<bo"]])
def test_held_bytes_are_sent_without_fragment_if_app_breaks_off(pieces: list[bytes]) -> None:
    messages = sent([start(), *(body(piece, True) for piece in pieces)])
    assert messages[0] == start()
    assert content(messages) == b"".join(pieces)
    assert messages[-1]["more_body"] is True


def test_finishing_finished_response_sends_nothing() -> None:
    assert sent_after_each([start(), body(b"<body>")])[-1] == []


# The tail: it comes last in the body.

TAIL = "<p>tail</p>"
END_OF_BODY = re.compile(r"</body\s*>(?:\s|</html\s*>|<!--[^-]*-->)*$", re.IGNORECASE)


@pytest.mark.parametrize("fragment", [PROBE, ""])
@pytest.mark.parametrize("document", [*DOCUMENTS[::7], *NO_BODY, "<html><body>|<p>text</p></body></html>\n<!-- c -->"])
def test_tail_comes_last_in_body_or_at_end_of_stream(document: str, fragment: str) -> None:
    given, whole = document.replace("|", "").encode(), document.replace("|", fragment)
    end = END_OF_BODY.search(whole)
    at = end.start() if end else len(whole)
    assert content(sent([start(), body(given)], fragment, tail=TAIL)) == f"{whole[:at]}{TAIL}{whole[at:]}".encode()
    single = [given[at : at + 1] for at in range(len(given))]
    assert content(sent(stream(single), fragment, tail=TAIL)) == f"{whole}{TAIL}".encode()
    last = [body(chunk, at < len(single)) for at, chunk in enumerate(single, 1)]
    assert content(sent([start(), *last], fragment, tail=TAIL)) == f"{whole}{TAIL}".encode()


@pytest.mark.parametrize(
    "last",
    [
        "x|</body></html>",
        "|</BODY\n></HTML >\r\n",
        "|</body>",
        "</body>|</body></html>",
        "<p>It ends with </body>, they say.</p>|</body></html>",
        "<script>let end = '</body>'</script>|</body><!-- 3 - 4 ms --></html><!--- --->\n",
        f"<!-- a -->|</body></html>{' ' * 2000}",
        "x</html>|",
        "x</body></html><p>more|",
        "x</body><script src=x></script></html>|",
        "x</body class=last></html>|",
        "x</bodyguard></html>|",
        "x</body></html><!-- never closed|",
        "<!-- x </body> -->|",
        "<!-- never closed, and so the body does not end here </body></html>|",
        "<!-- a --><!-- x </body><!-- y -->|",
        f"x</body></html>{' ' * 3000}|",
        "|",
    ],
)
def test_tail_precedes_body_end_tag_in_last_message(last: str) -> None:
    before, after = last.split("|")
    pieces = [body(b"<html><body>", True), body((before + after).encode())]
    passed = sent([start((b"content-length", b"%d" % (12 + len(before + after)))), *pieces], "", tail=TAIL)
    assert content(passed) == f"<html><body>{before}{TAIL}{after}".encode()
    assert passed[0]["headers"] == [HTML, (b"content-length", b"%d" % len(content(passed)))]
    assert passed[1:-1] == pieces[:1]


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>^<form>|<textarea>a</form></body></html>",
        "<html><body>^<textarea>a</textarea>|<TEXTAREA>a<textarea>b</body></html>",
        "<!doctype html><html lang=en><head>^|<title>a<title/></head><body>b</body></html>",
        "<html><body>^<p title='<title>'><!-- <textarea> --><script>'<title>'</script><style></style>|<title>a<p>",
        "<html><body>^<textarea><title></textarea>|</body>",
        "<html><body>^<script>let a = '<textarea>'</script>|</body></html>",
        "<html><body>^<script><!-- '<textarea>' --></script>|</body></html>",
        "<html><body>^<p a='<textarea>'>|</body></html>",
        "<html><body>^< 3 <textarea></textarea></ x><?x?><!y></p b='<'>|<textarea>",
    ],
)
@pytest.mark.parametrize("fragment", [PROBE, ""])
def test_tail_comes_before_a_text_that_never_ends(page: str, fragment: str) -> None:
    given, expected = re.sub(r"[|^]", "", page), page.replace("^", fragment).replace("|", TAIL)
    assert content(sent([start(), body(given.encode())], fragment, tail=TAIL)).decode() == expected


@pytest.mark.parametrize("given", ["", "text", "<p>part</p>", '{"html": "<html>"}', "<!doctype svg><html><body>"])
@pytest.mark.parametrize("fragment", [PROBE, ""])
def test_response_without_full_document_gets_no_tail(given: str, fragment: str) -> None:
    messages = [
        start((b"content-length", b"9"), (b"etag", b'"1"'), (b"accept-ranges", b"bytes")),
        body(given.encode()),
    ]
    passed = sent(messages, fragment, tail=TAIL)
    assert [(one is other) for one, other in zip(passed, messages, strict=True)] == [True, True]


def test_fragment_and_tail_are_made_once_per_document() -> None:
    made: list[str] = []

    def note(what: str) -> bytes:
        made.append(what)
        return b"x"

    async def server(_: Message) -> None:
        pass

    async def app(chunks: list[bytes]) -> None:
        injection = Injection(server, lambda *_: note("fragment"), lambda: note("tail"))
        for message in stream(chunks):
            await injection.send(message)
        await injection.finish()

    asyncio.run(app([b"<html>", b"<head>", b"<body>", b"<p>"]))
    assert made == ["fragment", "tail"]
    asyncio.run(app([b"<p>", b"<html>", b"<body>"]))
    assert made == ["fragment", "tail"]


def test_tail_delays_no_bytes() -> None:
    messages = stream([b"<html><head>", b"<ti", b"tle>t</title><body>", b"<p>one", b"<p>two"])
    for fragment in (PROBE, ""):
        with_tail, without = (sent_after_each(messages, fragment, tail=tail) for tail in (TAIL, ""))
        assert [content(step) for step in with_tail[:-2]] == [content(step) for step in without[:-2]]
        assert [content(step) for step in with_tail[-2:]] == [TAIL.encode(), b""]


def test_page_with_tail_only_streams_from_first_tag() -> None:
    chunks = [b"<!doctype html><html>", b"<scr", b"ipt>a</scr", b"ipt><bo", b"dy>"]
    steps = sent_after_each(stream(chunks), "", tail=TAIL)
    assert [content(step) for step in steps[1:-2]] == chunks


def test_tail_alone_keeps_weakened_validators() -> None:
    fields = [
        *((b"X-One", b"1"), (b"ETag", b'"1"'), (b"Last-Modified", b"Mon"), (b"content-length", b"6")),
        *((b"Accept-Ranges", b"bytes"), (b"Digest", b"x"), (b"content-md5", b"x"), (b"vary", b"Cookie")),
    ]
    headers = sent([start(*fields), body(b"<body>")], "", tail=TAIL)[0]["headers"]
    length = (b"content-length", b"%d" % (6 + len(TAIL)))
    kept = [fields[0], (b"ETag", b'W/"1"'), fields[2], length, fields[7]]
    assert headers == [HTML, *kept]


@pytest.mark.parametrize(("etag", "weak"), [(b'"a"', b'W/"a"'), (b'W/"a"', b'W/"a"'), (b'""', b'W/""')])
def test_tail_makes_etag_weak(etag: bytes, weak: bytes) -> None:
    assert sent([start((b"etag", etag)), body(b"<body>")], "", tail=TAIL)[0]["headers"] == [HTML, (b"etag", weak)]


def test_fragment_with_tail_drops_validators() -> None:
    fields = [(b"etag", b'"1"'), (b"last-modified", b"Mon"), (b"content-length", b"6")]
    headers = sent([start(*fields), body(b"<body>")], tail=TAIL)[0]["headers"]
    assert headers == [HTML, (b"content-length", b"%d" % (6 + len(PROBE) + len(TAIL)))]


@pytest.mark.parametrize("lengths", [["x"], ["1", "1"]])
def test_invalid_content_length_is_dropped_with_tail(lengths: list[str]) -> None:
    fields = [(b"Content-Length", length.encode()) for length in lengths]
    assert sent([start(*fields), body(b"<body>")], "", tail=TAIL)[0] == start()


def test_document_without_additions_is_unchanged() -> None:
    messages = [start((b"etag", b'"1"'), (b"content-length", b"13")), body(b"<html>", True), body(b"<body>x")]
    assert all(one is other for one, other in zip(sent(messages, ""), messages, strict=True))


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
@pytest.mark.parametrize("fragment", [PROBE, ""])
def test_page_sent_by_server_itself_gets_no_tail(kind: str, fragment: str) -> None:
    messages = [start((b"etag", b'"1"'), (b"content-length", b"13")), {"type": f"http.response.{kind}"}]
    assert all(one is other for one, other in zip(sent(messages, fragment, tail=TAIL), messages, strict=True))


def test_zero_copy_document_is_padded_to_announced_length() -> None:
    unseen = {"type": "http.response.zerocopysend", "file": 3, "count": 7}
    messages = [start((b"content-length", b"%d" % (9 + 7))), body(b"<html><bo", True), unseen, body(b"")]
    begun, *rest = sent(messages, tail=TAIL)
    assert begun["headers"][1] == (b"content-length", b"%d" % (9 + 7 + len(PROBE) + len(TAIL)))
    assert rest[0] == body(b"<html>", True)
    assert rest[1:] == [body(PROBE.encode() + b"<bo" + b" " * len(TAIL), True), unseen, body(b"")]


@pytest.mark.parametrize("fragment", [PROBE, ""])
def test_announced_length_is_kept_if_last_bytes_are_zero_copy(fragment: str) -> None:
    unseen = {"type": "http.response.zerocopysend", "file": 3, "count": 7}
    messages = [start((b"content-length", b"%d" % (12 + 7))), body(b"<html><body>", True), unseen]
    begun, *rest = sent(messages, fragment, tail=TAIL)
    assert begun["headers"][1] == (b"content-length", b"%d" % (len(content(rest)) + 7))


@pytest.mark.parametrize("fragment", [PROBE, ""])
def test_last_body_before_tail_may_be_memoryview(fragment: str) -> None:
    last = {"type": "http.response.body", "body": memoryview(b"<p>")}
    passed = sent([start(), body(b"<body>", True), last], fragment, tail=TAIL)
    assert content(passed) == f"<body>{fragment}<p>{TAIL}".encode()


def test_app_that_breaks_off_gets_no_tail() -> None:
    for pieces in ([b"<html>", b"<bo"], [b"<html><body>", b"<p>"], [b"<!doctype html>"]):
        for fragment in (PROBE, ""):
            passed = content(sent([start(), *(body(piece, True) for piece in pieces)], fragment, tail=TAIL))
            assert passed.replace(PROBE.encode(), b"") == b"".join(pieces)


def test_tail_comes_before_trailers() -> None:
    messages = [{**start(), "trailers": True}, body(b"<body>", True), body(b"x"), {"type": "http.response.trailers"}]
    passed = sent(messages, "", tail=TAIL)
    assert content(passed) == b"<body>x" + TAIL.encode()
    assert passed[-1] is messages[-1]


def test_other_message_does_not_get_tail() -> None:
    debug = {"type": "http.response.debug"}
    passed = sent([start(), body(b"<body>", True), debug, body(b"x")], "", tail=TAIL)
    assert passed[2] is debug
    assert passed[3] == body(b"x" + TAIL.encode())


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
    fields = [(b"server", b"x"), (b"Content-Type", content_type.encode("latin-1"))]
    assert injectable(200, fields) == encoding


@pytest.mark.parametrize("status", [200, 201, 203, 400, 404, 500])
def test_status_with_whole_body_is_injectable(status: int) -> None:
    assert injectable(status, [HTML]) == "utf-8"


@pytest.mark.parametrize("status", [100, 101, 103, 204, 205, 206, 300, 302, 304, 308])
def test_status_without_whole_body_is_not_injectable(status: int) -> None:
    assert injectable(status, [HTML]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Range", "bytes 0-1/2"),
        ("Content-Disposition", "attachment"),
        ("content-disposition", " Attachment ; filename=x.html"),
        ("CONTENT-TYPE", "text/html"),
        ("content-type", "application/json"),
    ],
)
def test_partial_or_attached_response_is_not_injectable(name: str, value: str) -> None:
    assert injectable(200, [HTML, (name.encode(), value.encode())]) is None


@pytest.mark.parametrize("value", ["gzip", "identity, br"])
def test_compressed_page_is_told_from_what_is_no_page(value: str) -> None:
    compressed = (b"Content-Encoding", value.encode())
    assert injectable(200, [HTML, compressed]) == ""
    assert injectable(200, [HTML, compressed, (b"content-range", b"bytes 0-1/2")]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Encoding", " Identity "),
        ("Content-Disposition", "inline; filename=attachment"),
        ("content-length", "3"),
        ("x-json-data", "1"),
    ],
)
def test_other_fields_leave_response_injectable(name: str, value: str) -> None:
    assert injectable(200, [(name.encode(), value.encode()), HTML]) == "utf-8"


def test_response_without_content_type_is_not_injectable() -> None:
    assert injectable(200, []) is None


# What belongs at the beginning of the head

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
"""Beginning of a document up to its head's content -> up to its body's content -> the rest."""


@pytest.mark.parametrize(("before", "head", "rest"), HEADS)
@pytest.mark.parametrize("fragment", [b"", b"<aside></aside>"], ids=["head alone", "head and body"])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_head_is_inserted_where_its_content_begins(
    before: bytes, head: bytes, rest: bytes, fragment: bytes, size: int
) -> None:
    document, whole = Document(lambda *_: fragment, lambda: b"<script></script>"), before + head + rest
    chunks = [document.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
    assert b"".join(chunks) + document.close() == before + b"<script></script>" + head + fragment + rest


@pytest.mark.parametrize("size", [1, 1000])
def test_nothing_is_inserted_into_what_is_no_document(size: int) -> None:
    document, whole = Document(lambda *_: b"<p>", lambda: b"<script></script>"), b"<p>a part</p>"
    assert (
        b"".join(document.feed(whole[at : at + size]) for at in range(0, len(whole), size)) + document.close() == whole
    )


def test_head_tag_that_does_not_end_is_not_waited_for() -> None:
    document = Document(lambda *_: b"", lambda: b"<script></script>")
    assert document.feed(b"<html><head ") == b"<html>"
    assert document.feed(b"x" * 10_000).startswith(b"<script></script><head x")


def test_page_with_a_head_has_its_length_and_no_validators() -> None:
    page = b"<html><head></head><body>"
    fields = [(b"content-length", b"25"), (b"etag", b'"1"'), (b"last-modified", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    server: list[Message] = []

    async def send(message: Message) -> None:
        server.append(message)

    async def app() -> None:
        injection = Injection(send, lambda *_: b"", head=lambda: b"<script></script>")
        await injection.send(start(*fields))
        await injection.send(body(page))

    asyncio.run(app())
    assert server[0]["headers"] == [HTML, (b"content-length", b"42")]
    assert content(server) == b"<html><head><script></script></head><body>"
