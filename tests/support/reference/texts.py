"""The page on the texts that a site may word itself, from the English ones."""

from __future__ import annotations

import re
from importlib.resources import files

from cookie_consent.texts.catalog import Text, shipped, shipped_languages
from tests.support.reference.markdown import block, joined, link, prose, table

_EXAMPLE = """\
[texts.en]
banner_title = "Your choice"
banner_recipients = { one = "{number} partner", other = "{number} partners" }"""


_HEADINGS = {
    "necessary_title": "The necessary purpose",
    "banner_title": "The question, the link, and what is said after an answer",
    "settings_intro": "The settings page, and the pages of a visitor's own data",
    "unavailable_title": "In place of what is off",
    "error_title": "When something goes wrong",
}
"""The first text of a paragraph of the file -> the heading of that paragraph."""


def page() -> str:
    languages = len(shipped_languages())
    return joined(
        "# Names of texts",
        f"Every text that visitors read, by its name, in English. They ship in {languages} languages. To "
        "word one yourself, write it in the policy file, below its language. What you leave out stays as it ships.",
        block("toml", _EXAMPLE),
        "- Words in braces are filled in. You may move them or leave them out, but not rename them.\n"
        "- A text with a number has a form for each plural category of its language (Unicode CLDR): `one` and `other` "
        "in English.\n"
        "- A language that does not ship needs all texts.",
        f"Read on: {link('languages', 'banner.md#languages')}, and {link('their words for consent', 'languages.md')}.",
        *(joined(f"## {_HEADINGS[names[0]]}", _rows(names)) for names in paragraphs()),
    )


def paragraphs() -> list[list[str]]:
    """Return the names of the texts, in the paragraphs of the English file."""
    source = (files("cookie_consent.texts") / "en.toml").read_text(encoding="utf-8")
    return [re.findall(r"^(\w+) = ", paragraph, re.MULTILINE) for paragraph in source.strip().split("\n\n")]


def _rows(names: list[str]) -> str:
    return table(("name", "English"), ((f"`{name}`", _shown(shipped("en")[name])) for name in names))


def _shown(text: Text) -> str:
    if isinstance(text, str):
        return prose(text)
    return "; ".join(f"`{category}`: {prose(form)}" for category, form in text.items())
