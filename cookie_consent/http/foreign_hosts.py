"""Logs which hosts of others the app's pages load from, though nobody allowed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from starlette.types import Message

from cookie_consent.base.addresses import address, outer_path, read_host
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.messages import escape_for_log, forget_with_others, warn_once
from cookie_consent.decision.decision import Decision
from cookie_consent.http.csp import SecurityFields, covers
from cookie_consent.http.insert import COMMENT_TEXT, REST, SCRIPT_TEXT, SPACE, compile_html, match_text, read_attributes
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import PLACEHOLDER

_MOST_NAMED = 3
_MAX_PAGES = 1000
_LONGEST_READ = 256 * 1024
"""Bytes of a page that are looked through."""
_REST = 10.0
"""Seconds until a page is looked through whose address was seen before. To look takes some milliseconds."""
_WAITING = {
    "script": '<script type="text/plain" data-purpose="{purpose}" data-src="{address}"></script>',
    "": '<script type="text/plain" data-purpose="{purpose}">...</script>',
    "iframe": '<iframe data-purpose="{purpose}" data-src="{address}"></iframe>',
    "img": '<img data-purpose="{purpose}" data-{attribute}="{address}">',
    **dict.fromkeys(("link", "style"), '<link rel="stylesheet" data-purpose="{purpose}" data-href="{address}">'),
}
"""Element, or "" for a script without a file -> how it waits for a purpose. Others wait inside a template."""
_IN_TEMPLATE = '<template data-purpose="{purpose}"><{element} {attribute}="{address}">...</{element}></template>'
_TO_DECLARE = (
    'Declare who gets the data, with purpose = "necessary" if the site does not work without, and else let it wait:'
)
_ENFORCE = '\nWith csp="enforce", browsers load from such hosts only what was allowed.\n'

# What is found in HTML.

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
_TEXTS = {"script": compile_html(SCRIPT_TEXT)} | {
    name: compile_html(match_text(name))
    for name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
"""Element whose content is text -> the pattern of this text."""
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
        address: the address in it, with dots for a query, safe for a log.
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
        words = attributes.get(b"rel", b"").lower().split()
        directive = next((_LINKS[word] for word in words if word in _LINKS), "")
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
            yield Load(name, attribute, escape_for_log(address), f"{scheme}://{host}", host, directive)


def advice_on_loading(policy: Policy, security: SecurityFields, *, shared_pages: bool) -> Iterator[str]:
    """Yield a sentence at the start if browsers load from recipients whatever the visitor answers."""
    reached = [f'"{it.name}"' for it in policy.recipients if it.purpose != NECESSARY and it.origins]
    if reached and not security.enforces:
        remedy = "" if shared_pages else ' csp="enforce" has browsers hold back the rest.'
        yield (
            f"What pages load from {', '.join(reached[:_MOST_NAMED])} waits for an answer only where data-purpose "
            f"marks it (docs/gated.md).{remedy}"
        )


class ForeignHosts:
    """Looks through the app's pages, now and then, and logs each host of others once.

    Args:
        prefix: the path of the endpoints.
        security: what limits browsers.
        clock: returns seconds since 1970.

    Attributes:
        pages: the paths of pages that were looked through.
        rests_until: when to look through one of these pages again (seconds since 1970).
    """

    def __init__(self, prefix: str, security: SecurityFields, clock: Callable[[], float]) -> None:
        self._prefix = prefix
        self.clock = clock
        self._security = security
        self.pages: set[str] = set()
        self.rests_until = clock() + _REST
        forget_with_others(self)

    def forget(self) -> None:
        """Look through all pages again."""
        self.pages.clear()

    def look(self, scope: Mapping[str, Any], decision: Decision, body: bytes) -> None:
        """Look through a page that is due.

        Args:
            scope: the request's ASGI scope.
            decision: the decision on the request.
            body: the beginning of the page.
        """
        for load in find_loads(body):
            advice = self._describe(load, scope, decision)
            if advice is not None:
                text = f'The page "{escape_for_log(outer_path(scope))}" {advice}'
                warn_once("hosts that pages load from", load.host, text)

    def watch(self, scope: Mapping[str, Any], decision: Decision) -> Callable[[Message], None] | None:
        """Return what takes the messages of a page, and looks through it at its end; None if it is not due.

        A page is due when its address is asked for for the first time, and one at any address now and then. Nothing is
        held meanwhile.
        """
        path = outer_path(scope)
        if path not in self.pages and len(path) <= LONGEST_KEPT and len(self.pages) < _MAX_PAGES:
            self.pages.add(path)
        elif self.clock() < self.rests_until:
            return None
        else:
            self.rests_until = self.clock() + _REST
        begun = bytearray()

        def look_at(message: Message) -> None:
            room = _LONGEST_READ - len(begun)
            if message["type"] == "http.response.body" and room:
                body = message.get("body", b"")
                begun.extend(body[:room])
                if len(body) >= room or not message.get("more_body", False):
                    self.look(scope, decision, bytes(begun))

        return look_at

    def _describe(self, load: Load, scope: Mapping[str, Any], decision: Decision) -> str | None:
        """Return what to log of something that a page loads, or None if it is as it should be."""
        site = decision.policy.site
        host = load.host
        if host in (read_host(scope), site.domain, *site.hosts) or (site.domain and host.endswith(f".{site.domain}")):
            return None
        purposes = [it.purpose for it in decision.policy.recipients if any(covers(by, host) for by in it.origins)]
        if not self._security.enforces and any(decision.purposes[purpose] for purpose in purposes):
            return None
        # Under a policy of ours, browsers load what is declared once it is allowed.
        if self._security.enforces and (purposes or self._security.allows(load.directive, host)):
            return None
        purpose = purposes[0] if purposes else "?"
        tag = '<{element} {attribute}="{address}">' if load.attribute else '<{element}>..."{address}"...</{element}>'
        tag = tag.format(**load._asdict())
        script = address(escape_for_log(scope.get("root_path", "")), f"{self._prefix}/gated.js")
        element = _WAITING.get(load.attribute and load.element, _IN_TEMPLATE)
        element = element.format(**load._asdict(), purpose=purpose)
        waiting = f'<script type="module" src="{script}"></script>\n{element}\n'
        if purposes:
            return f'loads from {host}, although "{purpose}" is not allowed: {tag}. Let it wait:\n\n{waiting}{_ENFORCE}'
        receives = ", ".join(f'{language} = "{PLACEHOLDER}"' for language in site.languages)
        recipient = (
            f'[[recipients]]\nid = "{host.replace(".", "-")}"\nname = "{PLACEHOLDER}"\npurpose = "?"\n'
            f'origins = ["{load.origin}"]\ndirectives = ["{load.directive}"]\nreceives = {{ {receives} }}\n'
        )
        remedy = f"{tag}. {_TO_DECLARE}\n\n{recipient}\n{waiting}"
        if not self._security.enforces:
            return f"loads from {host}, which no recipient of the policy has: {remedy}{_ENFORCE}"
        return f"names {host}, which no recipient of the policy has, so our Content-Security-Policy stops it: {remedy}"
