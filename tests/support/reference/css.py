"""The page on the style: the properties that a site may set, and the classes that stay, from the style sheets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.support.reference.markdown import ROOT, block, code, joined, link, sentence, table

PROPERTIES = {
    "back": "background",
    "text": "text and links",
    "line": "the edge of the box",
    "fill": "buttons and ticked boxes",
    "on-fill": "text on buttons",
    "wrong": "the bar beside the message that an answer was not kept",
    "ring": "the ring around what has the focus",
    "radius": "corners",
    "font": "typeface",
    "size": "size of text, which the question shows a sixteenth smaller; all else grows with it",
    "width": "width of the box in the corner, on screens that are wider than 48em",
    "gap": "its distance from the edges of the screen",
    "shadow": "shadow",
    "scheme": "whether the colours are for `light`, for `dark`, follow the visitor (`light dark`) or the page",
}
"""Property, without "--pchoice-" -> what it is."""
CLASSES = {
    "pchoice": "the question",
    "pchoice-corner": 'the question, with `layout="corner"`',
    "pchoice-bar": 'the question, with `layout="bar"`',
    "pchoice-modal": 'the question, with `layout="modal"`',
    "pchoice-text": "everything above the answers",
    "pchoice-question": "the sentence that asks",
    "pchoice-links": "the links of a box",
    "pchoice-later": "“Decide later”",
    "pchoice-purposes": "the part that opens to choose each purpose",
    "pchoice-answers": "the two answers, what stands below them, and the message if an answer was not kept",
    "pchoice-button": "each button that gives an answer",
    "pchoice-part": "the question, a box, or the message: each of our parts of a page",
    "pchoice-box": "the box, or the card, in place of something that is off",
    "pchoice-preview": "the picture on a card",
    "pchoice-shown": "the note above content that is shown once",
    "pchoice-show": "“Show now”, in a box whose feature has just been allowed",
    "pchoice-status": "the message after an answer",
    "pchoice-way-back": "the link to the settings at the end of a page",
    "pchoice-honoured": "“Global Privacy Control honoured”, beside that link",
}
"""Class -> what has it."""
SHEETS = {
    "choices.css": "the question, the boxes and the message",
    "cards.css": "the picture on a card",
    "link.css": "the link at the end of pages",
    "settings.css": "the settings page and other pages of ours; your pages never get it",
}
"""Style sheet -> what it is for."""
_EXAMPLE = """\
:root {
  --pchoice-fill: #0a6b4f;
  --pchoice-radius: 0;
}

.pchoice-button {
  text-transform: uppercase !important;
}"""


def page() -> str:
    defaults = dict(properties())
    rows = ((f"`--pchoice-{name}`", code(defaults[name]), meaning) for name, meaning in PROPERTIES.items())
    return joined(
        "# CSS properties and classes",
        "Set the properties in your own style sheet, on `:root` or on any element around. A rule of yours for one of "
        "the classes needs `!important`, because the banner is shielded. "
        f"{link('Theming', 'banner.md#theming')} says why, and shows three themes.",
        block("css", _EXAMPLE),
        "## Properties",
        table(("property", "default", "what it is"), rows),
        "## Classes",
        "These names stay the same between versions. The elements inside may change.",
        table(("class", "what has it"), ((f"`{name}`", sentence(what)) for name, what in CLASSES.items())),
        "`pchoice-way-back` is not shielded: your rules for it prevail without `!important`. Style `pchoice-button`, "
        "never just one of the two answers.",
        "## Style sheets",
        table(("file", "what it is for"), ((f"`{name}`", what) for name, what in SHEETS.items())),
    )


def properties() -> Iterator[tuple[str, str]]:
    """Yield the properties that the style sheets read, with their defaults."""
    style = "".join((ROOT / "static" / name).read_text(encoding="utf-8") for name in SHEETS)
    inner = r"[^()]*(?:\([^()]*\)[^()]*)*"
    yield from re.findall(rf"var\(--pchoice-([a-z-]+), ({inner})\)", style)
    # The default of the ring has the one of the text in it.
    yield from re.findall(r"var\(--pchoice-([a-z-]+), (\w+)\)", style)
