"""Render templates, and cache the HTML that is the same for many visitors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cookie_consent.base.checks import check
from cookie_consent.base.html.template import HtmlTemplate
from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.base.text_cache import TextCache
from cookie_consent.decision.decision import CONSENT_LIFETIME
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.pages.context import templates
from cookie_consent.visitors.pages.question import FORM_ID

_MAX_KEPT = 256
_LARGEST_EVIDENCE = 4_000_000
"""In characters. A settings page has a few tens of thousands."""
LAYOUTS = ("corner", "bar", "modal")
"""Where the question is shown: in a box in the corner (on phones at the bottom), in a bar at the bottom, or in a
dialog."""
LATER_OPTIONS = ("ask", "refuse")
"""What "Decide later" does: the question comes back another time, or everything is refused."""


def checked_later(later: str, policy: Policy) -> str:
    """Return the middleware's option, checked against the laws that the policy names.

    Raises:
        ValueError: a law takes closing the question for a refusal, and it is none.
    """
    for law in policy.laws:
        if law.closing_refuses and later == "ask":
            raise ValueError(
                f'later: "ask" is not valid. Who closes the question has refused, by the law of {law.name} '
                f'({law.provisions}): write later="refuse".'
            )
    return later


class Rendering:
    """Renders templates under the options for the question.

    Args:
        lifetime: how long an answer is valid.
        layout: where the question is shown, one of `LAYOUTS`.
        make_id: returns a random id for the forms of a page.
        later: what "Decide later" does, one of `LATER_OPTIONS`.

    Attributes:
        later_refuses: whether it refuses. The button then says so.

    Raises:
        ValueError: there is no such layout, or no such `later`.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = CONSENT_LIFETIME,
        layout: str = "corner",
        make_id: Callable[[], str] = lambda: "",
        later: str = "ask",
    ) -> None:
        check("layout", layout, is_valid=layout in LAYOUTS, remedy=f"Write one of: {', '.join(LAYOUTS)}.")
        check("later", later, is_valid=later in LATER_OPTIONS, remedy='Write "ask" or "refuse".')
        self.later_refuses = later == "refuse"
        self.lifetime, self._layout, self.make_id = lifetime, layout, make_id
        self._templates = templates()
        self._cache: dict[tuple[object, ...], HtmlTemplate] = {}
        self.evidence = TextCache(_MAX_KEPT, _LARGEST_EVIDENCE)
        """A cache of the texts that are stored with answers; see `evidence`."""

    def needs_script_early(self, layout: str) -> bool:
        """Return whether the script comes with the question in this layout; "" is that of all questions."""
        return (layout or self._layout) == "modal"  # only a script makes a dialog modal

    def _render(self, template: str, context: dict[str, Any], **more: object) -> str:
        """Render a page, with an id for its forms."""
        return self._render_to_keep(template, context, **more).replace(FORM_ID, self.make_id())

    def _render_to_keep(self, template: str, context: dict[str, Any], **more: object) -> str:
        return self._templates.get_template(template).render(context, **more)

    def _keep(self, key: tuple[object, ...], html: bytes) -> HtmlTemplate:
        """Cache HTML for all visitors who see the same.

        A long `base` is not cached: a mount path can come from the client.
        """
        template = HtmlTemplate(html)
        if len(str(key[1])) <= LONGEST_KEPT:
            evict_if_full(self._cache, _MAX_KEPT)
            self._cache[key] = template
        return template
