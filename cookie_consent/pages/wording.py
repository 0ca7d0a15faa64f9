"""The texts of a policy in one language, with placeholders filled in and escaped for HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

from markupsafe import Markup, escape

from cookie_consent.policy.parts import Feature, Purpose, Texts
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.catalog import Text
from cookie_consent.texts.locales import (
    between_sentences,
    country_name,
    direction,
    language_name,
    listed,
    plural,
    written_date,
    written_number,
)

# Years and months are as long as in the policy file. From 4 months on, that many times 30 days are never longer than
# the months of the calendar: nobody reads a shorter time than is meant. "30 days" and "90 days" stay days.
_UNITS = (
    ("years", timedelta(days=365), timedelta(days=365)),
    ("months", timedelta(days=30), timedelta(days=120)),
    ("days", timedelta(days=1), timedelta(0)),
    ("hours", timedelta(hours=1), timedelta(0)),
    ("minutes", timedelta(minutes=1), timedelta(0)),
    ("seconds", timedelta(seconds=1), timedelta(0)),
)
"""Name of a unit, its length, and the shortest duration that is written in it."""
_PLACEHOLDER = re.compile(r"\{(\w+)\}(\.?)")
_END_TAGS = re.compile(r"(?:</\w+>)+$")
_NAMES = frozenset({"controller", "recipient", "site"})
"""Placeholders of names, which may be written in another direction than the text."""


class Wording:
    """The texts of a policy in one language. Templates use it as `words`.

    Args:
        policy: the policy that applies to the page.
        language: an offered language.
    """

    def __init__(self, policy: Policy, language: str) -> None:
        self._policy, self._language = policy, language
        self._texts = policy.texts[language]

    def __call__(self, key: str, **values: object) -> Markup:
        """Return a text by name, with its placeholders filled in. Placeholders without a value stay."""
        return self._filled(self._texts[key], values)

    def pluralize(self, key: str, number: int) -> Markup:
        """Return a text with a number, in the language's plural form for it."""
        forms = self._texts[key]
        assert isinstance(forms, Mapping)  # noqa: S101 (the policy has checked it)
        form = forms.get(plural(number, self._language)) or forms.get("other") or next(iter(forms.values()))
        return self._filled(form, {"number": written_number(number, self._language)})

    def paragraph(self, *sentences: str) -> Markup:
        """Join sentences to a paragraph, without empty ones."""
        return escape(between_sentences(self._language)).join(sentence for sentence in sentences if sentence)

    def translate(self, texts: Texts) -> str:
        """Return a translated text in this language."""
        return texts[self._language]

    def list_titles(self, parts: Iterable[Purpose | Feature]) -> str:
        """Return the titles of purposes or features, as a list in a sentence."""
        return listed((self.translate(part.title) for part in parts), self._language)

    def titles(self, purposes: Iterable[str]) -> str:
        """Return the titles of purposes, as a list in a sentence. A purpose that no longer exists keeps its id."""
        known = self._policy.in_force
        return listed((self.translate(known[id_].title) if id_ in known else id_ for id_ in purposes), self._language)

    def bold_titles(self, purposes: Iterable[str]) -> Markup:
        """Return the titles of purposes like `titles`, in bold: a title may itself be a list."""
        bold = (f"<b>{escape(self.titles([id_]))}</b>" for id_ in purposes)
        return Markup(listed(bold, self._language))  # noqa: S704

    def names(self, names: Iterable[str]) -> Markup:
        """Return names as a list in a sentence. Each keeps its own writing direction."""
        return Markup(listed((f"<bdi>{escape(name)}</bdi>" for name in names), self._language))  # noqa: S704

    def duration(self, duration: timedelta) -> Markup:
        """Return a duration in the largest exact unit: "2 years", "13 months", "184 days", "36 hours"."""
        unit, length = next(
            (unit, length)
            for unit, length, shortest in _UNITS
            if (not duration % length and duration >= shortest) or unit == "seconds"
        )
        return self.pluralize(unit, duration // length)

    def country(self, code: str) -> str:
        """Return the name of a country, given its code of ISO 3166-1."""
        return country_name(code, self._language)

    def day(self, when: date | float) -> Markup:
        """Return a date, or seconds since 1970 as a UTC date, in a <time> element."""
        return write_day(when, self._language)

    def _filled(self, text: Text, values: Mapping[str, object]) -> Markup:
        filled = {name: str(escape(value)) for name, value in values.items()}

        def fill(match: re.Match[str]) -> str:
            value, stop = filled.get(match[1], f"{{{match[1]}}}"), match[2]
            # Names like "Example Ltd.", and some dates, already end with a full stop.
            stop = "" if _END_TAGS.sub("", value).endswith(".") else stop
            if match[1] in _NAMES:
                return f"<bdi>{value}</bdi>{stop}"
            # A value keeps its writing direction: a name, never in plain text, by an element, others by isolates.
            return f"{value}{stop}" if direction(self._language) == "ltr" else f"\u2068{value}\u2069{stop}"

        # Not Markup.format: a stray brace in a site's own text must not break the page.
        return Markup(_PLACEHOLDER.sub(fill, str(escape(text))))  # noqa: S704

    def saved(self, saved: str) -> Markup:
        """Return the sentences that say what an answer has done, given the value of our cookie `SAVED`."""
        what, _, deleted = saved.partition("-")
        if what != "withdrawn":
            return self("kept")
        number = int(deleted)
        return self.paragraph(self("withdrawn"), self.pluralize("cookies_deleted", number) if number else "")

    def prevails(self) -> Markup:
        """Return the sentence that names the prevailing language, as its reader calls it; empty in that language."""
        prevailing = self._policy.site.prevailing_language
        if self._language == prevailing:
            return Markup()
        return self("prevails", language=language_name(prevailing, self._language))


def write_day(when: date | float, language: str) -> Markup:
    """Return a date, or seconds since 1970 as a UTC date, in a <time> element."""
    day = when if isinstance(when, date) else datetime.fromtimestamp(when, UTC).date()
    return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), written_date(day, language))


def link(address: str) -> str:
    """Return the href for a path, a web address or a mail address; "" for anything else."""
    if address.startswith(("/", "https://", "http://")) and not address.startswith("//"):
        return address
    return f"mailto:{quote(address, safe='@')}" if "@" in address and ":" not in address else ""
