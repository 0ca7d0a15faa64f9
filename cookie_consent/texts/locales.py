"""Languages: lists, numbers and dates in each, with Babel and the Unicode CLDR, and which one a visitor gets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_TAG

if TYPE_CHECKING:
    from babel import Locale

# Babel is loaded with the first policy or page, and not by a program that only imports the package.

_NO_COUNTRIES = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
"""Codes of the CLDR that stand for no country or territory: unions, test locales, and unknown regions."""
_CURRENT = {"nb": "no", "nn": "no", "iw": "he", "in": "id"}
"""Readers of one written standard of Norwegian can read the other. "iw" and "in" are obsolete tags."""
_TAG = r"[a-z]{1,8}(?:-[a-z0-9]{1,8})*"
_QUALITY = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_RANGE = re.compile(rf"\s*({_TAG})\s*(?:;\s*q\s*=\s*({_QUALITY})\s*)?", re.IGNORECASE)


@lru_cache(maxsize=128)
def _locale(language: str) -> Locale:
    """Return the locale for a language tag, or for a more general one; the CLDR's root if there is none."""
    from babel import Locale, UnknownLocaleError

    tag = language
    while tag:
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            # Babel does not know every region and variant, but it knows their language.
            tag = tag.rpartition("-")[0]
    return Locale.parse("root")


def load_locales(languages: Iterable[str]) -> None:
    """Load what is known of languages, so that no visitor waits for it."""
    for language in languages:
        direction(language)


def direction(language: str) -> str:
    """Return the writing direction of a language for HTML's dir attribute: "ltr" or "rtl"."""
    return _locale(language).text_direction


def language_name(language: str, reader: str = "") -> str:
    """Return a language's name in the reader's language, or else in itself; its tag if both are unknown."""
    named = _locale(language)
    return (named.get_display_name(_locale(reader)) if reader else "") or named.get_display_name() or language


def is_country(code: str) -> bool:
    """Return whether a code stands for a country or territory, by ISO 3166-1 alpha-2: "JP"."""
    return len(code) == 2 and code not in _NO_COUNTRIES and code in _locale("en").territories


def country_name(code: str, language: str) -> str:
    """Return a country's name in a language, or else in English."""
    return str(_locale(language).territories.get(code) or _locale("en").territories[code])


def listed(items: Iterable[str], language: str) -> str:
    """Return texts joined as a list in a sentence: "a, b and c"."""
    from babel.lists import format_list

    return format_list(list(items), locale=_locale(language))


def between_sentences(language: str) -> str:
    """Return the separator of two sentences: a space, or nothing in Chinese and Japanese, whose full stops are wide."""
    return "" if language_and_script(language)[0] in ("ja", "zh") else " "


def written_number(number: int, language: str) -> str:
    """Return an integer with the language's digit grouping."""
    from babel.numbers import format_decimal

    return format_decimal(number, locale=_locale(language))


def written_date(day: date, language: str) -> str:
    """Return a date with the month in words."""
    from babel.dates import format_date

    return format_date(day, "long", locale=_locale(language))


def plural(number: int, language: str) -> str:
    """Return the plural category of an integer (Unicode TR 35, Language Plural Rules)."""
    return _locale(language).plural_form(number)


@lru_cache(maxsize=512)
def language_and_script(language: str) -> tuple[str, str]:
    """Return the language and the script of a tag, with the likely script if it has none: "zh-TW" is ("zh", "hant")."""
    from babel.core import get_global

    parts = language.lower().split("-")
    script = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), "")
    region = next((part.upper() for part in parts[1:] if len(part) == 2), "")
    base = _CURRENT.get(parts[0], parts[0])
    # "und" would get the likely subtags of an unknown language, which are English ones.
    likely_tags = {} if base == "und" else get_global("likely_subtags")
    likely_tag = likely_tags.get(f"{base}_{region}") or likely_tags.get(base) or f"{base}_{script}"
    return base, script or likely_tag.lower().split("_")[1]


def match_language(tag: str, offered: tuple[str, ...]) -> str | None:
    """Return the offered language for a tag: the same, a more general or a more specific one, or None.

    Of several more specific ones, the same script is preferred: "zh-TW" gets "zh-Hant" rather than "zh-Hans".
    """
    tag = tag[:LONGEST_TAG]
    wanted = tag.lower()
    while wanted:
        for language in offered:
            if language.lower() == wanted:
                return language
        wanted = wanted.rpartition("-")[0]
    base, script = language_and_script(tag)
    related = [language for language in offered if language_and_script(language)[0] == base]
    written_alike = [language for language in related if language_and_script(language)[1] == script]
    return next(iter(written_alike or related), None)


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
    for part in header.split(","):
        match = _RANGE.fullmatch(part)
        if match and float(match[2] or 1) > 0:
            ranges.append(match)
    # Of ranges of the same quality, the first one counts.
    ranges.sort(key=lambda match: -float(match[2] or 1))
    languages = (match_language(match[1], offered) for match in ranges)
    return next(filter(None, languages), None)
