"""The tags that bring the stylesheets and scripts of the question and of the boxes, and never make the page wait."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from markupsafe import Markup

from cookie_consent.pages.assets import asset_address, assets

StyleTag = Literal["linked", "inline", "deferred", "apart"]
"""How the question brings its stylesheet:

- "linked": by a `<link>` before it, for the script that fetches the question.
- "inline": in a `<style>` before it.
- "deferred": by a `<link>` that no browser waits for. The question is hidden until the script has the stylesheet, or
  until the tag of `stylesheet_at_end` brings it.
- "apart": not at all; it is put before the question elsewhere.
"""


_DEFERRED = Markup(' media="print" class="pchoice-style"')


def nonce_attribute(nonce: str) -> Markup:
    """Return the nonce attribute of a tag; empty without a nonce."""
    return Markup(' nonce="{}"').format(nonce) if nonce else Markup()


def style_tag(tag: StyleTag, base: str, nonce: str) -> Markup:
    """Return the tag before the question.

    Args:
        tag: how it brings the stylesheet.
        base: the address of the settings page.
        nonce: the nonce for stylesheets, or "".
    """
    if tag == "inline":
        # Where a policy that we do not see forbids the style, the script loads the file.
        begun = Markup('<style class="pchoice-style" data-href="{}"{}>').format(
            asset_address(base, "choices.css"), nonce_attribute(nonce)
        )
        return begun + inline_style("choices.css") + Markup("</style>\n")
    if tag == "deferred":
        return _link(base, nonce, _DEFERRED)
    return _link(base, nonce) if tag == "linked" else Markup()


def stylesheet_at_end(base: str, nonce: str, *, has_script: bool) -> Markup:
    """Return the tag at the end of a page with a deferred question, for browsers where no script shows the question.

    Args:
        base: the address of the settings page.
        nonce: the nonce for stylesheets, or "".
        has_script: whether the page's policies surely allow our script. WebKit paints nothing before a stylesheet that
            it has seen anywhere in the document, and all browsers hold deferred scripts back for it.
    """
    link = _link(base, nonce)
    return Markup("<noscript>{}</noscript>").format(link) if has_script else link


def deferred_stylesheet(base: str, nonce: str, *names: str) -> Markup:
    """Return the tags in a page of the app's that bring stylesheets: by the script, or without scripts by a link.

    Args:
        base: the address of the settings page.
        nonce: the nonce for stylesheets, or "".
        names: the files; none for the one of the question and of the boxes.
    """
    files = names or ("choices.css",)
    deferred = Markup().join(_link(base, nonce, _DEFERRED, name) for name in files)
    linked = Markup().join(_link(base, nonce, name=name) for name in files)
    return deferred + Markup("<noscript>{}</noscript>").format(linked)


def _link(base: str, nonce: str, more: str = "", name: str = "choices.css") -> Markup:
    return Markup('<link rel="stylesheet"{} href="{}"{}>\n').format(
        more, asset_address(base, name), nonce_attribute(nonce)
    )


@cache
def inline_style(name: str) -> Markup:
    """Return one of the stylesheets as the content of a `<style>`."""
    return Markup(assets()[name].content.decode())  # noqa: S704 (our own file)


ScriptTag = Literal["early", "late", "apart"]
"""How the question brings its script:

- "early": by a tag with the address. Browsers fetch and compile the file while they read the page.
- "late": by a line in the page that imports the file after the page's first paint. The page's policies must allow it.
- "apart": not at all; the tag is put behind the question elsewhere.
"""

# A visitor who leaves the page meanwhile is no error.
_LATE = Markup(
    '<script type="module" async data-choices{}>'
    "requestAnimationFrame(() => setTimeout(() => import({}).catch(() => {{}})))</script>"
)


def script_tag(tag: ScriptTag, base: str, nonce: str, name: str = "choices.js") -> Markup:
    """Return the tag behind the question.

    Args:
        tag: how it brings the script.
        base: the address of the settings page.
        nonce: the nonce for scripts, or "".
        name: the file.
    """
    if tag == "apart":
        return Markup()
    address = asset_address(base, name)
    if tag == "late":
        return _LATE.format(nonce_attribute(nonce), _in_script(address))
    return Markup('<script type="module" src="{}"{}></script>').format(address, nonce_attribute(nonce))


def _in_script(text: str) -> Markup:
    """Return a text as a string of JavaScript in which nothing ends the script."""
    written = json.dumps(text)
    for character in "<>&'":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return Markup(written)  # noqa: S704 (escaped above)
