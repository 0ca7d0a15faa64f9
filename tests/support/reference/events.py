"""The page on the browser's side: what scripts may call, hear and mark up, from the scripts and their types."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.reference.markdown import ROOT, block, blocks_of, code, joined, link, prose, sentence, table

STATIC = ROOT / "static"
ATTRIBUTES = {
    "data-purpose": ("`<template>`, and whatever waits", "the ids of the purposes that it needs, separated by spaces"),
    "data-src": ("`<script>`, `<iframe>`, `<img>` …", "the address that it loads once it is allowed; `gated.js`"),
    "data-srcset": ("`<img>`, `<source>`", "the same for `srcset`"),
    "data-href": ("`<link>`", "the same for `href`"),
    "data-poster": ("`<video>`", "the same for `poster`"),
    "data-data": ("`<object>`", "the same for `data`"),
    "data-type": ('`<script type="text/plain">`', "the type that it has once it is allowed"),
    "data-category": ("the markup of CookieConsent and c15t", "a name of a purpose"),
    "data-service": ("beside `data-category`", "a recipient that is needed, too"),
    "data-name": ("the markup of Klaro and Orejime", "a name of a purpose"),
    "data-cookieconsent": ("the markup of Cookiebot", "names of purposes, separated by commas"),
    "data-cookieblock-src": ("the markup of Cookiebot", "as `data-src`"),
    "data-url": ('the `<div class="tac_iframe">` of tarteaucitron', "as `data-src`"),
    "data-map": ("the tag of `gated.js`", "an object: a name of another tool → ids of purposes"),
    "data-views": ("the tag of `track.js`", "sends a `page_view` for each page of a single-page app"),
    "data-outbound": ("the tag of `track.js`", "sends an `outbound` for each click on a link to another site"),
    "data-privacy-settings": ("`<a>`", "opens the settings in place, where `choices.js` is on the page"),
}
"""Attribute that a page may write -> where, and what it does."""
OUR_OWN = frozenset({
    "again", "blocked", "changed", "class", "deferred", "failed", "first", "gpc", "label", "live", "off", "rejected",
    "reload", "script", "shared", "shown", "stale", "state", "unavailable", "vendors",
})  # fmt: skip
"""Attributes, without "data-", that the middleware's templates and scripts write for each other."""
SENT = {
    "page_leave": "the page is left, or hidden for the first time; `duration_ms`",
    "download": "a click on a link with `download`, or to a file; `file`",
    "outbound": "a click on a link to another site that is no download, with `data-outbound`; `to`",
    "page_view": "a page of a single-page app, with `data-views`; `query`",
}
"""Event that `track.js` sends by itself -> when, and with what."""


def page() -> str:
    return joined(
        "# Browser: `window.consent`, events and attributes",
        "What your own scripts may call and hear, what your pages may mark up, and which script does what. "
        "`window.consent` is there on pages with the question, and on those that load `choices.js` or `track.js`.",
        # From the page that explains it, whose examples run in a browser.
        block("js", blocks_of("banner.md", "js")[0]),
        "## `window.consent`",
        table(("name", "type", "what it does"), [*_of_consent(), _of_track()]),
        f"Types: {_types('choices.d.ts')} and {_types('window.d.ts')}. Read on: "
        f"{link('`window.consent`', 'banner.md#windowconsent')}.",
        "## Events of the document",
        table(("event", "type", "what it says"), _of_document()),
        "## Events in the access log",
        "`track.js` sends these by itself, for visitors who allow tracing. Your own are sent with `consent.track`.",
        table(("event", "when, and with what"), ((f"`{name}`", when) for name, when in SENT.items())),
        f"Read on: {link('events', 'banner.md#events')}; what a program posts is in "
        "[HTTP](http.md#post-privacy-choicesevents).",
        "## Attributes",
        table(("attribute", "on", "what it does"), ((f"`{name}`", *said) for name, said in ATTRIBUTES.items())),
        f"Read on: {link('tags, frames and images that wait', 'gated.md')}.",
        "## Scripts",
        table(("script", "what it does"), ((f"`{path.name}`", _about(path.name)) for path in _scripts())),
    )


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _types(name: str) -> str:
    return f"[`{name}`](../../static/{name})"


def _of_consent() -> list[tuple[str, str, str]]:
    """Return what `Consent` in the types has: name, type and comment."""
    body = re.search(r"export type Consent = \{\n(.*?)^\};", _read("choices.d.ts"), re.DOTALL | re.MULTILINE)
    assert body
    members = re.findall(r"/\*\*\n(.*?)\*/\n  (\w+): (.*?);\n", body[1], re.DOTALL)
    return [(f"`{name}`", code(type_), sentence(_comment(text))) for text, name, type_ in members]


def _of_track() -> tuple[str, str, str]:
    found = re.search(r"/\*\*\n(.*?)\*/\nexport type Track = (.*?);\n\n", _read("window.d.ts"), re.DOTALL)
    assert found
    type_ = re.sub(r",? \)", ")", re.sub(r"\s+", " ", found[2]).replace("( ", "("))
    return "`track`", code(type_), f"{sentence(_comment(found[1]))} It comes with `track.js`."


def _of_document() -> list[tuple[str, str, str]]:
    body = re.search(r"interface DocumentEventMap \{\n(.*?)^  \}", _read("window.d.ts"), re.DOTALL | re.MULTILINE)
    assert body
    events = re.findall(r"/\*\* (.*?) \*/\s+(\w+): (.*?);\n", body[1])
    return [(f"`{name}`", code(type_), sentence(text)) for text, name, type_ in events]


def _comment(text: str) -> str:
    return re.sub(r"\s*\n?\s*\* ", " ", text).strip()


def _scripts() -> list[Path]:
    return sorted(STATIC.glob("*.js"))


def _about(name: str) -> str:
    """Return the comment at the beginning of a script."""
    comment = re.match(r"(?://.*\n)+", _read(name))
    assert comment
    text = prose(re.sub(r"\s*//\s*", " ", comment[0]).strip())
    return text.replace("docs/gated.md", link("tags, frames and images that wait", "gated.md"))


def attributes_in_code() -> set[str]:
    """Return the names of all data attributes, without "data-", that scripts and templates have."""
    templates = ROOT / "cookie_consent" / "visitors" / "pages" / "templates"
    paths = (*STATIC.glob("*.js"), *templates.glob("*.html"))
    source = "".join(path.read_text(encoding="utf-8") for path in paths)
    source = re.sub(r"^\s*(?://|\*|/\*).*$", "", source, flags=re.MULTILINE)
    # Those of gated.js that are held, and those that it reads at once.
    (held,) = re.findall(r"const held = \[(.*?)\]", source)
    together = re.findall(r"dataset: \{(.*?)\}", source)
    return {
        *re.findall(r"dataset\.([a-z]+)", source),
        *re.findall(r"data-([a-z]+(?:-[a-z]+)*)", source),
        *re.findall("[a-z-]+", held),
        *re.findall("[a-z]+", " ".join(together)),
    }
