"""Tests of what a page with our markup is on the wire: header fields, lengths, and the messages of ASGI."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, Visitor, drive, install, page_app, run, scope

HTML = (b"content-type", b"text/html; charset=utf-8")
BROWSER = [("accept", "text/html"), ("user-agent", "Mozilla/5.0")]
LINK = b'<div class="pchoice-way-back"'
QUESTION = b'<section class="pchoice '
DEBUG: Message = {"type": "http.response.debug", "info": {}}
OF_BYTES = ["content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]


def begin(*headers: tuple[bytes, bytes], **more: Any) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [HTML, *headers], **more}


def body(content: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def pass_through(messages: list[Message], *, has_answered: bool = False) -> list[Message]:
    """Return what the server gets of an app's messages: with the question, or after an answer with the link alone."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    site = install(app, settings_link=True)
    visitor = Visitor(site)
    if has_answered:
        visitor.refuse()
    sent: list[Message] = run(drive(site, scope(headers=[*BROWSER, ("cookie", visitor.cookies)])))
    return sent


def fields_of(messages: list[Message], name: str) -> list[bytes]:
    return [value for field, value in messages[0]["headers"] if field.lower() == name.encode()]


def body_of(messages: list[Message]) -> bytes:
    return b"".join(message.get("body", b"") for message in messages)


@pytest.mark.parametrize("has_answered", [False, True])
def test_length_counts_our_markup(has_answered: bool) -> None:
    page = b"<html><head></head><body>\xe5\x90\x8c</body></html>"
    lengths = [(b"Content-Length", b" %d " % len(page))]
    for chunks in ([page], [page[:30], page[30:]]):
        bodies = [body(chunk, at < len(chunks)) for at, chunk in enumerate(chunks, 1)]
        sent = pass_through([begin(*lengths), *bodies], has_answered=has_answered)
        assert fields_of(sent, "content-length") == [b"%d" % len(body_of(sent))]
        assert LINK in body_of(sent)
        assert (QUESTION in body_of(sent)) is not has_answered


@pytest.mark.parametrize("lengths", [["x"], [""], ["-1"], ["1, 1"], ["6", "6"], ["9" * 5000], ["\u0661"]])
def test_invalid_length_is_dropped(lengths: list[str]) -> None:
    fields = [(b"Content-Length", length.encode()) for length in lengths]
    assert fields_of(pass_through([begin(*fields), body(b"<body>")]), "content-length") == []


def test_page_that_asks_has_no_validators_and_one_with_a_link_has_weak_ones() -> None:
    fields = [(b"ETag", b'"1"'), (b"last-modified", b"Mon"), *((name.encode(), b"x") for name in OF_BYTES)]
    asking = pass_through([begin(*fields), body(b"<body>")])
    linking = pass_through([begin(*fields), body(b"<body>")], has_answered=True)
    assert [fields_of(asking, name) for name in ("etag", "last-modified", *OF_BYTES)] == [[]] * 7
    assert (fields_of(linking, "etag"), fields_of(linking, "last-modified")) == ([b'W/"1"'], [b"Mon"])
    assert [fields_of(linking, name) for name in OF_BYTES] == [[]] * 5


def test_part_of_a_page_keeps_its_fields_and_bytes() -> None:
    fields = [(b"Content-Length", b"8"), (b"ETag", b'"1"'), (b"digest", b"x")]
    sent = pass_through([begin(*fields), body(b"<p>a", True), body(b"</p>")])
    assert [fields_of(sent, name.decode().lower()) for name, _ in fields] == [[value] for _, value in fields]
    assert [message["body"] for message in sent[1:]] == [b"<p>a", b"</p>"]


def test_messages_of_the_app_are_not_changed_and_other_keys_are_kept() -> None:
    messages = [begin((b"etag", b'"1"'), trailers=True), {**body(b"<body>"), "x": 1}, DEBUG]
    copies = [begin((b"etag", b'"1"'), trailers=True), {**body(b"<body>"), "x": 1}, DEBUG]
    sent = pass_through(messages)
    assert messages == copies
    assert (sent[0]["trailers"], sent[1]["x"], sent[-1]) == (True, 1, DEBUG)


@pytest.mark.parametrize("before", [b"<html><head></head><bo", b"<html><body>", b"<ht"])
@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
def test_bytes_that_cannot_be_seen_pass_and_the_length_stays_as_it_was_told(kind: str, before: bytes) -> None:
    unseen = {"type": kind, "file": 3, "path": "/x"}
    sent = pass_through([begin((b"content-length", b"%d" % (len(before) + 7))), body(before, True), unseen])
    assert unseen in sent
    assert fields_of(sent, "content-length") == [b"%d" % (len(body_of(sent)) + 7)]


def test_other_messages_do_not_stand_in_the_way() -> None:
    sent = pass_through([begin(), body(b"<html><head></head><bo", True), DEBUG, body(b"dy>")])
    assert DEBUG in sent
    assert body_of(sent).count(b"<body>" + QUESTION) == 1
    held = pass_through([begin(), DEBUG, body(b"<body>")])
    assert [message["type"] for message in held[:2]] == ["http.response.start", DEBUG["type"]]
    assert body_of(held) == b"<body>"


@pytest.mark.parametrize("pieces", [[], [b"<!doctype ht"], [b"<html><head>", b"<script></scr"], [b"<body>", b"</bo"]])
def test_what_is_held_is_sent_if_the_app_breaks_off(pieces: list[bytes]) -> None:
    sent = pass_through([begin(), *(body(piece, True) for piece in pieces)])
    assert sent[0]["type"] == "http.response.start"
    assert body_of(sent).endswith(pieces[-1] if pieces else b"")
    assert LINK not in body_of(sent)


@pytest.mark.parametrize("more", [{"headers": None}, {"status": "200"}, {"status": None, "headers": ()}])
def test_start_that_only_the_server_can_judge_reaches_it(more: dict[str, Any]) -> None:
    sent = pass_through([begin(**more), body(b"<body>")])
    assert sent[0] == {**begin(**more), "headers": sent[0]["headers"]}
    assert body_of(sent) == b"<body>"


@pytest.mark.parametrize("names", [bytes, bytearray])
def test_request_fields_whose_names_are_other_bytes_are_read(names: type[bytes]) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(begin())
        await send(body(b"<body>"))

    site = install(app)
    request = scope(headers=[*BROWSER, ("referer", "https://site.example/"), ("cookie", "mystery=1")])
    request["headers"] = [(names(name), value) for name, value in request["headers"]]
    for _ in range(2):
        sent: list[Message] = run(drive(site, dict(request)))
        assert QUESTION in body_of(sent)
    assert all(name != b"cookie" for name, _ in seen[-1]["headers"])


def test_names_of_fields_are_in_lowercase_only_where_something_changes() -> None:
    written = [(b"Content-Type", b"text/plain"), (b"X-Trace-Id", b"A")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = [(b"Set-Cookie", b"mystery=1")] if scope["path"] == "/held" else []
        await send({"type": "http.response.start", "status": 200, "headers": [*written, *more]})
        await send(body(b"ok"))

    untouched, changed = (run(drive(install(app), scope(path=path)))[0]["headers"] for path in ("/", "/held"))
    assert untouched == written
    assert [(name, value) for name, value in changed if name != b"vary"][:2] == [
        (name.lower(), value) for name, value in written
    ]


def test_blocked_cookies_of_trailers_do_not_pass() -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"Set-Cookie", b"_ga=1"), (b"x-a", b"1")]}
    sent = pass_through([begin(trailers=True), body(b"<body>"), trailers])
    assert sent[-1] == {**trailers, "headers": [(b"x-a", b"1")]}


def counts_of(sink: MemorySink) -> set[str]:
    """Return what was counted since the last call: name, detail, language."""
    parts = [(count["count.name"], count.get("count.detail"), count.get("consent.language")) for count in sink.counts]
    sink.counts.clear()
    return {" ".join(filter(None, part)) for part in parts if "policy" not in part[0]}


def test_page_is_counted_and_recorded_by_what_its_plan_says() -> None:
    sink = MemorySink()
    app = install(page_app(), access_log=sink)
    visitor = Visitor(app, [("accept", "text/html"), ("user-agent", PHONE)])
    log = app._site.access_log
    assert log is not None
    visitor.get("/offices/tokyo")
    log.counts.flush()
    asked = {"asked_by_purpose analytics", "asked_by_purpose media", "asked_by_prefix /offices"}
    first = {"asked_first en", "asked_first_by_device mobile", "asked_first_by_prefix /offices"}
    assert counts_of(sink) == {"views", "asked en", "asked_by_device mobile", *asked, *first}
    visitor.post({"choice": "grant", "purposes": {"analytics": True}})
    log.counts.flush()
    sink.counts.clear()
    visitor.get("/offices/tokyo", [("referer", "https://site.example/"), ("sec-fetch-site", "same-origin")])
    log.counts.flush()
    # The user agent of who has answered is not read for the count.
    assert counts_of(sink) == {
        "views",
        "views_recorded",
        "asked en",
        "asked_by_purpose media",
        "asked_by_prefix /offices",
    }
    visitor.get("/file", [("sec-fetch-dest", "image")])
    assert [(record["url.path"], record["record.kind"]) for record in sink.records] == [
        ("/offices/tokyo", "view"),
        ("/file", "request"),
    ]


@pytest.mark.parametrize(
    ("accept", "has_answered", "is_whole"),
    [
        ("text/html,*/*;q=0.8", False, True),
        ("text/html,*/*;q=0.8", True, False),
        ("image/png", False, False),
        ("*/*", False, False),
        ("", False, False),
    ],
)
def test_app_is_asked_for_the_whole_page_while_there_is_a_question(
    accept: str, has_answered: bool, is_whole: bool
) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await page_app()(scope, receive, send)

    visitor = Visitor(install(app), [("accept", accept)] if accept else [])
    if has_answered:
        visitor.refuse()
    extensions: dict[str, Any] = {"http.response.pathsend": {}, "http.response.trailers": {}}
    conditions = {"accept-encoding": "gzip", "if-none-match": '"x"', "if-modified-since": "Mon"}
    visitor.get(headers=[*conditions.items(), ("x-other", "1")], extensions=extensions)
    names = {name.decode() for name, _ in seen[0]["headers"]}
    assert names & {*conditions, "x-other"} == {"x-other", *([] if is_whole else conditions)}
    assert list(seen[0]["extensions"]) == [*([] if is_whole else ["http.response.pathsend"]), "http.response.trailers"]
    assert len(extensions) == 2
    visitor.get(extensions=None)
