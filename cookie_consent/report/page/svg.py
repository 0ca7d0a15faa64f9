"""Elements of SVG: what they say is escaped, and nothing in them is a script or an inline style."""

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
"""What hatched and dotted areas are filled with; to stand once in a page. Areas are told apart without their hue."""


def element(name: str, *content: str | Markup, **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: its name.
        content: texts and elements.
        attributes: as in SVG, with "_" for "-", and one at the end of a word of Python's; numbers are rounded.
    """
    written = Markup().join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), short(value) if _is_number(value) else value)
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, Markup().join(content))


def picture(ident: str, title: str, description: str, content: Iterable[Markup], *, height: float, kind: str) -> Markup:
    """Return a picture as wide as there is room.

    Args:
        ident: of the picture, alone in its page.
        title: what it shows.
        description: the same in words, for those who do not see it.
        content: its elements.
        height: in px.
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
    """Return a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def in_percent(share: float) -> str:
    """Return a place or length, of 1, as SVG has it for what it lies in."""
    return f"{share * 100:.3f}%"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
