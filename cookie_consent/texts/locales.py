"""How a language writes lists, numbers and dates, by the Unicode CLDR as Babel has it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal

_MOST_LOCALES = 128


@lru_cache(maxsize=_MOST_LOCALES)
def _locale(language: str) -> Locale:
    """Return what is known of a language tag, or of a more general one; the CLDR's root where nothing is."""
    tag = language
    while tag:
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            tag = tag.rpartition("-")[0]
    return Locale.parse("root")


def direction(language: str) -> str:
    """Return the writing direction of a language tag, as HTML's dir attribute wants it."""
    return _locale(language).text_direction


def language_name(language: str) -> str:
    """Return a language's name in itself; its tag where none is known."""
    return _locale(language).get_display_name() or language


def listed(items: Iterable[str], language: str) -> str:
    """Return texts as a list in a sentence: "a, b and c"."""
    return format_list(list(items), locale=_locale(language))


def between_sentences(language: str) -> str:
    """Return what stands between two sentences: nothing in Chinese and Japanese, whose full stops are wide enough."""
    return "" if likely(language)[0] in ("ja", "zh") else " "


def written_number(number: int, language: str) -> str:
    """Return a whole number, grouped as the language does."""
    return format_decimal(number, locale=_locale(language))


def written_date(day: date, language: str) -> str:
    """Return a date, its month in words."""
    return format_date(day, "long", locale=_locale(language))


def written_moment(moment: datetime, language: str) -> str:
    """Return a date and time in UTC, to the second, and that it is UTC."""
    return format_datetime(moment, "long", tzinfo=UTC, locale=_locale(language))


def plural(number: int, language: str) -> str:
    """Return the plural category that a whole number has (Unicode TR 35, Language Plural Rules)."""
    return _locale(language).plural_form(number)


@lru_cache(maxsize=_MOST_LOCALES)
def plurals(language: str) -> frozenset[str]:
    """Return the plural categories that the whole numbers up to a thousand have."""
    return frozenset(plural(number, language) for number in range(1001))


@lru_cache(maxsize=512)
def likely(language: str) -> tuple[str, str]:
    """Return language and script of a tag, the likely ones where it does not say: "zh-TW" is ("zh", "hant")."""
    parts = language.lower().split("-")
    script = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), "")
    region = next((part.upper() for part in parts[1:] if len(part) == 2), "")
    base = _CURRENT.get(parts[0], parts[0])
    known = {} if base == "und" else get_global("likely_subtags")
    likely_tag = known.get(f"{base}_{region}") or known.get(base) or f"{base}_{script}"
    return base, script or likely_tag.lower().split("_")[1]


_CURRENT = {"nb": "no", "nn": "no", "iw": "he", "in": "id"}
"""Both written standards of Norwegian are read by all who read one; two tags are of old."""
