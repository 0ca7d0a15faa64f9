"""Finds what a document loads from other hosts, as it stands in its HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cookie_consent.base.html.syntax import NAMED, REST, SPACE, STATES, attributes, compiled, within

_SOURCES = {
    **dict.fromkeys(("iframe", "frame"), ("frame", ("src",))),
    **dict.fromkeys(("img", "input"), ("img", ("src", "srcset"))),
    **dict.fromkeys(("video", "audio", "source", "track"), ("media", ("src", "srcset", "poster"))),
    "script": ("script", ("src",)),
    "link": ("style", ("href",)),
    "form": ("form", ("action",)),
    "embed": ("object", ("src",)),
    "object": ("object", ("data",)),
}
"""Element -> the directive of a Content-Security-Policy for what it loads, and the attributes that name it."""
_OF_LINKS = {b"stylesheet": "style", b"icon": "img"}
"""What a link is, if browsers load it at once -> the directive."""
_WITH_TEXT = ("script", "iframe", "style", "title", "textarea", "xmp", "noembed", "noframes", "/?template")
"""Elements whose content is no HTML that loads."""
_NAMES = "|".join([*_WITH_TEXT, *_SOURCES])
_PLAIN = rf"""(?>(?: [^"'<>=]++ | = (?: "[^"]*+" | [^"'<>{SPACE}]++ ) )*) >"""
_NEXT = compiled(
    rf"""(?>(?: [^<]++ | < (?! !-- | (?: {_NAMES} ) {NAMED} ) (?: /? [a-z] (?: {_PLAIN} | [^{SPACE}/>]*+ {REST} ) )? )*)
    < (?: !-- | (?P<name> {_NAMES} ) (?P<rest> {REST} )? )"""
)
"""The next comment or relevant tag, behind text and other tags."""
_RUNS = compiled(r"\s* (?: module | .*script )? \s*")
"""The types of scripts that browsers load."""
_IMPORT = compiled(r"""@import \s+ (?: url\( )? \s* ["']? ( [^"')\s;]+ )""")
_ADDRESS = compiled(
    r"""\s* (?P<address> (?: (?P<scheme> https? ) : )? // (?: [^/?\#@\s]*+ @ )?
    (?P<host> [a-z0-9.-]{1,256} ) (?: : [0-9]+ )? (?= [/?\#,\s] | \Z ) [^?\#,\s]*+ ) (?P<query> \? )?"""
)


class Load(NamedTuple):
    """What a document loads.

    Args:
        element: the name of the element.
        attribute: the name of its attribute.
        address: the address in it, with dots for a query.
        origin: the origin of the address.
        host: its host, in lowercase.
        directive: the directive of a Content-Security-Policy that it is under, without "-src".
    """

    element: str
    attribute: str
    address: str
    origin: str
    host: str
    directive: str


def loads(document: bytes) -> Iterator[Load]:
    """Yield what a document loads from addresses with a host. Comments, templates and what waits do not count."""
    at = templates = 0
    while match := _NEXT.match(document, at):
        at, name = match.end(), (match["name"] or b"").lower().decode()
        if not name:
            at = _end("comment", document, at - len(b"--"))
        elif name.endswith("template"):
            templates = max(0, templates + (-1 if name[0] == "/" else 1))
        elif not templates and b"//" in (match["rest"] or b""):
            yield from _of_tag(name, attributes(match["rest"]))
        if name in STATES:
            begin, at = at, _end(name, document, at)
            if name == "style" and not templates:
                found = (_load(name, "@import", it[1], "style") for it in _IMPORT.finditer(document, begin, at))
                yield from filter(None, found)


def _end(state: str, document: bytes, at: int) -> int:
    """Return where a comment or the text of an element ends."""
    while state not in ("tag", "done", ""):
        state, at = within(state, document, at)
    return at


def _of_tag(name: str, values: Mapping[bytes, bytes]) -> Iterator[Load]:
    if name not in _SOURCES or (name == "script" and not _RUNS.fullmatch(values.get(b"type", b""))):
        return
    directive, names = _SOURCES[name]
    if name == "link":
        kinds = [_OF_LINKS[word] for word in values.get(b"rel", b"").lower().split() if word in _OF_LINKS]
        if not kinds:
            return
        directive = kinds[0]
    for attribute in names:
        if load := _load(name, attribute, values.get(attribute.encode(), b""), directive):
            yield load


def _load(element: str, attribute: str, value: bytes, directive: str) -> Load | None:
    match = _ADDRESS.match(value)
    if match is None:
        return None
    scheme, host = (match["scheme"] or b"https").decode().lower(), match["host"].decode().lower()
    # A query may name a visitor.
    address = match["address"].decode("latin-1") + ("?..." if match["query"] else "")
    return Load(element, attribute, address, f"{scheme}://{host}", host, directive)
