"""The texts that ship with the package, which a policy need not write. A site can replace them by its own wording."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from cookie_consent.texts.locales import language_and_script

Text = str | Mapping[str, str]
"""A text, or a text for each plural category: {"one": "{number} day", "other": "{number} days"}."""


@cache
def shipped(language: str) -> Mapping[str, Text]:
    """Return the shipped texts for a language tag, by name; empty if there are none.

    "en-GB" gets the texts of "en", and "zh-TW" those of "zh-Hant".
    """
    base, script = language_and_script(language)
    for tag in (language, language.partition("-")[0], f"{base}-{script.title()}", base):
        source = files(__package__) / f"{tag}.toml"
        if source.is_file():
            return tomllib.loads(source.read_text(encoding="utf-8"))
    return {}


def shipped_languages() -> list[str]:
    """Return the tags of the shipped languages."""
    entries = files(__package__).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def names() -> frozenset[str]:
    """Return the names of all texts."""
    # English is the model. A test holds all other languages to it.
    return frozenset(shipped("en"))


def is_counted(name: str) -> bool:
    """Return whether a text contains a number, so that it has a form for each plural category."""
    return isinstance(shipped("en")[name], Mapping)
