"""Render templates, and cache the HTML that is the same for many visitors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from cookie_consent.base.bounds import Cache
from cookie_consent.base.messages import check
from cookie_consent.decision.tokens import Signer
from cookie_consent.pages.context import load_templates
from cookie_consent.pages.question import FORM_ID

_MAX_KEPT = 256
_MAX_EVIDENCE = 64
_LARGEST_EVIDENCE = 64_000
"""In characters. A settings page has a few tens of thousands."""
Layout = Literal["corner", "bar", "modal"]
"""Where the question is shown: in a box in the corner (on phones at the bottom), in a bar at the bottom, or in a
dialog."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


class HtmlTemplate:
    """Rendered HTML with holes for what differs between pages. Each hole is marked by its name between two NULs.

    Attributes:
        parts: the HTML between the holes and the names of the holes, in turn.
        holes: the position among the parts and the name of each hole.
    """

    __slots__ = ("holes", "parts")

    def __init__(self, html: bytes) -> None:
        self.parts = html.split(b"\0")
        self.holes = [*enumerate(self.parts)][1::2]

    def fill(self, values: Mapping[bytes, bytes]) -> bytes:
        """Return the HTML with the holes filled: name of each hole -> HTML."""
        parts = self.parts.copy()
        for position, name in self.holes:
            parts[position] = values[name]
        return b"".join(parts)


class Rendering:
    """Renders templates under the options for the question.

    Args:
        layout: where the question is shown, one of `LAYOUTS`.
        make_id: returns a random id for the forms of a page.
        prefix: the path of the endpoints inside the app.
        signer: signs what a card says in words of the app; None if no answers come back.
        intro: the name of the text with which the settings page begins.

    Raises:
        ValueError: there is no such layout.
    """

    def __init__(
        self,
        *,
        layout: Layout = "corner",
        make_id: Callable[[], str] = lambda: "",
        prefix: str = "",
        signer: Signer | None = None,
        intro: str = "settings_intro_cookies",
    ) -> None:
        check("layout", layout, is_valid=layout in LAYOUTS, remedy=f"Write one of: {', '.join(LAYOUTS)}.")
        self._layout, self.make_id = layout, make_id
        self.prefix = prefix
        self._signer = signer
        self._intro = intro
        self._templates = load_templates()
        self._cache = Cache[tuple[object, ...], HtmlTemplate](_MAX_KEPT)
        self.evidence = Cache[tuple[object, ...], str](_MAX_EVIDENCE, _LARGEST_EVIDENCE)
        """A cache of the texts that are stored with answers; see `evidence`."""

    def _render(self, template: str, context: dict[str, Any], **more: object) -> str:
        """Render a page, with an id for its forms and the address of the site's start."""
        home = f"{context['base'].removesuffix(self.prefix)}/"
        return self._render_to_keep(template, context, home=home, **more).replace(FORM_ID, self.make_id())

    def _render_to_keep(self, template: str, context: dict[str, Any], **more: object) -> str:
        return self._templates.get_template(template).render(context, **more)

    def _keep(self, key: tuple[object, ...], html: bytes) -> HtmlTemplate:
        """Cache HTML for all visitors who see the same.

        A long `base` is not cached: a mount path can come from the client.
        """
        return self._cache.keep(key, HtmlTemplate(html), len(str(key[1])))
