"""Finds the offered languages of a policy file that its texts spell otherwise, such as "EN" beside texts in "en"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.reading import Reading


def with_languages_meant(tables: Mapping[str, Any]) -> Reading[dict[str, Any]]:
    """Return the tables of a policy file with the languages of its texts in place of those that no text has.

    One error then blames the list of languages. Without this, each text would be wrong.
    """
    site = tables.get("site")
    offered = site.get("languages") if isinstance(site, dict) else None
    if site is None or not isinstance(offered, list) or not all(isinstance(language, str) for language in offered):
        return {**tables}
    meant = _meant(offered, {*_languages_of_texts(tables)})
    for language, other in meant.items():
        problem = f'no text is in "{language}", but texts are in "{other}"'
        remedy = f'Write "{other}", or write each text in "{language}".'
        if other in offered:
            problem, remedy = f'"{language}" is the same language as "{other}"', f'Take "{language}" out.'
        yield PolicyError(problem, remedy, table="[site]", key="languages")
    if not meant:
        return {**tables}
    languages = list(dict.fromkeys(meant.get(language, language) for language in offered))
    return {**tables, "site": {**site, "languages": languages}}


def _languages_of_texts(tables: Mapping[str, Any]) -> Iterator[str]:
    for named in ("purposes", "features"):
        parts = tables.get(named)
        for part in parts.values() if isinstance(parts, dict) else ():
            title = part.get("title") if isinstance(part, dict) else None
            yield from title if isinstance(title, dict) else ()


def _meant(offered: list[str], written: set[str]) -> dict[str, str]:
    """Return the offered languages that no text has -> the language that stands in their place."""
    unwritten = [language for language in offered if language not in written]
    unoffered = sorted(written.difference(offered))
    if len(unwritten) == len(unoffered) == 1:
        return {unwritten[0]: unoffered[0]}
    spelt = {language.casefold(): language for language in sorted(written)}
    return {language: spelt[language.casefold()] for language in unwritten if language.casefold() in spelt}
