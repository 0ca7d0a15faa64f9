"""The words of a policy in one language, as the pages need them: filled in, and safe to stand in HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

from markupsafe import Markup, escape

from cookie_consent.parts import Feature, Purpose, Texts
from cookie_consent.policy import Policy

_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Wording:
    """The words of a policy in one language.

    Args:
        policy: the policy as it holds where the page is shown.
        language: an offered language.
    """

    def __init__(self, policy: Policy, language: str) -> None:
        self._policy, self._language = policy, language
        self._texts = policy.texts[language]

    def __call__(self, key: str, **values: object) -> Markup:
        """Return a text by its name, its placeholders filled in; one that nobody fills stays as it is."""
        filled = {name: str(escape(value)) for name, value in values.items()}
        # Escaped by hand, not by a format: a site's own wording with a stray brace must not break the page.
        return Markup(_PLACEHOLDER.sub(lambda found: filled.get(found[1], found[0]), str(escape(self._texts[key]))))  # noqa: S704

    def of(self, texts: Texts) -> str:
        """Return the text in this language."""
        return texts[self._language]

    def listed(self, parts: Iterable[Purpose | Feature]) -> str:
        """Return the titles of purposes or features, as a list in a sentence."""
        return self._texts["separator"].join(self.of(part.title) for part in parts)

    def titles(self, purposes: Iterable[str]) -> str:
        """Return the titles of purposes, by their ids, as a list in a sentence."""
        return self.listed(self._policy.in_force[purpose] for purpose in purposes)

    def duration(self, duration: timedelta) -> Markup:
        """Return a duration in the largest unit, up to days, that says it exactly."""
        unit, length = next((unit, length) for unit, length in _UNITS if not duration % length or unit == "second")
        number = duration // length
        return self(unit if number == 1 else f"{unit}s", number=number)


def day(when: date | float) -> Markup:
    """Return a date, or the UTC date of seconds since 1970, as a <time> element."""
    moment = when if isinstance(when, date) else datetime.fromtimestamp(when, UTC).date()
    return Markup('<time datetime="{0}">{0}</time>').format(moment.isoformat())


def link(address: str) -> str:
    """Return the address to link to for a path, a web address or a mail address; "" for anything else."""
    if address.startswith(("/", "https://", "http://")) and not address.startswith("//"):
        return address
    return f"mailto:{quote(address, safe='@')}" if "@" in address and ":" not in address else ""
