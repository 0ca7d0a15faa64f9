"""The words that visitors read and that no policy has to write: shipped languages, and a site's own wording."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from cookie_consent.texts.locales import likely

Text = str | Mapping[str, str]
"""A text, or one for each plural category of the language: {"one": "{number} day", "other": "{number} days"}."""


@cache
def shipped(language: str) -> Mapping[str, Text]:
    """Return the texts that ship for a language tag, "" -> none; "en-GB" has those of "en", "zh-TW" of "zh-Hant"."""
    base, script = likely(language)
    for tag in (language, language.partition("-")[0], f"{base}-{script.title()}", base):
        source = files(__package__) / f"{tag}.toml"
        if source.is_file():
            return tomllib.loads(source.read_text(encoding="utf-8"))
    return {}


def shipped_languages() -> list[str]:
    """Return the tags of the languages that ship."""
    folder = files(__package__)
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def names() -> frozenset[str]:
    """Return the names of all texts."""
    return frozenset(shipped("en"))


def is_counted(name: str) -> bool:
    """Return whether a text has a form for each plural category."""
    return isinstance(shipped("en")[name], Mapping)
