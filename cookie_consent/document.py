"""An HTML document while its bytes stream by, and the one place where a fragment becomes the first thing in its body.

It knows as much of the HTML standard's parser as the part before the body takes: chapter 13.2.5 for the states that
the bytes are in (a name here is the standard's name, shortened), 13.2.6.4 for what opens the body.
"""

import re
from collections.abc import Callable
from sys import maxsize

UNDECIDED_LIMIT = 65536
"""How many bytes a response has to show that it is a document; so many are held at most."""

_BOM = b"\xef\xbb\xbf"
_SPACE = r"[\t\n\f\r\ ]"
_NAMED = r"(?=[\t\n\f\r\ />])"


def _compile(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.IGNORECASE | re.DOTALL | re.VERBOSE)


# What most pages begin with, matched in one go. Only a shortcut: whatever it does not match goes through the states.
# Groups are atomic rather than possessive, which Python before 3.11.5 matches wrongly (gh-106052).
_IS = rf"{_SPACE}*+ = {_SPACE}*+"
_UNQUOTED = r"[^\t\n\f\r\ >]*+"
_ATTRIBUTE = rf"""[^\t\n\f\r\ />] [^\t\n\f\r\ />=]*+ (?:
    {_IS} (?: "[^"]*+" | '[^']*+' | (?! ["'] ) {_UNQUOTED} ) | (?! {_SPACE}*+ = ) )"""
_REST = rf"{_NAMED} (?>(?: [\t\n\f\r\ /]*+ {_ATTRIBUTE} )*) [\t\n\f\r\ /]*+ >"


def _element(name: str, unless: str = "") -> str:
    text = rf"(?>(?: [^<]++ | < (?! /{name}{_NAMED} {unless} ) )*)"
    return rf"<{name}{_REST} {text} </{name}{_REST}"


_ORDINARY = rf"""(?>(?:
    {_SPACE}++
  | < (?: meta | link | base | head ) {_REST}
  | {_element("script", unless="| !--")}
  | {_element("style")}
  | {_element("title")}
  | <!-- (?! -?> ) (?>(?: [^-]++ | - (?! -!?> ) )*) --!?>
)*)"""
_ORDINARY_START = _compile(
    rf"(?: \xEF\xBB\xBF )? {_SPACE}*+ <!doctype {_SPACE}++ html {_SPACE}*+ > {_SPACE}*+ (?P<html> <html {_REST} )"
)
_ORDINARY_HEAD = _compile(
    rf"(?= [\t\n\f\r\ <] ) {_ORDINARY} (?: (?P<left> </head {_REST} ) {_ORDINARY} )? (?P<body> <body {_REST} )?"
)
_LANGUAGE = _compile(
    rf"""<html (?>(?: [\t\n\f\r\ /]++ | (?! lang[\t\n\f\r\ />=] ) {_ATTRIBUTE} )*)
    lang {_IS} (?: "([^"]*+)" | '([^']*+)' | ({_UNQUOTED}) )"""
)
_DOCTYPE = _compile(rf"<!doctype (?: {_SPACE}*+ (?P<html> html [\t\n\f\r\ >] ) )?")

# One token of the part before the body, or what may become one when more bytes come. No name that counts is longer
# than nine letters.
_TOKEN = _compile(
    rf"""
    (?P<nothing> {_SPACE}++ | </> | <!---?> )
  | (?P<comment> <!-- (?= [^->] | -[^>] ) )
  | (?P<bogus> < (?: ! (?= [^-] | -[^-] ) | \? | / (?= [^a-z>] ) ) )
  | (?P<tag> </?[a-z] (?: [^\t\n\f\r\ />]{{0,8}} {_NAMED} | [^\t\n\f\r\ />]{{9}} ) )
  | (?P<begun> < (?: !-{{0,3}} | /?(?: [a-z][^\t\n\f\r\ />]{{0,8}} )? )? \Z )
  | (?P<text> [^<]++ | < )
    """
)


def _begun(*marks: str) -> re.Pattern[bytes]:
    """What may be the beginning of one of the marks, at the end of the bytes that are here."""
    beginnings = [re.escape(mark[:length]) for mark in marks for length in range(len(mark), 0, -1)]
    return _compile(rf"(?: {'|'.join(beginnings)} ) \Z")


def _until(pattern: str, *marks: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    return _compile(pattern), _begun(*marks) if marks else _compile(r"(?!)")


_RAW = ("title", "style", "noframes", "noscript", "textarea", "xmp", "iframe", "noembed")
_LONGEST_MARK = len("</textarea")

# In each state: what ends it, in a group with the name of the state that follows; and what may be the beginning of that.
_STATES = {
    "tag": _until(rf"(?P<done> > ) | (?P<before_name> [\t\n\f\r\ /] )"),
    "before_name": _until(r"(?P<done> > ) | (?P<name> [^\t\n\f\r\ /] )"),
    "name": _until(rf"(?P<done> > ) | (?P<before_name> / ) | (?P<after_name> {_SPACE} ) | (?P<before_value> = )"),
    "after_name": _until(
        r"(?P<done> > ) | (?P<before_name> / ) | (?P<before_value> = ) | (?P<name> [^\t\n\f\r\ ] )"
    ),
    "before_value": _until(
        r"""(?P<done> > ) | (?P<double> " ) | (?P<single> ' ) | (?P<unquoted> [^\t\n\f\r\ ] )"""
    ),
    "double": _until(r'(?P<before_name> " )'),
    "single": _until(r"(?P<before_name> ' )"),
    "unquoted": _until(rf"(?P<done> > ) | (?P<before_name> {_SPACE} )"),
    "bogus": _until(r"(?P<done> > )"),
    "comment": _until(r"--!? (?P<done> > )", "--!", "--"),
    "script": _until(rf"(?P<tag> </script{_NAMED} ) | (?P<escaped> <! (?= -- ) )", "</script", "<!--"),
    "escaped": _until(
        rf"(?P<script> --> ) | (?P<tag> </script{_NAMED} ) | (?P<double_escaped> <script{_NAMED} )",
        *("-->", "</script", "<script"),
    ),
    "double_escaped": _until(rf"(?P<script> --> ) | (?P<escaped> </script{_NAMED} )", "-->", "</script"),
    **{name: _until(rf"(?P<tag> </{name}{_NAMED} )", f"</{name}") for name in _RAW},
    "plaintext": _until(r"(?!)"),
    "frameset": _until(r"(?!)"),
}

_LEVEL, _HERE = "level", "here"  # the same again, and: this opens the body
_HEAD = {
    **dict.fromkeys((b"html", b"head", b"base", b"basefont", b"bgsound", b"link", b"meta", b"template"), _LEVEL),
    **{name: name.decode() for name in (b"title", b"style", b"script", b"noscript", b"noframes")},
    **{b"body": "body", b"frameset": "frameset"},
    **dict.fromkeys((b"/body", b"/html", b"/br"), _HERE),
}
_TEMPLATE = {name.encode(): name for name in (*_RAW, "script", "plaintext")}

# On each level: which state follows after which tag. Any other start tag opens the body, any other end tag is ignored.
_FOLLOWING = {
    "head": _HEAD,
    "after_head": _HEAD | {b"noscript": _HERE},
    "template": _TEMPLATE,
}


class Document:
    """Takes the bytes of a response and gives them back, with the fragment in them if they are a full document.

    A full document begins with ``<!doctype html>`` or a html, head or body tag; white space, comments and a UTF-8
    byte order mark may stand before it. Its fragment becomes the first thing in the body, or the last of all if it
    ends before its body. Where it has no body tag the fragment itself opens the body, so it must begin with a tag
    that may not stand in a head.

    Args:
        make: Makes the fragment from the value of the ``lang`` attribute of the html tag, None if there is none.
            Called once, when the document is recognised.
    """

    def __init__(self, make: Callable[[str | None], bytes]) -> None:
        self.is_document: bool | None = None
        """None as long as it is not known."""
        self.fragment = b""
        self.held = b""
        """The bytes that were taken and not yet given back."""
        self._make = make
        self._at = 0  # how many of the held bytes are understood
        self._mark = 0  # where the current token began, while undecided
        self._doctype = False
        self._state = "start"
        self._then = ""  # the state after the current tag or comment
        self._head = "head"
        self._depth = 0  # of templates

    @property
    def passing(self) -> bool:
        """Whether all is done: the bytes that follow are none of its business."""
        return self._state == "passing"

    def feed(self, chunk: bytes) -> bytes:
        """Take the bytes that come next, give those that may go on."""
        if self._state == "passing":
            return chunk
        data = self.held + chunk
        while self._state != "passing" and _STEPS.get(self._state, Document._look)(self, data):
            pass
        if self.is_document is None:
            if len(data) < UNDECIDED_LIMIT:
                self.held = data
                return b""
            self._decide(False)
        if self._state == "passing":
            self.held = b""
            return data[: self._at] + self.fragment + data[self._at :]
        self.held, at, self._at = data[self._at :], self._at, 0
        return data[:at]

    def close(self) -> bytes:
        """Give what is left, as no more bytes come."""
        if self._state == "passing":
            return b""
        between = self._state in _FOLLOWING
        if self.is_document is None:
            self._decide(self._doctype)
            at = self._at if between else self._mark
        else:
            at = 0 if between else len(self.held)
        rest, self.held, self._state = self.held, b"", "passing"
        return rest[:at] + self.fragment + rest[at:]

    @property
    def _level(self) -> str:
        return "template" if self._depth else self._head

    @property
    def _limit(self) -> int:
        return UNDECIDED_LIMIT if self.is_document is None else maxsize

    def _decide(self, is_document: bool, language: str | None = None) -> None:
        self.is_document = is_document
        if is_document:
            self.fragment = self._make(language)
        else:
            self._state = "passing"

    def _start(self, data: bytes) -> bool:
        if ordinary := _ORDINARY_START.match(data, 0, UNDECIDED_LIMIT):
            self._mark, self._at = ordinary.start("html"), ordinary.end()
            return self._html(data)
        if _BOM.startswith(data):
            return False
        self._state, self._at = "head", len(_BOM) if data.startswith(_BOM) else 0
        return True

    def _html(self, data: bytes) -> bool:
        found = _LANGUAGE.match(data, self._mark)
        language = found[found.lastindex or 0] if found else b""
        self._decide(True, language.decode("utf-8", "replace") or None)
        self._state = "head"
        return True

    def _declared(self, data: bytes) -> bool:
        if not self._doctype and (found := _DOCTYPE.match(data, self._mark)):
            if not found["html"]:
                self._decide(False)
                return False
            self._doctype = True
        self._state = self._level
        return True

    def _between(self, data: bytes) -> bool:
        if self.is_document and not self._depth and self._ordinary(data):
            return False
        token = _TOKEN.match(data, self._at, self._limit)
        if token is None or token.lastgroup == "begun":
            return False
        if token.lastgroup == "tag":
            return self._tag(token.start(), token.end(), token["tag"][1:].lower())
        if token.lastgroup == "text" and not self._depth:
            return self._here(data)
        if token.lastgroup in ("comment", "bogus"):
            self._state = token.lastgroup
            self._then = "declared" if self.is_document is None else self._level
        self._mark, self._at = token.span()
        return True

    def _ordinary(self, data: bytes) -> bool:
        if not (found := _ORDINARY_HEAD.match(data, self._at)):
            return False
        self._at = found.end()
        if found["left"]:
            self._head = self._state = "after_head"
        if found["body"]:
            self._state = "passing"
        return self._state == "passing"

    def _tag(self, start: int, end: int, name: bytes) -> bool:
        other = _LEVEL if self._depth or name.startswith(b"/") else _HERE
        follows = _FOLLOWING[self._level].get(name, other)
        if self.is_document is None:
            if name == b"html":
                follows = "html"
            else:
                self._decide(self._doctype or name in (b"head", b"body"))
        if self._state == "passing":
            return False
        if follows == _HERE:
            return self._here(b"")
        self._nest(name)
        self._mark, self._at, self._state = start, end, "tag"
        self._then = self._level if follows == _LEVEL else follows
        return True

    def _nest(self, name: bytes) -> None:
        if name == b"template":
            self._depth += 1
        elif name == b"/template" and self._depth:
            self._depth -= 1
        elif name == b"/head" and not self._depth:
            self._head = "after_head"

    def _here(self, _: bytes) -> bool:
        if self.is_document is None:
            self._decide(self._doctype)
        self._state = "passing"
        return False

    def _look(self, data: bytes) -> bool:
        end, beginning = _STATES[self._state]
        if found := end.search(data, self._at, self._limit):
            self._at = found.end()
            if found.lastgroup == "done":
                self._state, self._then = self._then, self._level
            else:
                self._state = found.lastgroup or ""
            return True
        begun = beginning.search(data, max(self._at, len(data) - _LONGEST_MARK), self._limit)
        self._at = begun.start() if begun else len(data)
        return False


_STEPS: dict[str, Callable[[Document, bytes], bool]] = {
    "start": Document._start,
    "html": Document._html,
    "declared": Document._declared,
    "body": Document._here,
    **dict.fromkeys(_FOLLOWING, Document._between),
}
