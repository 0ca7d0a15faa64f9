"""Puts fragments into the HTML documents that an app sends, at the level of raw ASGI messages."""

import codecs
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from cookie_consent.base.html.document import Document
from cookie_consent.base.limits import LONGEST_KEPT

Headers = Sequence[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]

_NO_WHOLE_BODY = frozenset({204, 205, 206})
_PARAMETER = re.compile(r';\s*([^=;]*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ASCII = bytes(byte for byte in range(128) if byte != ord("\\"))

# In these an ASCII byte may be half of another character.
_SHIFTING = ("iso2022", "hz")

# Without a validator nobody is told 304 for a page with a question that has been answered since.
_VALIDATORS = frozenset({b"etag", b"last-modified"})
# They speak of the bytes that the app sent.
_OF_BYTES = _VALIDATORS | {
    *(b"accept-ranges", b"content-md5", b"digest", b"content-digest", b"repr-digest"),
}
_UNSEEN_BODIES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
# What comes after the end of <body> in a message that ends the document.
_LONGEST_END = 2048
_END_OF_BODY = re.compile(rb"</body[ \t\n\f\r]*>(?:[ \t\n\f\r]|</html[ \t\n\f\r]*>|<!--(?:[^-]|-(?!->))*-->)*")
_PLAIN_ENDS = frozenset((b"", b"\n", b"</html>", b"</html>\n", b"\n</html>", b"\n</html>\n", b"\r\n</html>\r\n"))
"""What comes after the end tag of the body on nearly all pages."""
_LENGTH = re.compile(rb"[ \t]*([0-9]{1,18})[ \t]*")


def injectable(status: int, headers: Headers) -> str | None:
    """Tell in which encoding a fragment may be written into a response.

    Args:
        status: The status code of the response.
        headers: The header fields of the response.

    Returns:
        ``"utf-8"``, or ``"ascii"`` where the charset is another one or not declared, or None where the
        response has to stay as it is: no HTML, not whole, encoded, or a download. That the request was a HEAD
        cannot be seen here.
    """
    encoding = None
    for name, value in headers:
        if len(name) == 12 and name.lower() == b"content-type":
            if encoding:
                return None
            encoding = html_encoding(value) if len(value) <= LONGEST_KEPT else None
            if not encoding:
                return None
    if not encoding or status < 200 or 300 <= status < 400 or status in _NO_WHOLE_BODY or _sealed(headers):
        return None
    return encoding


def _sealed(headers: Headers) -> bool:
    for name, value in headers:
        match name.lower():
            case b"content-range":
                return True
            case b"content-encoding" if value.strip().lower() != b"identity":
                return True
            case b"content-disposition" if value.partition(b";")[0].strip().lower() == b"attachment":
                return True
    return False


@lru_cache(maxsize=256)
def html_encoding(content_type: bytes) -> str | None:
    """Return the encoding of an HTML page by its Content-Type, as `injectable` has it; None for what is none."""
    media_type, semicolon, parameters = content_type.decode("latin-1").partition(";")
    if media_type.strip().lower() != "text/html":
        return None
    for name, value in _PARAMETER.findall(semicolon + parameters):
        if name.lower() == "charset":
            return _written_as(value.strip().strip('"'))
    return "ascii"


def _written_as(charset: str) -> str | None:
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
    """The sending side of one response that gets the fragments if it turns out to be a full document.

    Which response may be one, :func:`injectable` tells; which is one, and where in it the fragment belongs,
    :class:`~cookie_consent.base.html.document.Document`.

    Args:
        send: Where the messages go on to.
        fragment: Makes the HTML, in the encoding that :func:`injectable` returned, from the value of the ``lang``
            attribute of the page's html tag, None if there is none. Called at most once; an empty text leaves
            the response as it is.
        tail: Makes what comes last in the body: before its end tag where the last message holds it, else after the
            document, which HTML takes for the same place. Called at most once, after ``fragment``. A page that gets
            nothing else keeps its validators.
    """

    def __init__(
        self,
        send: Callable[[Message], Awaitable[None]],
        fragment: Callable[[str | None], bytes],
        tail: Callable[[], bytes] = bytes,
    ) -> None:
        self._send, self._make_tail, self._tail = send, tail, b""
        self._start: Message | None = None
        self._document: Document | None = Document(fragment)

    async def send(self, message: Message) -> None:
        """Send a message on. The start waits for the bytes that tell whether they are a document."""
        if self._document is None:
            await self._send_on(message)
        elif message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(self._document, message)
        else:
            await self._make_way(self._document, message["type"])
            await self._send(message)

    async def finish(self) -> None:
        """Let go what is still held when the app has returned or raised; nothing is added to it."""
        if self._document is not None:
            held, self._document = self._document.held, None
            await self._send_start(self._start)
            await self._send_more(held)

    async def _send_body(self, document: Document, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        known = document.feed(body)
        if not more:
            known += document.close()
        if document.is_document is None:
            return
        if document.passing:
            self._document = None
        if self._start is not None:
            self._tail = self._make_tail() if document.is_document else b""
            await self._send_start(_corrected(self._start, document.fragment, self._tail))
        if known or not more:
            await self._send(self._ended({**message, "body": known} if known != body else message))

    async def _send_on(self, message: Message) -> None:
        if self._tail and message["type"] in _UNSEEN_BODIES:
            await self._send_more(self._padding())
        await self._send(self._ended(message))

    def _padding(self) -> bytes:
        """Return what keeps the announced length, where it cannot be seen any more at which byte the document ends."""
        padding, self._tail = b" " * len(self._tail), b""
        return padding

    def _ended(self, message: Message) -> Message:
        """Return a message with what comes last in the body, if it is the last one."""
        if not self._tail or message["type"] != "http.response.body" or message.get("more_body", False):
            return message
        tail, self._tail = self._tail, b""
        body = bytes(message.get("body", b""))
        at = end_of_body(body)
        return {**message, "body": b"".join((body[:at], tail, body[at:]))}

    async def _make_way(self, document: Document, kind: str) -> None:
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


def end_of_body(document: bytes) -> int:
    """Return where the end tag of the body stands in what ends a document; the end of all where it stands nowhere.

    It counts neither in a comment nor where anything but comments comes after it.
    """
    at = document.rfind(b"</body>", -_LONGEST_END)
    if at >= 0 and document[at + len(b"</body>") :] in _PLAIN_ENDS:
        # Without a "!" there is no comment. One byte is found many times faster than four.
        comment = document.rfind(b"!", -_LONGEST_END)
        if comment < 0 or document.rfind(b"<!--", -_LONGEST_END) < 0:
            return at
    end = document[-_LONGEST_END:].lower()
    at = end.rfind(b"</body")
    if at < 0 or end.rfind(b"<!--", 0, at) > end.rfind(b"-->", 0, at) or not _END_OF_BODY.fullmatch(end, at):
        return len(document)
    return len(document) - len(end) + at


def _corrected(start: Message, fragment: bytes, tail: bytes) -> Message:
    """Return the start of a response to which so much is added."""
    added = len(fragment) + len(tail)
    if not added:
        return start
    kept: list[tuple[bytes, bytes]] = []
    announced = []
    for field in start.get("headers", ()):
        lowered = field[0].lower()
        if lowered == b"content-length":
            announced.append(len(kept))
            kept.append(field)
        elif lowered not in _OF_BYTES:
            kept.append(field)
        elif lowered in _VALIDATORS and not fragment:
            kept.append((field[0], _weak(field[1])) if lowered == b"etag" else field)
    length = _LENGTH.fullmatch(kept[announced[0]][1]) if len(announced) == 1 else None
    for position in reversed(announced):
        kept[position : position + 1] = [(kept[position][0], b"%d" % (int(length[1]) + added))] if length else []
    return {**start, "headers": kept}


def _weak(etag: bytes) -> bytes:
    """Return an entity tag that says no more than that the app's page is the same (RFC 9110 section 8.8.1)."""
    return etag if etag.startswith(b"W/") else b"W/" + etag
