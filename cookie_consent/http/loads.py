"""Finds what a document loads from other hosts, as it stands in its HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cookie_consent.http.insert import COMMENT_TEXT, REST, SCRIPT_TEXT, SPACE, compile_html, match_text, read_attributes

_SOURCES = {
    **dict.fromkeys(("iframe", "frame"), ("frame", ("src",))),
    **dict.fromkeys(("img", "input"), ("img", ("src", "srcset"))),
    **dict.fromkeys(("video", "audio", "source", "track"), ("media", ("src", "srcset", "poster"))),
    "script": ("script", ("src",)),
    "link": ("style", ("href",)),
    "form": ("form", ("action",)),
    "embed": ("object", ("src",)),
    "object": ("object", ("data",)),
    "style": ("style", ()),
}
"""Element -> the directive of a Content-Security-Policy for what it loads, and the attributes that name it."""
_LINKS = {b"stylesheet": "style", b"icon": "img"}
"""What a link is, if browsers load it at once -> the directive."""
_RUNS = (b"", b"module")
"""Types of scripts that run, beside those that end with "script"."""
_TAG = compile_html(
    rf"""<!-- (?: -?> | {COMMENT_TEXT} ) | < (?: ! | \? | / (?! [a-z] ) ) [^>]*+
  | < (?P<name> /?[a-z] [^{SPACE}/>]*+ ) (?: (?P<rest> {REST} ) | .* )"""
)
"""A comment or a tag. One that never ends goes on to the end of the document."""
_TEXTS = {"script": compile_html(SCRIPT_TEXT)}
"""Element whose content is text -> the pattern of this text."""
for _name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"):
    _TEXTS[_name] = compile_html(match_text(_name))
_IN_TEXT = {
    "style": ("@import", compile_html(r"""@import \s++ (?: url\( \s*+ )? ["']? ( [^"')\s;]++ )""")),
    "script": ("", compile_html(r"""["'`] ( [a-z:]*+ // [^"'`\s/]++ / [^"'`\s?]* \.js (?: \? | (?= ["'`] ) ) )""")),
}
"""Element -> what stands for the attribute, and the pattern of what its text loads."""
_ADDRESS = compile_html(
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


def find_loads(document: bytes) -> Iterator[Load]:
    """Yield what a document loads from addresses with a host. Comments, templates and what waits do not count."""
    templates = 0
    at = 0
    while tag := _TAG.search(document, at):
        at = tag.end()
        name = (tag["name"] or b"").lower().decode("latin-1")
        text = b""
        if name in _TEXTS and (match := _TEXTS[name].match(document, at)):
            text = match[0]
            at = match.end()
        if name == "template":
            templates += 1
        elif name == "/template":
            templates = max(0, templates - 1)
        elif not templates and name in _SOURCES and tag["rest"] is not None:
            yield from _read_element(name, read_attributes(tag["rest"]), text)


def _read_element(name: str, attributes: Mapping[bytes, bytes], text: bytes) -> Iterator[Load]:
    directive, sources = _SOURCES[name]
    kind = attributes.get(b"type", b"").strip().lower()
    if name == "script" and kind not in _RUNS and not kind.endswith(b"script"):
        return
    if name == "link":
        directive = ""
        for word in attributes.get(b"rel", b"").lower().split():
            directive = directive or _LINKS.get(word, "")
    found = [(attribute, attributes.get(attribute.encode(), b"")) for attribute in sources]
    if name in _IN_TEXT and b"src" not in attributes:
        stands_for, pattern = _IN_TEXT[name]
        found += [(stands_for, match[1]) for match in pattern.finditer(text)]
    for attribute, value in found:
        match = _ADDRESS.match(value)
        if match is not None and directive:
            scheme = (match["scheme"] or b"https").decode().lower()
            host = match["host"].decode().lower()
            # A query may name a visitor.
            address = match["address"].decode("latin-1") + ("?..." if match["query"] else "")
            yield Load(name, attribute, address, f"{scheme}://{host}", host, directive)
