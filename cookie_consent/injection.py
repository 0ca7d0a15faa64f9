"""Puts a fragment into the HTML documents that an app sends, at the level of raw ASGI messages."""

import codecs
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from cookie_consent.document import Document

Headers = Sequence[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]

_NO_WHOLE_BODY = frozenset({204, 205, 206})
_PARAMETER = re.compile(r';\s*([^=;]*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ASCII = bytes(byte for byte in range(128) if byte != ord("\\"))

# In these an ASCII byte may be half of another character.
_SHIFTING = ("iso2022", "hz")

# They speak of the bytes that the app sent. Without a validator nobody is told 304 for a page with a question
# that has been answered since.
_OF_OTHER_BYTES = frozenset(
    {
        *(b"etag", b"last-modified", b"accept-ranges"),
        *(b"content-md5", b"digest", b"content-digest", b"repr-digest"),
    }
)
_UNSEEN_BODIES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
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
            encoding = _html_encoding(value)
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
def _html_encoding(content_type: bytes) -> str | None:
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
    """The sending side of one response that gets the fragment if it turns out to be a full document.

    Which response may be one, :func:`injectable` tells; which is one, and where in it the fragment belongs,
    :class:`~cookie_consent.document.Document`.

    Args:
        send: Where the messages go on to.
        fragment: Makes the HTML, in the encoding that :func:`injectable` returned, from the value of the ``lang``
            attribute of the page's html tag, None if there is none. Called at most once; an empty text leaves
            the response as it is.
    """

    def __init__(self, send: Callable[[Message], Awaitable[None]], fragment: Callable[[str | None], bytes]) -> None:
        self._send = send
        self._start: Message | None = None
        self._document: Document | None = Document(fragment)

    async def send(self, message: Message) -> None:
        """Send a message on. The start waits for the bytes that tell whether they are a document."""
        if self._document is None:
            await self._send(message)
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
        await self._send_start(_corrected(self._start, document.fragment))
        if known or not more:
            await self._send({**message, "body": known} if known != body else message)

    async def _make_way(self, document: Document, kind: str) -> None:
        if self._start is not None:
            await self.finish()
        elif document.is_document and kind in _UNSEEN_BODIES:
            self._document = None
            await self._send_more(document.close())

    async def _send_start(self, start: Message | None) -> None:
        self._start = None
        if start is not None:
            await self._send(start)

    async def _send_more(self, body: bytes) -> None:
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _corrected(start: Message | None, fragment: bytes) -> Message | None:
    if start is None or not fragment:
        return start
    headers = list(start.get("headers", ()))
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    length = _LENGTH.fullmatch(lengths[0]) if len(lengths) == 1 else None
    kept = []
    for name, value in headers:
        lowered = name.lower()
        if lowered != b"content-length" and lowered not in _OF_OTHER_BYTES:
            kept.append((name, value))
        elif lowered == b"content-length" and length:
            kept.append((name, b"%d" % (int(length[1]) + len(fragment))))
    return {**start, "headers": kept}
