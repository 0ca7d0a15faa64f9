"""Reads in an HTML page or a style sheet what browsers store and load because of it, and where it leads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from urllib.parse import urljoin

from cookie_consent.audit.script import FILE, LINK, REQUEST, Sight, read_script, shorten

_ADDRESSES = {
    "audio": (("src", "media"),),
    "body": (("background", "img"),),
    "embed": (("src", "object"),),
    "feimage": (("href", "img"), ("xlink:href", "img")),
    "frame": (("src", "frame"),),
    "iframe": (("src", "frame"),),
    "image": (("href", "img"), ("xlink:href", "img")),
    "img": (("src", "img"), ("srcset", "img")),
    "input": (("src", "img"),),
    "object": (("data", "object"),),
    "script": (("src", "script"),),
    "source": (("src", "media"), ("srcset", "img")),
    "track": (("src", "media"),),
    "use": (("href", "img"), ("xlink:href", "img")),
    "video": (("src", "media"), ("poster", "img")),
}
"""Element -> its attributes that browsers load from by themselves, and their directives."""
_LINK_RELATIONS = {
    "stylesheet": "style",
    "icon": "img",
    "apple-touch-icon": "img",
    "manifest": "manifest",
    "modulepreload": "script",
    "preload": "",
    "prefetch": "",
    "preconnect": "",
    "dns-prefetch": "",
}
_TEXT_ELEMENTS = ("textarea", "title", "xmp", "noembed", "noframes")
_RUNS = ("", "module")
_STYLE_LOADS = re.compile(
    r"""/\* .*? \*/ | (?: @import \s+ (?: url\( )? | url\( ) \s* ["']? (?P<name> [^"')\s;]+ )""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_REFRESH = re.compile(r"\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"']+)", re.IGNORECASE)


def read_style(text: str, base: str, first_line: int = 1, by: str = "") -> Iterator[Sight]:
    """Yield what a style sheet loads.

    Args:
        text: its text.
        base: the address that its addresses are relative to.
        first_line: the line of the document that the text begins on.
        by: the tag that it stands in; "" for a file.
    """
    for match in _STYLE_LOADS.finditer(text):
        if match["name"] and not match["name"].startswith("data:"):
            line = first_line + text.count("\n", 0, match.start())
            is_sheet = match[0].lower().startswith("@import")
            yield Sight(
                REQUEST,
                urljoin(base, match["name"]),
                line,
                by or shorten(match[0]),
                directive="style" if is_sheet else "",
            )


class Document(HTMLParser):
    """Reads a page. Comments, templates, and scripts that do not run count only if they wait for a purpose.

    Args:
        address: the address of the page.
        text: its text.

    Attributes:
        sights: what the page does, in its order.
    """

    def __init__(self, address: str, text: str) -> None:
        super().__init__()
        self._base = address
        self.sights: list[Sight] = []
        self._waiting: list[tuple[str, ...] | None] = []
        self._text_of = ""
        self._code: tuple[str, str, tuple[str, ...]] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read a tag."""
        attributes = {name: value or "" for name, value in reversed(attrs)}
        purposes = tuple(attributes.get("data-purpose", "").split())
        if tag == "template":
            self._waiting.append(purposes or None)
            return
        if self._text_of or None in self._waiting:
            return
        if tag in _TEXT_ELEMENTS:
            self._text_of = tag
        elif tag == "base" and "href" in attributes:
            self._base = urljoin(self._base, attributes["href"])
        else:
            self._read_element(tag, attributes, purposes)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._code = None
        if tag == self._text_of:
            self._text_of = ""
        elif tag == "template" and self._waiting:
            self._waiting.pop()

    def handle_data(self, data: str) -> None:
        """Read the text of a script or a style."""
        if self._code is not None:
            tag, by, purposes = self._code
            line = self.getpos()[0]
            found = read_script(data, line) if tag == "script" else read_style(data, self._base, line, by)
            self.sights += [sight._replace(purposes=self._purposes(purposes)) for sight in found]

    def _purposes(self, own: tuple[str, ...] = ()) -> tuple[str, ...]:
        return (*own, *(purpose for waiting in self._waiting for purpose in waiting or ()))

    def _read_element(self, tag: str, attributes: Mapping[str, str], purposes: tuple[str, ...]) -> None:
        kind = attributes.get("type", "").strip().lower()
        if tag == "script" and kind not in _RUNS and not kind.endswith("script") and not purposes:
            return
        if tag in ("script", "style") and "src" not in attributes and "data-src" not in attributes:
            self._code = (tag, shorten(self.get_starttag_text() or ""), purposes)
        found = [
            Sight(name, urljoin(self._base, address.strip()), 0, "", directive=directive)
            for name, address, directive in _list_addresses(tag, attributes, waits=bool(purposes))
        ]
        for name, value in attributes.items():
            found += self._read_attribute(name, value)
        if found:
            line, by = self.getpos()[0], shorten(self.get_starttag_text() or "")
            self.sights += [it._replace(line=line, by=by, purposes=self._purposes(purposes)) for it in found]

    def _read_attribute(self, name: str, value: str) -> Iterable[Sight]:
        if name.startswith("on"):
            return read_script(value)
        if name == "style":
            return read_style(value, self._base)
        return Document(self._base, value).sights if name == "srcdoc" else ()


def _list_addresses(tag: str, attributes: Mapping[str, str], *, waits: bool) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the address and the directive of all that an element names."""
    yield from _list_links(tag, attributes)
    if tag == "input" and attributes.get("type", "").lower() != "image":
        return
    kind = FILE if tag in ("script", "iframe", "frame") else REQUEST
    for name, directive in _ADDRESSES.get(tag, ()):
        for value in filter(None, (attributes.get(name), attributes.get(f"data-{name}") if waits else None)):
            yield from ((kind, address, directive) for address in _candidates(name, value))


def _list_links(tag: str, attributes: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    if tag in ("a", "area") and "href" in attributes:
        yield LINK, attributes["href"], ""
    elif tag == "link" and "href" in attributes:
        relations = attributes.get("rel", "").lower().split()
        for directive in [_LINK_RELATIONS[relation] for relation in relations if relation in _LINK_RELATIONS][:1]:
            yield FILE if directive == "style" else REQUEST, attributes["href"], directive
    elif attributes.get("http-equiv", "").lower() == "refresh" and (
        match := _REFRESH.match(attributes.get("content", ""))
    ):
        yield LINK, match[1], ""


def _candidates(name: str, value: str) -> list[str]:
    """Return the addresses in an attribute: several in a srcset."""
    if name != "srcset":
        return [value]
    return [part.split()[0] for part in re.split(r",\s+|,(?=\s*https?:|\s*//)", value) if part.split()]
