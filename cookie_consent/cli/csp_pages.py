"""Reads pages of a running site, and says what the Content-Security-Policy of its policy file would forbid there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.error import URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from cookie_consent.cli.command import UnusableError
from cookie_consent.enforcement.csp.own_policy import OwnPolicy
from cookie_consent.enforcement.csp.parsing import ParsedPolicy, lowered
from cookie_consent.enforcement.csp.recipients import edit, recipient_sources
from cookie_consent.enforcement.csp.tags import allows_all_inline
from cookie_consent.policy.origins import covers
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.pages.stylesheet import inline_style

_LONGEST_WAIT = 10
_LARGEST_PAGE = 4_000_000
_INLINE = ""
"""In place of an address: code in the page itself."""
_SOURCES = {
    ("script", "src"): "script-src-elem",
    ("img", "src"): "img-src",
    ("input", "src"): "img-src",
    ("image", "href"): "img-src",
    ("video", "poster"): "img-src",
    ("video", "src"): "media-src",
    ("audio", "src"): "media-src",
    ("source", "src"): "media-src",
    ("track", "src"): "media-src",
    ("iframe", "src"): "frame-src",
    ("frame", "src"): "frame-src",
    ("object", "data"): "object-src",
    ("embed", "src"): "object-src",
    ("form", "action"): "form-action",
    ("button", "formaction"): "form-action",
    ("base", "href"): "base-uri",
}
"""Tag and attribute -> the directive for the address in it."""
_LINKS = {
    "stylesheet": "style-src-elem",
    "icon": "img-src",
    "manifest": "manifest-src",
    "modulepreload": "script-src-elem",
    "prefetch": "default-src",
}
_OWN_SCRIPTS = {"data-vendors", "data-choices"}
"""Attributes of our inline scripts. They are files where they may not be inline."""
_INERT_SCRIPTS = ("text/plain", "application/json", "application/ld+json")


@dataclass(frozen=True, slots=True)
class Use:
    """Something in a page that a policy may forbid.

    Args:
        directive: the directive for it.
        address: what is loaded or sent to; "" for code in the page itself.
        line: its line in the page.
    """

    directive: str
    address: str
    line: int


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A use that the policy forbids to visitors who granted nothing.

    Args:
        use: the use.
        until: whether a grant allows it.
    """

    use: Use
    until: bool


class _Reader(HTMLParser):
    """Collects the uses in a page. What is in a <template> is held back anyway."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self._address, self._templates = address, 0
        self._own_styles = {inline_style(name) for name in ("choices.css", "link.css")}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "template":
            self._templates += 1
        if self._templates:
            return
        attributes = {name: value or "" for name, value in attrs}
        for directive, address in (*_addresses(tag, attributes), *_inline(tag, attributes)):
            absolute = _absolute(self._address, address) if address else _INLINE
            if absolute is not None:
                self.uses.append(Use(directive, absolute, self.getpos()[0]))

    def handle_data(self, data: str) -> None:
        # Our own stylesheets are allowed by their hashes.
        if self.lasttag == "style" and data in self._own_styles and self.uses[-1:] and not self.uses[-1].address:
            self.uses.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag == "template" and self._templates:
            self._templates -= 1


def _absolute(base: str, address: str) -> str | None:
    """Return an absolute address, or None if it cannot be one."""
    try:
        return urlsplit(urljoin(base, address)).geturl()
    except ValueError:
        return None


def _addresses(tag: str, attributes: dict[str, str]) -> Iterator[tuple[str, str]]:
    if tag == "script" and attributes.get("type") in _INERT_SCRIPTS:
        return
    for name, value in attributes.items():
        if value and (tag, name) in _SOURCES:
            yield _SOURCES[tag, name], value
        elif name == "srcset":
            yield from (("img-src", part.split()[0]) for part in value.split(",") if part.strip())
    if tag == "link" and attributes.get("href"):
        kinds = attributes.get("rel", "").lower().split()
        yield from ((_LINKS[kind], attributes["href"]) for kind in kinds if kind in _LINKS)


def _inline(tag: str, attributes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the directives for code in a tag that has no nonce; the page has one of another response."""
    is_allowed = attributes.keys() & {"src", "nonce", *_OWN_SCRIPTS} or attributes.get("type") in _INERT_SCRIPTS
    if tag == "script" and not is_allowed:
        yield "script-src-elem", _INLINE
    if tag == "style" and "nonce" not in attributes:
        yield "style-src-elem", _INLINE
    if attributes.get("style"):
        yield "style-src-attr", _INLINE
    if any(name.startswith("on") and value for name, value in attributes.items()):
        yield "script-src-attr", _INLINE


def forbidden_on(policy: Policy, address: str) -> list[Forbidden]:
    """Return what the policy would forbid on a page.

    Args:
        policy: the site's policy.
        address: the address of the page.

    Raises:
        UnusableError: the page cannot be read.
    """
    reader = _Reader(address)
    reader.feed(_read(address))
    nothing, everything = (_policy(policy, allowed) for allowed in (("necessary",), policy.in_force))
    return [
        Forbidden(use, until=_allows(everything, use, address))
        for use in dict.fromkeys(reader.uses)
        if not _allows(nothing, use, address)
    ]


def sentences_about(address: str, forbidden: list[Forbidden]) -> str:
    """Say what the policy would forbid on a page."""
    breaks = [f"- {_said(it.use)}" for it in forbidden if not it.until]
    waits = [f"- {_said(it.use)}" for it in forbidden if it.until]
    parts = []
    if breaks:
        parts.append("\n".join([f"On {address}, the Content-Security-Policy would break for everybody:", *breaks]))
    if waits:
        parts.append("\n".join([f"On {address}, browsers would hold back until it is granted:", *waits]))
    return "\n\n".join(parts) or f"On {address}, the Content-Security-Policy would forbid nothing that is in the HTML."


def _said(use: Use) -> str:
    what = use.address if use.address else 'code in the page (allow a tag by nonce="{{ csp_nonce }}")'
    return f"line {use.line}, {use.directive}: {what}"


def _read(address: str) -> str:
    if not address.startswith(("http://", "https://")):
        raise UnusableError(f"{address} is no address of a page: write it as in http://127.0.0.1:8000/")
    try:
        with urlopen(Request(address, headers={"accept": "text/html"}), timeout=_LONGEST_WAIT) as response:  # noqa: S310
            body: bytes = response.read(_LARGEST_PAGE)
    except (URLError, OSError, ValueError) as error:
        raise UnusableError(f"{address} cannot be read: {getattr(error, 'reason', error)}") from None
    return body.decode("utf-8", "replace")


def _policy(policy: Policy, allowed: Iterable[str]) -> ParsedPolicy:
    own = ParsedPolicy(OwnPolicy(policy.security.content_security_policy).text)
    edit(own, recipient_sources(policy, dict.fromkeys(allowed, True)))
    return own


def _allows(policy: ParsedPolicy, use: Use, page: str) -> bool:
    directive = use.directive.encode()
    if policy.holding(directive) is None:
        return True
    words = policy.words(directive)
    if use.address == _INLINE:
        return allows_all_inline(words)
    sources = {word.decode() for word in lowered(words)}
    target, here = urlsplit(use.address), urlsplit(page)
    if (target.scheme, target.netloc) == (here.scheme, here.netloc) and "'self'" in sources:
        return True
    if target.scheme not in ("http", "https"):
        return f"{target.scheme}:" in sources or target.scheme == "about"
    return any(covers(source, f"{target.scheme}://{target.netloc}") for source in sources)
