"""The tag that brings the script of the question."""

from __future__ import annotations

import json
from typing import Literal

from markupsafe import Markup

from cookie_consent.visitors.pages.assets import asset_address
from cookie_consent.visitors.pages.stylesheet import nonce_attribute

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
