"""Chooses an offered language for a visitor (RFC 9110 section 12.5.4, by the lookup of RFC 4647 section 3.4)."""

from __future__ import annotations

import re
from functools import lru_cache

from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_TAG
from cookie_consent.texts.locales import language_and_script

_TAG = r"[a-z]{1,8}(?:-[a-z0-9]{1,8})*"
_QUALITY = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_RANGE = re.compile(rf"\s*({_TAG})\s*(?:;\s*q\s*=\s*({_QUALITY})\s*)?", re.IGNORECASE)


def match_language(tag: str, offered: tuple[str, ...]) -> str | None:
    """Return the offered language for a tag: the same, a more general or a more specific one, or None.

    Of several more specific ones, the same script is preferred: "zh-TW" gets "zh-Hant" rather than "zh-Hans".

    Args:
        tag: a language tag from a client.
        offered: tags of the offered languages.
    """
    return match_short(tag[:LONGEST_TAG], offered)


@lru_cache(maxsize=512)
def match_short(tag: str, offered: tuple[str, ...]) -> str | None:
    """Return what `match_language` returns, through a cache, for a tag of at most `LONGEST_TAG` characters."""
    wanted = tag.lower()
    while wanted:
        for language in offered:
            if language.lower() == wanted:
                return language
        wanted = wanted.rpartition("-")[0]
    base, script = language_and_script(tag)
    related = [language for language in offered if language_and_script(language)[0] == base]
    return next(
        (language for language in related if language_and_script(language)[1] == script),
        related[0] if related else None,
    )


def accepted_language(header: str, offered: tuple[str, ...]) -> str | None:
    """Return the best offered language for an Accept-Language field, or None.

    Invalid ranges are ignored. Of a field of more than 256 characters, only the complete ranges at its beginning count.
    """
    if len(header) > LONGEST_KEPT:
        header = header[:LONGEST_KEPT].rpartition(",")[0]
    return _accepted(header, offered)


@lru_cache(maxsize=512)
def _accepted(header: str, offered: tuple[str, ...]) -> str | None:
    ranges = []
    for position, part in enumerate(header.split(",")):
        match = _RANGE.fullmatch(part)
        if match and (quality := float(match[2] or 1)) > 0:
            ranges.append((-quality, position, match[1]))
    for _, _, tag in sorted(ranges):
        language = match_language(tag, offered)
        if language:
            return language
    return None
