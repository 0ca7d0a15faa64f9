"""Finds the beginning of the body in a streamed HTML document, to insert a fragment there.

It parses a document up to its body as the HTML standard does. The states are those of section 13.2.5, with shorter
names; section 13.2.6.4 defines what opens the body.
"""

import re
from collections.abc import Callable
from sys import maxsize

from cookie_consent.base.bounds import LONGEST_TAG, evict_if_full
from cookie_consent.base.html.elements import elements
from cookie_consent.base.html.syntax import NAMED, RAW, REST, SPACE, attributes, compiled, within

UNDECIDED_LIMIT = 65536
"""Bytes within which a response must prove to be a document; no more are buffered."""

_BOM = b"\xef\xbb\xbf"


def _element(name: str, unless: str = "") -> str:
    text = rf"(?>(?: [^<]++ | < (?! /{name}{NAMED} {unless} ) )*)"
    return rf"{name} {REST} {text} </{name} {REST}"


# A shortcut that matches the beginning of most pages in one go. Other pages go through the states.
_ORDINARY = rf"""[{SPACE}]*+ (?>(?: < (?:
    (?: meta | link | base | head ) {REST}
  | {_element("script", unless="| !--")}
  | {_element("style")}
  | {_element("title")}
  | !-- (?! -?> ) (?>(?: [^-]++ | - (?! -!?> ) )*) --!?>
) [{SPACE}]*+ )*)"""
_ORDINARY_START = compiled(
    rf"(?: \xEF\xBB\xBF )? [{SPACE}]*+ <!doctype [{SPACE}]++ html [{SPACE}]*+ > [{SPACE}]*+ (?P<html> <html {REST} )"
)
_ORDINARY_HEAD = compiled(
    rf"(?= [{SPACE}<] ) {_ORDINARY} (?: (?P<left> </head {REST} ) {_ORDINARY} )? (?P<body> <body {REST} )?"
)
_DOCTYPE = compiled(rf"<!doctype (?: [{SPACE}]*+ (?P<html> html [{SPACE}>] ) )?")

# What may come before the beginning of the head's content. A `<meta charset>` stays first, because browsers look for it
# in the first 1024 bytes only.
_BEFORE_HEAD = compiled(rf"(?> [{SPACE}]++ | <!-- (?! -?> ) (?>(?: [^-]++ | - (?! -!?> ) )*) --!?> )*")
_HEAD_TAG = compiled(rf"<head {REST}")
_CHARSET = compiled(rf"[{SPACE}]*+ <meta (?= [{SPACE}]++ charset [{SPACE}=] ) {REST}")
_OTHER_META = compiled(rf"[{SPACE}]*+ <meta {REST}")
_UNFINISHED = compiled(rf"[{SPACE}]*+ (?: <? \Z | <[a-z]{{1,4}} \Z | <!-{{0,2}} \Z | <!-- | <(?:head|meta) {NAMED} )")
_LONGEST_HEAD_TAG = 8192
"""Bytes within which the tag after the html tag must end, so that no more are held."""

# One token, or the beginning of one. Relevant tag names have at most nine letters.
_TOKEN = compiled(
    rf"""
    (?P<nothing> [{SPACE}]++ | </> | <!---?> )
  | (?P<comment> <!-- (?= [^->] | -[^>] ) )
  | (?P<bogus> < (?: ! (?= [^-] | -[^-] ) | \? | / (?= [^a-z>] ) ) )
  | (?P<tag> </?[a-z] (?: [^{SPACE}/>]{{0,8}} {NAMED} | [^{SPACE}/>]{{9}} ) )
  | (?P<begun> < (?: !-{{0,3}} | /?(?: [a-z][^{SPACE}/>]{{0,8}} )? )? \Z )
  | (?P<text> [^<]++ | < )
    """
)


# Most pages of a site begin with the same bytes, and what the bytes mean depends on nothing else. So the parser's
# results are cached by these bytes. An entry always ends at the end of a tag.
_MAX_KNOWN = 256
LONGEST_KNOWN = 8192
known_starts: dict[bytes, str] = {}
"""Beginnings of documents, to the end of the html tag -> the tag's language, or ""."""
_heads: set[bytes] = set()
"""Heads, from the end of the html tag to the end of the body tag."""


def _through_tag(data: bytes, tag: bytes, start: int) -> bytes:
    """Return the bytes from `start` to the end of a tag, or nothing if they are too long to be cached."""
    place = data.find(tag, start, start + LONGEST_KNOWN)
    return data[start : data.find(b">", place, start + LONGEST_KNOWN) + 1] if place >= 0 else b""


def known_head(data: bytes, start: int) -> int:
    """Return the position after the body tag if an earlier document had the same head, else 0.

    Args:
        data: the document.
        start: the position of its head.
    """
    head = _through_tag(data, b"<body", start)
    return start + len(head) if head in _heads else 0


def start_of_open_text(document: bytes) -> int:
    """Return the position of a textarea or a title that never ends in a whole document, or -1."""
    near = max(len(document) - LONGEST_KNOWN, 0)
    for begin, end in _TEXTS:
        if document.find(begin, near) >= 0 and document.rfind(begin) > document.rfind(end):
            return next((it.start for it in elements(document) if it.is_open and it.name in ("textarea", "title")), -1)
    return -1


def start_of_head(data: bytes, at: int, *, is_all: bool = False) -> int:
    """Return the position at which the head's content begins; after a `<meta charset>` that comes first.

    Without a head tag that is where the head begins by itself. It is -1 if more bytes are needed to know.

    Args:
        data: the document.
        at: the position after the html tag.
        is_all: whether no more bytes come.
    """
    before = _end(_BEFORE_HEAD, data, at)
    tag = _end(_HEAD_TAG, data, before)
    place = tag if tag > before else at
    charset = _end(_CHARSET, data, place)
    if charset == place and not is_all and len(data) - at < _LONGEST_HEAD_TAG:
        following = max(tag, before)
        if _UNFINISHED.match(data, following) and not _OTHER_META.match(data, following):
            return -1
    return charset


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return match.end() if match else at


_TEXTS = ((b"<textarea", b"</textarea"), (b"<title", b"</title"))

# Tag -> the state that follows it. Other start tags open the body, other end tags do nothing.
_SAME, _OPENS = "same", "opens"
_STAY = (b"html", b"head", b"base", b"basefont", b"bgsound", b"link", b"meta", b"template")
_ENTER = ("title", "style", "script", "noscript", "noframes", "frameset", "body")
_HEAD = {
    **dict.fromkeys(_STAY, _SAME),
    **{name.encode(): name for name in _ENTER},
    **dict.fromkeys((b"/body", b"/html", b"/br"), _OPENS),
}
_BETWEEN = {
    "head": _HEAD,
    "after_head": _HEAD | {b"noscript": _OPENS},
    "template": {name.encode(): name for name in (*RAW, "script", "plaintext")},
}


class Document:
    """Takes the bytes of a response and returns them, with a fragment inserted if they are a full document.

    A full document begins with `<!doctype html>` or an html, head or body tag. White space, comments and a UTF-8 byte
    order mark may come first. The fragment is inserted at the beginning of the body, or at the end if the document ends
    earlier. Without a body tag the fragment itself opens the body, so it must begin with a tag that is not allowed in a
    head.

    Args:
        make: makes the fragment from the lang attribute of the html tag, or None if there is none, and the bytes
            received so far. It is called once, when the document is recognised.
        make_head: makes what to insert at the beginning of the head, before everything that can run or load. It is
            called once, before `make`.
    """

    is_document: bool | None = None
    """None while undecided. Nothing is returned until then."""
    held = b""
    """Bytes that were taken and not yet returned."""
    fragment = b""
    head = b""
    _due = b""  # the head until it is inserted
    _limit = UNDECIDED_LIMIT
    _at = 0  # how many of the held bytes are parsed
    _began = 0  # the position of the current token while undecided
    _doctype = False
    _state = "start"
    _then = ""  # the state after the current tag or comment
    _head = "head"
    _templates = 0
    _is_all = False  # whether no more bytes come
    _head_at = -1  # where the head's content begins in the held bytes, or -1: not known, or already behind

    def __init__(self, make: Callable[[str | None, bytes], bytes], make_head: Callable[[], bytes] = bytes) -> None:
        self._make, self._make_head = make, make_head

    @property
    def passing(self) -> bool:
        """Whether the work is done, so that further bytes pass unchanged."""
        return self._state == "passing"

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes and return those that can be sent."""
        if self._state == "passing":
            return chunk
        data = self.held + chunk
        if self.is_document is None:
            self.held = data
        while _STEPS.get(self._state, Document._within)(self, data):
            pass
        if self.is_document is None and len(data) >= UNDECIDED_LIMIT:
            self._decide(False)
        if self.is_document and not self.fragment and self._state != "before_head":
            self._state = "passing"
        if self._state == "passing":
            return self._whole(data)
        parsed = self._ready(data) if self.is_document else 0
        self.held = data[parsed:]
        self._at -= parsed
        self._began -= parsed
        return self._with_head(data[:parsed]) if self._due else data[:parsed]

    def _ready(self, data: bytes) -> int:
        """Return how many of the bytes can be sent.

        What is open, such as a title, waits, unless it is long: at the end of the document, the fragment comes before
        it.
        """
        is_open = self._templates or self._state not in (*_STEPS, "frameset")
        waits = is_open and self._began >= 0 and len(data) - self._began < UNDECIDED_LIMIT
        return self._began if waits else self._at

    def close(self) -> bytes:
        """Return the remaining bytes at the end of the response."""
        ready, self._is_all = b"", True
        if self._state == "before_head":
            ready = self.feed(b"")
        if self._state == "passing":
            return ready
        if self.is_document is None:
            self._decide(self._doctype)
        self._state = "passing"
        self._at = self._began if self._began >= 0 else len(self.held)
        return ready + self._whole(self.held)

    def _whole(self, data: bytes) -> bytes:
        self.held = b""
        if self._due and self._head_at < 0:
            self._head_at = self._at  # it has no head, or none whose beginning can be seen
        if self._due and self._head_at > self._at:
            return self._with_head(data)  # there is only this to insert
        before = self._with_head(data[: self._at]) if self._due else data[: self._at]
        return b"".join((before, self.fragment, data[self._at :]))

    def _with_head(self, data: bytes) -> bytes:
        """Return bytes to send, with what belongs at the beginning of the head if that is among them."""
        at = self._head_at
        if at < 0:
            return data
        due, self._due, self._head_at = self._due, b"", -1
        return b"".join((data[:at], due, data[at:]))

    def _decide(self, is_document: bool, language: str | None = None) -> None:
        self.is_document = is_document
        self._limit = maxsize
        if is_document:
            self.head = self._due = self._make_head()
            self.fragment = self._make(language, self.held)
        else:
            self._state = "passing"

    # Each step parses some of the bytes and returns whether another step may follow.

    def _start(self, data: bytes) -> bool:
        begun = _through_tag(data, b"<html", 0)
        if begun in known_starts:
            self._at = len(begun)
            return self._recognised(known_starts[begun])
        if ordinary := _ORDINARY_START.match(data, 0, UNDECIDED_LIMIT):
            self._began, self._at = ordinary.start("html"), ordinary.end()
            return self._html(data)
        if _BOM.startswith(data):
            return False
        self._state, self._at = "head", len(_BOM) if data.startswith(_BOM) else 0
        return True

    def _html(self, data: bytes) -> bool:
        language = attributes(data[self._began + len(b"<html") : self._at]).get(b"lang", b"").decode("utf-8", "replace")
        begun = _through_tag(data, b"<html", 0)
        if self._state == "start" and self._at == len(begun) and len(language) <= LONGEST_TAG:
            evict_if_full(known_starts, _MAX_KNOWN)
            known_starts[begun] = language
        return self._recognised(language)

    def _recognised(self, language: str) -> bool:
        self._decide(True, language or None)
        if self._due:
            self._state = "before_head"
            return True
        self._state = "head" if self.fragment else "passing"
        return bool(self.fragment)

    def _before_head(self, data: bytes) -> bool:
        self._head_at = start_of_head(data, self._at, is_all=self._is_all)
        if self._head_at < 0:
            return False
        self._state = "head" if self.fragment else "passing"
        return bool(self.fragment)

    def _declared(self, data: bytes) -> bool:
        match = _DOCTYPE.match(data, self._began)
        if match and not self._doctype:
            self._doctype = bool(match["html"])
            if not self._doctype:
                return self._open(data)
        self._state = "head"
        return True

    def _between(self, data: bytes) -> bool:
        if self.is_document and not self._templates and self._ordinary(data):
            return False
        if not self._templates:
            self._began = self._at
        token = _TOKEN.match(data, self._at, self._limit)
        if token is None or token.lastgroup == "begun":
            return False
        if token.lastgroup == "tag":
            return self._tag(token["tag"][1:].lower())
        if token.lastgroup == "text" and not self._templates:
            return self._open(data)
        if token.lastgroup in ("comment", "bogus"):
            self._state = token.lastgroup
            self._then = "declared" if self.is_document is None else self._level
        self._at = token.end()
        return True

    def _ordinary(self, data: bytes) -> bool:
        head = _through_tag(data, b"<body", self._at)
        if head in _heads:
            self._at += len(head)
            self._state = "passing"
            return True
        if not (match := _ORDINARY_HEAD.match(data, self._at)):
            return False
        if match["body"] and match.end() - self._at == len(head):
            evict_if_full(_heads, _MAX_KNOWN)
            _heads.add(head)
        self._at = match.end()
        if match["left"]:
            self._head = self._state = "after_head"
        if match["body"]:
            self._state = "passing"
        return self._state == "passing"

    def _tag(self, name: bytes) -> bool:
        if self.is_document is None and name != b"html":
            self._decide(self._doctype or name in (b"head", b"body"))
            if self._due:
                self._state, self._at = "before_head", self._began
                return True
        other = _SAME if self._templates or name.startswith(b"/") else _OPENS
        then = _BETWEEN[self._level].get(name, other)
        if then == _OPENS or self._state == "passing":
            return self._open(b"")
        self._at += 1 + len(name)
        self._nest(name)
        if then == _SAME:
            then = "html" if self.is_document is None else self._level
        self._state, self._then = "tag", then
        return True

    def _nest(self, name: bytes) -> None:
        if name == b"template":
            self._templates += 1
        elif name == b"/template" and self._templates:
            self._templates -= 1
        elif name == b"/head" and not self._templates:
            self._head = "after_head"

    def _open(self, _: bytes) -> bool:
        if self.is_document is None:
            self._decide(self._doctype)
        self._state = "passing"
        return False

    def _within(self, data: bytes) -> bool:
        then, self._at = within(self._state, data, self._at, self._limit)
        if then == "done":
            self._state, self._then = self._then, self._level
        elif then:
            self._state = then
        return bool(then)

    @property
    def _level(self) -> str:
        return "template" if self._templates else self._head


_STEPS: dict[str, Callable[[Document, bytes], bool]] = {
    "start": Document._start,
    "html": Document._html,
    "declared": Document._declared,
    "body": Document._open,
    "before_head": Document._before_head,
    **dict.fromkeys(_BETWEEN, Document._between),
}
