"""Inserts fragments into the HTML documents that an app sends, on raw ASGI messages."""

import codecs
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.html.document import Document, start_of_open_text

Headers = Sequence[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]

_NO_WHOLE_BODY = frozenset({204, 205, 206})
_PARAMETER = re.compile(r';\s*([^=;]*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ASCII = bytes(byte for byte in range(128) if byte != ord("\\"))

# In these encodings an ASCII byte may be part of another character.
_SHIFTING = ("iso2022", "hz")

# A page with a question must have no validator, or a 304 would bring the question back after it was answered.
_VALIDATORS = frozenset({b"etag", b"last-modified"})
# These fields describe the bytes that the app sent, so they are wrong for a changed page.
_OF_BYTES = _VALIDATORS | {
    *(b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest"),
}
_UNSEEN_BODIES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
# How many bytes at the end of the last message are searched for </body>.
_LONGEST_END = 2048
_END_OF_BODY = re.compile(rb"</body[ \t\n\f\r]*>(?:[ \t\n\f\r]|</html[ \t\n\f\r]*>|<!--(?:[^-]|-(?!->))*-->)*")
_PLAIN_ENDS = frozenset((b"", b"\n", b"</html>", b"</html>\n", b"\n</html>", b"\n</html>\n", b"\r\n</html>\r\n"))
"""What follows </body> on nearly all pages."""
_LENGTH = re.compile(rb"[ \t]*([0-9]{1,18})[ \t]*")


def injectable(status: int, headers: Headers) -> str | None:
    """Return the encoding for a fragment in a response, or None if the response must not be changed.

    Args:
        status: the status code of the response.
        headers: the header fields of the response.

    Returns:
        "utf-8"; or "ascii" if the charset is another one or not declared; or "" if it is compressed; or None if the
        response is not HTML, not complete or a download. The caller has to rule out responses to HEAD.
    """
    encoding = None
    for name, value in headers:
        if len(name) == 12 and name.lower() == b"content-type":
            if encoding:
                return None
            encoding = html_encoding(value) if len(value) <= LONGEST_KEPT else None
            if not encoding:
                return None
    if not encoding or status < 200 or 300 <= status < 400 or status in _NO_WHOLE_BODY:
        return None
    return _if_readable(encoding, headers)


def _if_readable(encoding: str, headers: Headers) -> str | None:
    """Return the encoding of a page; "" if it is compressed, None if it is partial or a download."""
    for name, value in headers:
        match name.lower():
            case b"content-range":
                return None
            case b"content-encoding" if value.strip().lower() != b"identity":
                encoding = ""
            case b"content-disposition" if value.partition(b";")[0].strip().lower() == b"attachment":
                return None
    return encoding


@lru_cache(maxsize=256)
def html_encoding(content_type: bytes) -> str | None:
    """Return the encoding for a fragment by the page's Content-Type, as `injectable` does; None if it is not HTML."""
    media_type, semicolon, parameters = content_type.decode("latin-1").partition(";")
    if media_type.strip().lower() != "text/html":
        return None
    for name, value in _PARAMETER.findall(semicolon + parameters):
        if name.lower() == "charset":
            return _fragment_encoding(value.strip().strip('"'))
    return "ascii"


def _fragment_encoding(charset: str) -> str | None:
    if not charset:
        return "ascii"
    try:
        name = codecs.lookup(charset).name
        ascii_compatible = _ASCII.decode(charset) == _ASCII.decode("ascii")
    except (LookupError, ValueError):
        return None
    if not ascii_compatible or name.startswith(_SHIFTING):
        return None
    return "utf-8" if name == "utf-8" else "ascii"


class Injection:
    """Sends one response and inserts fragments if it turns out to be a full document.

    Use it for responses that `injectable` accepts. `Document` decides which of them is a document, and where the
    fragment belongs.

    Args:
        send: the ASGI send function.
        fragment: makes the HTML for the beginning of the body, in the encoding from `injectable`. It gets the lang
            attribute of the html tag, or None, and the bytes received so far. It is called at most once. If it returns
            nothing, nothing is inserted.
        tail: makes the HTML for the end of the body. It is inserted before the end tag if that is in the last message,
            else after the document, which HTML parses as the same place. It is called at most once, after `fragment`.
            A page that gets only a tail keeps its validators.
        head: makes the HTML for the beginning of the head. It is called at most once, before `fragment`, and a page
            with it has no validators either.
    """

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        fragment: Callable[[str | None, bytes], bytes],
        tail: Callable[[], bytes] = bytes,
        head: Callable[[], bytes] = bytes,
    ) -> None:
        self._send, self._make_tail, self._tail = send, tail, b""
        self._start: Message | None = None
        self._document: Document | None = Document(fragment, head)

    async def send(self, message: Message) -> None:
        """Send a message. The start is held until the body shows whether it is a document."""
        if self._document is None:
            await self._send_on(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(self._document, message)
        else:
            await self._release_unseen_body(self._document, message["type"])
            await self._send(message)

    async def finish(self) -> None:
        """Send what is still held once the app has returned or raised, without inserting anything."""
        if self._document is not None:
            held, self._document = self._document.held, None
            await self._send_start(self._start)
            await self._send_more(held)

    async def _send_body(self, document: Document, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        is_whole = self._start is not None and not more
        ready = document.feed(body)
        if not more:
            ready += document.close()
        if document.is_document is None:
            return
        if document.passing:
            self._document = None
        if self._start is not None:
            self._tail = self._make_tail() if document.is_document else b""
            await self._send_start(_corrected(self._start, document.head + document.fragment, self._tail))
        if ready or not more:
            message = {**message, "body": ready} if ready != body else message
            await self._send(self._ended(message, is_whole=is_whole))

    async def _send_on(self, message: Message) -> None:
        if self._tail and message["type"] in _UNSEEN_BODIES:
            await self._send_more(self._padding())
        await self._send(self._ended(message))

    def _padding(self) -> bytes:
        """Return spaces as long as the tail, to keep the announced length if the document's end cannot be seen."""
        padding, self._tail = b" " * len(self._tail), b""
        return padding

    def _ended(self, message: Message, *, is_whole: bool = False) -> Message:
        """Return a message, with the tail inserted if it is the last one."""
        if not self._tail or message["type"] != "http.response.body" or message.get("more_body", False):
            return message
        tail, self._tail = self._tail, b""
        body = bytes(message.get("body", b""))
        at = end_of_body(body, is_whole=is_whole)
        return {**message, "body": b"".join((body[:at], tail, body[at:]))}

    async def _release_unseen_body(self, document: Document, kind: str) -> None:
        if self._start is not None:
            await self.finish()
        elif document.is_document and kind in _UNSEEN_BODIES:
            self._document = None
            await self._send_more(document.close() + self._padding())

    async def _send_start(self, start: Message | None) -> None:
        self._start = None
        if start is not None:
            await self._send(start)

    async def _send_more(self, body: bytes) -> None:
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})


def end_of_body(document: bytes, *, is_whole: bool = False) -> int:
    """Return the position of </body> in the last bytes of a document, or their length if it is not there.

    The tag does not count inside a comment, or if anything but comments and </html> follows it. If a whole document
    ends inside a textarea or a title, that is where its body ends: nothing is seen behind.

    Args:
        document: the document, or its last bytes.
        is_whole: whether it is the whole document.
    """
    if is_whole and (at := start_of_open_text(document)) >= 0:
        return at
    at = document.rfind(b"</body>", -_LONGEST_END)
    if at >= 0 and document[at + len(b"</body>") :] in _PLAIN_ENDS:
        # Without a "!" there is no comment. Searching for one byte is many times faster than for four.
        comment = document.rfind(b"!", -_LONGEST_END)
        if comment < 0 or document.rfind(b"<!--", -_LONGEST_END) < 0:
            return at
    end = document[-_LONGEST_END:].lower()
    at = end.rfind(b"</body")
    if at < 0 or end.rfind(b"<!--", 0, at) > end.rfind(b"-->", 0, at) or not _END_OF_BODY.fullmatch(end, at):
        return len(document)
    return len(document) - len(end) + at


def _corrected(start: Message, fragment: bytes, tail: bytes) -> Message:
    """Return the start of a response with the header fields corrected for the inserted fragments."""
    added = len(fragment) + len(tail)
    if not added:
        return start
    headers: list[tuple[bytes, bytes]] = []
    lengths = []  # positions of Content-Length
    for field in start.get("headers", ()):
        lowered = field[0].lower()
        if lowered == b"content-length":
            lengths.append(len(headers))
            headers.append(field)
        elif lowered not in _OF_BYTES:
            headers.append(field)
        elif lowered in _VALIDATORS and not fragment:
            headers.append((field[0], _weak(field[1])) if lowered == b"etag" else field)
    length = _LENGTH.fullmatch(headers[lengths[0]][1]) if len(lengths) == 1 else None
    for position in reversed(lengths):
        headers[position : position + 1] = [(headers[position][0], b"%d" % (int(length[1]) + added))] if length else []
    return {**start, "headers": headers}


def _weak(etag: bytes) -> bytes:
    """Return an entity tag as a weak one: the page means the same, but has other bytes (RFC 9110 section 8.8.1)."""
    return etag if etag.startswith(b"W/") else b"W/" + etag
