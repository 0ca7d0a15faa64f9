"""SVG elements. Texts in them are escaped, and none has a script or an inline style."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

PATTERNS = Markup(
    '<svg class="unseen" aria-hidden="true" focusable="false" width="0" height="0"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="paper" width="6" height="6"/><rect class="solid" width="3" height="6"/></pattern>'
    '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect class="paper" width="5" height="5"/><circle class="strong" cx="2.5" cy="2.5" r="1.5"/></pattern>'
    "</defs></svg>"
)
"""Fill patterns for hatched and dotted areas, which tell areas apart without colour. Include them once in a page."""


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: its name.
        content: texts and child elements.
        attributes: SVG attributes. "_" stands for "-"; a final "_", as in `class_`, is dropped. Numbers are rounded to
            two decimals.
    """
    written_attributes = Markup().join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), short(value) if _is_number(value) else value)
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written_attributes, Markup().join(content))


def picture(ident: str, title: str, description: str, content: Iterable[Markup], *, height: float, kind: str) -> Markup:
    """Return an `svg` element that is as wide as its container.

    Args:
        ident: its id, unique in the page.
        title: what it shows.
        description: the same in words, for people who cannot see it.
        content: its child elements.
        height: its height in px.
        kind: its class.
    """
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        *content,
        class_=kind,
        role="img",
        aria_labelledby=f"{ident}-title",
        aria_describedby=f"{ident}-desc",
        width="100%",
        height=height,
        direction="ltr",
    )


def short(value: object) -> str:
    """Format a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def in_percent(share: float) -> str:
    """Format a share of 1 as a percentage of the parent's size."""
    return f"{share * 100:.3f}%"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
