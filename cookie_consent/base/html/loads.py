"""Finds what a document loads from other hosts, as it stands in its HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cookie_consent.base.html.elements import elements
from cookie_consent.base.html.syntax import attributes, compiled

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
_IMPORT = compiled(r"""@import \s++ (?: url\( \s*+ )? ["']? ( [^"')\s;]++ )""")
_OTHER_SCRIPT = compiled(r"""["'`] ( [a-z:]*+ // [^"'`\s/]++ / [^"'`\s?]* \.js (?: \? | (?= ["'`] ) ) )""")
_IN_TEXT = {"style": ("@import", "style", _IMPORT), "script": ("", "script", _OTHER_SCRIPT)}
"""Element -> what stands for the attribute, the directive, and what its text loads."""
_ADDRESS = compiled(
    r"""\s* (?P<address> (?: (?P<scheme> https? ) : )? // (?: [^/?\#@\s]*+ @ )?
    (?P<host> [a-z0-9.-]{1,256} ) (?: : [0-9]+ )? (?= [/?\#,\s] | \Z ) [^?\#,\s]*+ ) (?P<query> \? )?"""
)


class Load(NamedTuple):
    """What a document loads.

    Args:
        element: the name of the element.
        attribute: the name of its attribute; "" for what the text of a script names.
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
    templates = 0
    for name, rest, _, begin, end, _ in elements(document):
        if name.endswith("template"):
            templates = max(0, templates + (-1 if name[0] == "/" else 1))
        elif not templates and (name in _IN_TEXT or b"//" in rest):
            values = attributes(rest)
            if name == "script" and not _runs(values):
                continue
            yield from _of_tag(name, values)
            if name in _IN_TEXT and b"src" not in values:
                yield from _of_text(name, document[begin:end])


def _of_tag(name: str, values: Mapping[bytes, bytes]) -> Iterator[Load]:
    if name not in _SOURCES:
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


def _of_text(name: str, text: bytes) -> Iterator[Load]:
    attribute, directive, pattern = _IN_TEXT[name]
    for match in pattern.finditer(text):
        if load := _load(name, attribute, match[1], directive):
            yield load


def _runs(script: Mapping[bytes, bytes]) -> bool:
    kind = script.get(b"type", b"").strip().lower()
    return kind in (b"", b"module") or kind.endswith(b"script")


def _load(element: str, attribute: str, value: bytes, directive: str) -> Load | None:
    match = _ADDRESS.match(value)
    if match is None:
        return None
    scheme, host = (match["scheme"] or b"https").decode().lower(), match["host"].decode().lower()
    # A query may name a visitor.
    address = match["address"].decode("latin-1") + ("?..." if match["query"] else "")
    return Load(element, attribute, address, f"{scheme}://{host}", host, directive)
