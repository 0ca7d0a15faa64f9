"""The words that visitors read and that no policy has to write: shipped languages, and a site's own wording."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


@cache
def shipped(language: str) -> Mapping[str, str]:
    """Return the texts that ship for a language tag, "" -> none; "en-GB" has those of "en"."""
    for tag in (language, language.partition("-")[0]):
        source = files(__package__) / "texts" / f"{tag}.toml"
        if source.is_file():
            return tomllib.loads(source.read_text(encoding="utf-8"))
    return {}


def names() -> frozenset[str]:
    """Return the names of all texts."""
    return frozenset(shipped("en"))


def direction(language: str) -> str:
    """Return the writing direction of a language tag, as HTML's dir attribute wants it."""
    return "rtl" if language.partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"
