"""Inserts our markup into a page while its bytes pass. Its places are found by patterns, and nothing else changes.

A page is HTML that begins with a doctype or an html, head or body tag; other HTML is a part of a page and passes as it
is. There are four places: first in the head, before </head>, first in the body, and before </body>.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

_LONGEST_HELD = 262_144
"""Bytes that are held until an element of the head, or what comes before it, ends."""
_LONGEST_KEPT = 8192
"""Bytes of a head whose places are kept."""
_LONGEST_END = 2048
"""Bytes at the end of a page in which its last tags are looked for."""


def compile_html(pattern: str) -> re.Pattern[bytes]:
    """Return a pattern of letters in either case; spaces in it mean nothing."""
    return re.compile(pattern.encode(), re.IGNORECASE | re.DOTALL | re.VERBOSE)


# What HTML looks like (sections 13.2.5.1 to 13.2.5.50 of the standard). Each part of a pattern matches in one way only,
# so that no page takes long. Groups are atomic: Python before 3.11.5 matches possessive ones incorrectly (gh-106052).

SPACE = r"\t\n\f\r\ "
NAMED = rf"(?= [{SPACE}/>] )"
_IS = rf"[{SPACE}]*+ = [{SPACE}]*+"
_ATTRIBUTE = rf"""[^{SPACE}/>] [^{SPACE}/>=]*+ (?:
    {_IS} (?: "[^"]*+" | '[^']*+' | (?! ["'] ) [^{SPACE}>]*+ ) | (?! [{SPACE}]*+ = ) )"""
REST = rf"{NAMED} (?>(?: [{SPACE}/]*+ {_ATTRIBUTE} )*) [{SPACE}/]*+ >"
"""The rest of a tag after its name."""
COMMENT_TEXT = r"(?>(?: [^-]++ | - (?! -!?> ) )*)"
COMMENT = rf"<!-- (?: -?> | {COMMENT_TEXT} --!?> )"
_ATTRIBUTES = compile_html(
    rf"""(?P<name> [^{SPACE}/>] [^{SPACE}/>=]*+ ) (?: {_IS} (?: "([^"]*+)" | '([^']*+)' | ([^{SPACE}>]*+) ) )?"""
)
_IN_COMMENT_OF_SCRIPT = rf"""(?>(?: [^<-]++ | - (?! -> ) | < (?! /?script {NAMED} )
  | <script {NAMED} (?>(?: [^<-]++ | - (?! -> ) | < (?! /script {NAMED} ) )*) (?: </script | (?= --> ) | \Z ) )*)"""
SCRIPT_TEXT = rf"(?>(?: [^<]++ | <! (?= -- ) {_IN_COMMENT_OF_SCRIPT} | < (?! !-- | /script {NAMED} ) )*)"
_SCRIPT = rf"<script {REST} {SCRIPT_TEXT} </script {REST}"
_RAW = "title|style|noframes"
_RAW_IN_TEMPLATES = f"{_RAW}|noscript|textarea|xmp|iframe|noembed|plaintext"


def match_text(name: str) -> str:
    """Return a pattern for the content of an element that is text, up to its end tag."""
    return rf"(?>(?: [^<]++ | < (?! / {name} {NAMED} ) )*)"


def _match_raw(names: str, group: str) -> str:
    """Return a pattern for elements whose content is text."""
    same = f"(?P={group})"
    return rf"< (?P<{group}> {names} ) {REST} {match_text(same)} </ {same} {REST}"


def _match_template(inner: str, group: str) -> str:
    """Return a pattern for templates, which may have other ones in them."""
    other = rf"(?! /?template {NAMED} | (?: script|{_RAW_IN_TEMPLATES} ) {NAMED} | !-- )"
    tag = rf"< {other} (?: /?[a-z][^{SPACE}/>]*+ {REST} )?"
    raw = _match_raw(_RAW_IN_TEMPLATES, group)
    return rf"<template {REST} (?>(?: [^<]++ | {inner} | {COMMENT} | {_SCRIPT} | {raw} | {tag} )*) </template {REST}"


_TEMPLATE = _match_template(_match_template("(?!)", "raw_in_both"), "raw_in_template")
_STAYS = "meta|link|base|head|html|bgsound|basefont"
_HEAD = compile_html(rf"""(?>(?:
        [{SPACE}]++ | {COMMENT} | {_SCRIPT} | {_match_raw(_RAW, "raw")} | {_TEMPLATE}
      | < (?: {_STAYS} ) {REST}
      | < (?: ! (?! -- ) | \? | / (?= [^a-z>] ) ) [^>]*+ > | </>
      | </ (?! (?: head|body|html|br ) {NAMED} ) [a-z] [^{SPACE}/>]*+ {REST}
    )*) (?:
        (?P<end> </head {REST} )
      | (?P<body> <body {REST} )
      | (?P<noscript> {_match_raw("noscript", "raw_in_noscript")} )
      | (?P<frameset> <frameset {NAMED} )
      | (?P<begun> (?= \Z | <!-- | < [^>]*+ \Z | < (?: script|{_RAW}|noscript|template|{_STAYS}|body ) {NAMED}
          | </ (?! (?: body|html|br ) {NAMED} ) [a-z] ) )
    )?""")
"""What does not open the body, and what comes then. "Begun" is what the next bytes may change."""
_START = compile_html(rf"""(?: \xEF\xBB\xBF )? (?>(?: [{SPACE}]++ | {COMMENT} | <\? [^>]*+ > )*)
    (?P<doctype> <!doctype [{SPACE}]*+ html (?= [{SPACE}>] ) [^>]*+ > )? (?>(?: [{SPACE}]++ | {COMMENT} )*)
    (?: <html (?P<html> {REST} ) (?>(?: [{SPACE}]++ | {COMMENT} )*) )?
    (?P<head> <head {REST} )? (?: [{SPACE}]*+ <meta (?= [{SPACE}]++ charset [{SPACE}=] ) {REST} )?
    (?P<begun> (?= [{SPACE}]*+ (?! {COMMENT} | <[a-z]++ {REST} ) (?:
        \Z | <!-- | < [^>]*+ \Z | < (?: html | head | meta ) {NAMED} | \xEF \xBB? \Z ) ) )?""")
"""What comes before the content of the head. A `<meta charset>` stays first: it must be in the first 1024 bytes."""
_BODY = compile_html(rf"< (?: body ) {NAMED}")
_END_TAGS = (b"</body", b"</html")
_END = compile_html(rf"""</ (?: body | html ) [{SPACE}]*+ (?:
    > (?>(?: [{SPACE}]++ | </ (?: body | html ) [{SPACE}]*+ > | {COMMENT} )*)
    (?: </? [a-z]{{0,4}} [{SPACE}]*+ | <!.* )? )?""")
"""What ends a page, up to the end of the bytes."""
_END_BEGUN = compile_html(r"</? [a-z]{0,4}")
_LONGEST_KEPT_END = 64
"""Bytes of an end of a page whose place is kept."""


class Places(NamedTuple):
    """Where our markup goes in the first bytes of a page. A position is -1 while they do not tell.

    Args:
        is_page: whether these bytes begin a page; None while they do not tell.
        language: the lang attribute of the html tag; "" for none.
        head: where the content of the head begins.
        style: where the head ends.
        question: where the content of the body begins.
        read: how many bytes are known to hold none of the places that are -1.
        has_policy: whether the head has a Content-Security-Policy; also True while its end is not known.
    """

    is_page: bool | None
    language: str = ""
    head: int = -1
    style: int = -1
    question: int = -1
    read: int = 0
    has_policy: bool = True


_NO_PAGE = Places(is_page=False)


def find_places(data: bytes, *, is_all: bool) -> Places:
    """Return where our markup goes in a page, by its first bytes. The places in short heads are kept.

    Args:
        data: the first bytes.
        is_all: whether no more come, or no more are waited for.
    """
    cut = data.find(b">", data.find(b"<body", 0, _LONGEST_KEPT)) + 1
    if 0 < cut <= _LONGEST_KEPT:
        places = _find_kept_places(data[:cut])
        if places.question >= 0:
            return places
    return _read_places(data, is_all=is_all)


def _read_places(data: bytes, *, is_all: bool = False) -> Places:
    start = _match(_START, data, 0)
    if start["begun"] is not None and not is_all:
        return Places(is_page=None)
    at = start.end()
    if start["doctype"] is None and start["html"] is None and start["head"] is None and not _BODY.match(data, at):
        return _NO_PAGE
    language = read_attributes(start["html"] or b"").get(b"lang", b"").decode("utf-8", "replace")
    places = find_body(data, at, is_in_head=True, is_all=is_all)
    has_policy = places.question < 0 or b"content-security-policy" in data[: places.question].lower()
    return places._replace(language=language, head=at, has_policy=has_policy)


_find_kept_places = lru_cache(maxsize=256)(_read_places)


def find_body(data: bytes, at: int, *, is_in_head: bool, is_all: bool) -> Places:
    """Return where the head ends and where the body begins.

    Args:
        data: bytes of a page.
        at: the position behind a whole element of the head, or behind the head.
        is_in_head: whether the head has not ended before this position.
        is_all: whether no more bytes come, or no more are waited for.
    """
    style = -1
    found = _match(_HEAD, data, at)
    while found["end"] is not None or (found["noscript"] is not None and is_in_head):
        if found["end"] is not None and is_in_head:
            style = found.start("end")
            is_in_head = False
        found = _match(_HEAD, data, found.end())
    if found["frameset"] is not None:
        return _NO_PAGE
    at = found.end()
    if found["noscript"] is not None:
        at = found.start("noscript")
    if found["begun"] is not None and not is_all:
        return Places(is_page=True, style=style, read=at)
    if style < 0:
        style = at if found["body"] is None else found.start("body")
    return Places(is_page=True, style=style, question=at, read=at)


def _match(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
    """Return the match of a pattern each part of which is optional."""
    match = pattern.match(data, at)
    assert match is not None  # noqa: S101 (see above)
    return match


def read_attributes(tag: bytes) -> dict[bytes, bytes]:
    """Return the attributes of a tag, by their names in lowercase. Of several with a name, the first counts.

    Args:
        tag: what follows the name of the element.
    """
    attributes: dict[bytes, bytes] = {}
    for match in _ATTRIBUTES.finditer(tag):
        attributes.setdefault(match["name"].lower(), match[2] or match[3] or match[4] or b"")
    return attributes


def find_end(data: bytes, *, is_all: bool) -> int:
    """Return the position of </body> or </html> if only the end of the page follows, else the number of bytes.

    Args:
        data: bytes of a page.
        is_all: whether no more come; else a tag that has only begun may become one of these.
    """
    at = data.rfind(b"</body", -_LONGEST_KEPT_END)
    if at >= 0 and data.find(b"</html", at) > 0:
        return at + _find_kept_end(data[at:], is_all)
    at = max(len(data) - _LONGEST_END, 0)
    return at + _find_end(data[at:], is_all)


def _find_end(end: bytes, is_all: bool) -> int:
    """Return the position of </body> or </html> in the last bytes of a page; see `find_end`."""
    lowered = end.lower()
    for at in sorted([lowered.rfind(tag) for tag in _END_TAGS]):
        if at >= 0 and _END.fullmatch(lowered, at):
            return at
    at = lowered.rfind(b"<")
    if at >= 0 and not is_all and _END_BEGUN.fullmatch(lowered, at):
        return at
    return len(end)


_find_kept_end = lru_cache(maxsize=256)(_find_end)


class Pieces(NamedTuple):
    """What is inserted into a page.

    Args:
        head: first in the head: what vendors' tags are told.
        style: before </head>: the stylesheets.
        question: first in the body: the question, or a message.
        link: before </body>: the link to the settings.
    """

    head: bytes
    style: bytes
    question: bytes
    link: bytes


NO_PIECES = Pieces(b"", b"", b"", b"")
_STYLE = Pieces._fields.index("style")
_LINK = Pieces._fields.index("link")


class Page:
    """Takes the bytes of one page, and returns them with our markup as soon as the places before them are known.

    Args:
        render: makes the markup from what the first bytes tell. It is called at most once.

    Attributes:
        pieces: what is inserted; None while the bytes do not tell whether they begin a page.
    """

    __slots__ = ("_held", "_inserted", "_render", "pieces")

    def __init__(self, render: Callable[[Places], Pieces]) -> None:
        self.pieces: Pieces | None = None
        self._render = render
        self._held = b""
        self._inserted = 0
        """How many of the pieces are inserted."""

    def feed(self, chunk: bytes | memoryview, *, is_last: bool) -> bytes:
        """Return the bytes that can be sent now."""
        data = self._held + chunk
        self._held = b""
        is_all = is_last or len(data) > _LONGEST_HELD
        if self.pieces is None:
            places = find_places(data, is_all=is_all)
            if places.is_page is None:
                self._held = data
                return b""
            self.pieces = self._render(places) if places.is_page else NO_PIECES
            if self.pieces == NO_PIECES:
                self._inserted = len(NO_PIECES)
        elif self._inserted < _LINK:
            places = find_body(data, 0, is_in_head=self._inserted == _STYLE, is_all=is_all)
            if not places.is_page:
                self._held = data
                return self.release(pads=True)
        else:
            places = _NO_PAGE
        if self._inserted == len(NO_PIECES):
            return data
        return self._insert(data, places, self.pieces, is_last=is_last)

    def _insert(self, data: bytes, places: Places, pieces: Pieces, *, is_last: bool) -> bytes:
        ready: list[bytes] = []
        sent = 0
        for at in (places.head, places.style, places.question)[self._inserted :]:
            if at < 0:
                ready.append(data[sent : places.read])
                self._held = data[places.read :]
                return b"".join(ready)
            ready.append(data[sent:at])
            ready.append(pieces[self._inserted])
            self._inserted += 1
            sent = at
        end = len(data)
        if pieces.link:
            end = max(find_end(data, is_all=is_last), sent)
        ready.append(data[sent:end])
        if is_last:
            ready.append(pieces.link)
            ready.append(data[end:])
        else:
            self._held = data[end:]
        if is_last or not pieces.link:
            self._inserted = len(pieces)
        return b"".join(ready)

    def release(self, *, pads: bool) -> bytes:
        """Return what is held, with spaces in place of the markup that is not inserted if the length was told."""
        pieces = self.pieces or NO_PIECES
        held = self._held
        if pads:
            held += b" " * sum(map(len, pieces[self._inserted :]))
        self._held = b""
        self._inserted = len(pieces)
        return held


# How our markup is encoded.

_PARAMETER = re.compile(r';\s*([^=;]*?)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ASCII = bytes(byte for byte in range(128) if byte != ord("\\"))
_SHIFTING = ("iso2022", "hz")
"""Encodings in which an ASCII byte may be part of another character."""


@lru_cache(maxsize=256)
def find_encoding(content_type: bytes) -> str | None:
    """Return the encoding for markup in a page by its Content-Type; None if it is no HTML that can be read.

    Returns:
        "utf-8"; or "ascii" if the charset is another one or not declared; or None.
    """
    media_type, semicolon, parameters = content_type.decode("latin-1").partition(";")
    if media_type.strip().lower() != "text/html":
        return None
    charset = ""
    for name, value in reversed(_PARAMETER.findall(semicolon + parameters)):
        if name.lower() == "charset":
            charset = value.strip().strip('"')
    if not charset:
        return "ascii"
    try:
        name = codecs.lookup(charset).name
        is_like_ascii = _ASCII.decode(charset) == _ASCII.decode("ascii")
    except (LookupError, ValueError):
        return None
    if not is_like_ascii or name.startswith(_SHIFTING):
        return None
    return "utf-8" if name == "utf-8" else "ascii"
