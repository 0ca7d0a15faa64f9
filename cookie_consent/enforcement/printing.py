"""Prints what waits in the `<template data-purpose>` tags of a page, where its purposes are allowed.

A script does the same in browsers that run it. Without it, this is how the visitor gets what was granted.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping

from cookie_consent.base.html.injection import Message, without_fields_of_bytes
from cookie_consent.base.html.syntax import IS, NAMED, RAW, REST, SPACE, UNQUOTED, compiled, within

# Relevant tag names have at most nine letters.
_TOKEN = compiled(
    rf"""
    (?P<begun> < (?: !-{{0,3}} | /?(?: [a-z][^{SPACE}/>]{{0,8}} )? )? \Z )
  | (?P<comment> <!-- (?! -?> ) )
  | (?P<bogus> < (?: ! (?! -- ) | \? | / (?= [^a-z>] ) ) )
  | (?P<tag> < (?P<name> /?[a-z] (?: [^{SPACE}/>]{{0,8}} {NAMED} | [^{SPACE}/>]{{9}} ) ) )
    """
)
_REST = compiled(REST)
_ATTRIBUTE = compiled(
    rf"""[{SPACE}/]*+ (?P<name> [^{SPACE}/>] [^{SPACE}/>=]*+ )
    (?: {IS} (?: "([^"]*+)" | '([^']*+)' | (?! ["'] ) ({UNQUOTED}) ) )?"""
)
_LIKE_TEXT = {name.encode(): name for name in (*RAW, "script", "plaintext")}
_NOT_OURS = (b"shadowrootmode", b"data-service")
_LONGEST_TAG = 8192
"""Bytes. No more are held for the end of a template's tag."""


def is_waiting(page: bytes) -> bool:
    """Return whether a page may have content that waits for a purpose."""
    return b"data-purpose" in page or b"DATA-PURPOSE" in page


def printed(page: bytes, purposes: Mapping[str, bool]) -> bytes:
    """Return a whole page with its templates printed; see `Printing`."""
    return Printing(purposes).feed(page, is_last=True)


class PrintedPage:
    """Sends a response with the templates of its page printed; see `Printing`.

    A page in which something may be printed gets no validator. A 304 would show what was printed after a withdrawal.

    Args:
        send: the ASGI send function.
        purposes: returns which purposes are allowed, when the page begins.
    """

    def __init__(self, send: Callable[[Message], Awaitable[None]], purposes: Callable[[], Mapping[str, bool]]) -> None:
        self._send, self._purposes = send, purposes
        self._printing: Printing | None = None
        self._start: Message | None = None
        self._is_passing = False

    async def send(self, message: Message) -> None:
        """Send a message. The start is held until the body begins, and the beginning of a tag until its end comes."""
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and not self._is_passing:
            await self._send_body(message)
        else:
            self._is_passing = self._is_passing or self._start is not None  # it went without its body
            await self.finish()
            await self._send(message)

    async def finish(self) -> None:
        """Send what is still held."""
        await self._send_start()
        if self._printing is not None and (held := self._printing.feed(b"", is_last=True)):
            await self._send({"type": "http.response.body", "body": held, "more_body": True})

    async def _send_body(self, message: Message) -> None:
        body, is_last = bytes(message.get("body", b"")), not message.get("more_body", False)
        if self._printing is not None or not is_last or is_waiting(body):
            self._printing = self._printing or Printing(self._purposes())
            message = {**message, "body": self._printing.feed(body, is_last=is_last)}
        await self._send_start()
        await self._send(message)

    async def _send_start(self) -> None:
        start, self._start = self._start, None
        if start is not None:
            await self._send(start if self._printing is None else without_fields_of_bytes(start))


class Printing:
    """Replaces the tags of templates whose purposes are all allowed with spaces, in the bytes of a page.

    The page keeps its length. What is in a template that stays one stays as it is. So do a declarative shadow root
    (HTML section 4.12.3), and a template with `data-service`, whose recipient only the script knows.

    Args:
        purposes: purpose id -> whether it is allowed.
    """

    def __init__(self, purposes: Mapping[str, bool]) -> None:
        self._purposes = purposes
        self._held = b""
        self._at = 0  # how many of the held bytes are read
        self._state = self._then = ""  # "" between tags, else a state of `within`
        self._printed: list[bool] = []  # for each template that is open: whether it is printed

    def feed(self, chunk: bytes, *, is_last: bool) -> bytes:
        """Take the next bytes of the page and return those that can be sent.

        Args:
            chunk: the bytes.
            is_last: whether no more follow.
        """
        data, blanks = bytearray(self._held + chunk), list[tuple[int, int]]()
        held = bytes(data)
        while self._within(held) if self._state else self._between(held, blanks):
            pass
        for begin, end in blanks:
            data[begin:end] = b" " * (end - begin)
        read, self._at = len(data) if is_last else self._at, 0
        self._held = held[read:]
        return bytes(data[:read])

    # Each step reads some of the bytes and returns whether another step may follow.

    def _within(self, data: bytes) -> bool:
        then, self._at = within(self._state, data, self._at)
        if then == "done":
            self._state, self._then = self._then, ""
        elif then:
            self._state = then
        return bool(then)

    def _between(self, data: bytes, blanks: list[tuple[int, int]]) -> bool:
        at = data.find(b"<", self._at)
        self._at = at if at >= 0 else len(data)
        token = _TOKEN.match(data, self._at) if at >= 0 else None
        if token is None:
            self._at += at >= 0  # a "<" of the text
            return at >= 0
        if token.lastgroup == "begun":
            return False
        if token["name"]:
            return self._tag(data, token["name"].lower(), token.end(), blanks)
        self._state, self._at = str(token.lastgroup), token.end()
        return True

    def _tag(self, data: bytes, name: bytes, end: int, blanks: list[tuple[int, int]]) -> bool:
        rest = _REST.match(data, end)
        if name in (b"template", b"/template"):
            if rest is None and len(data) - end < _LONGEST_TAG:
                return False
            is_printed = self._enter(rest[0] if rest else b"") if name == b"template" else self._leave()
            if is_printed and rest:
                blanks.append((self._at, rest.end()))
        like_text = _LIKE_TEXT.get(name, "")
        self._at, self._state, self._then = (rest.end(), like_text, "") if rest else (end, "tag", like_text)
        return True

    def _enter(self, attributes: bytes) -> bool:
        """Return whether to print the template that begins with these attributes."""
        found: dict[bytes, bytes] = {}
        for match in _ATTRIBUTE.finditer(attributes):
            # Of several attributes of one name, the first counts (section 13.2.5.33).
            found.setdefault(match["name"].lower(), match[match.lastindex or 0])
        needed = html.unescape(found.get(b"data-purpose", b"").decode("utf-8", "replace")).split()
        is_allowed = bool(needed) and all(self._purposes.get(purpose, False) for purpose in needed)
        is_around = all(self._printed[-1:])  # printed itself only if all around it are
        self._printed.append(is_allowed and is_around and found.keys().isdisjoint(_NOT_OURS))
        return self._printed[-1]

    def _leave(self) -> bool:
        return bool(self._printed) and self._printed.pop()
