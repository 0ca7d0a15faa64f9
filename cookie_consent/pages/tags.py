"""The tags that bring our stylesheets and scripts into pages of the app."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from cookie_consent.pages.assets import asset_address, assets


def nonce_attribute(nonce: str) -> Markup:
    """Return the nonce attribute of a tag; empty without a nonce."""
    return Markup(' nonce="{}"').format(nonce) if nonce else Markup()


def link_styles(base: str, nonce: str, names: Iterable[str]) -> Markup:
    """Return the tags of stylesheets that are files.

    Args:
        base: the address of the settings page.
        nonce: the nonce for stylesheets; "" for none.
        names: their file names in static/.
    """
    tag = Markup('<link rel="stylesheet" href="{}"{}>')
    return Markup().join(tag.format(asset_address(base, name), nonce_attribute(nonce)) for name in names)


def write_styles(nonce: str, names: Iterable[str]) -> Markup:
    """Return stylesheets as a tag with their content. A link would make the page wait."""
    content = "".join(assets()[name].content.decode().strip() for name in names)
    begun = Markup('<style class="pchoice-style"{}>').format(nonce_attribute(nonce))
    return begun + Markup(content) + Markup("</style>")  # noqa: S704 (our own files)


def script_tag(base: str, nonce: str, name: str = "choices.js") -> Markup:
    """Return the tag of a script, which runs when the page has been read."""
    return Markup('<script type="module" src="{}"{}></script>').format(
        asset_address(base, name), nonce_attribute(nonce)
    )
