"""What a valid policy says that its site should still look at: placeholders, and what visitors would miss."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date

from cookie_consent.policy.checked_part import CheckedPart
from cookie_consent.policy.declarations import Declarations, item_label, labelled_parts
from cookie_consent.policy.parts import Site
from cookie_consent.policy.starter import PLACEHOLDER

_EXAMPLE_HOST = re.compile(
    r"(?<![\w-])example\.(?:com|net|org|edu|[a-z]{2}|(?:co|com|ne|or)\.[a-z]{2})(?![\w.-])|\.(?:example|invalid)(?![\w.-])",
    re.IGNORECASE,
)
"""A host that belongs to nobody (RFC 2606, and what registries keep beside it)."""
_EXAMPLE_NAME = re.compile(r"example\b", re.IGNORECASE)
_NAMES = ("name", "controller")
_MAIL_ADDRESS = re.compile(r"[^@\s:/]+@[^@\s:/]+\.[^@\s:/]+")
_PHONE_NUMBER = re.compile(r"\+?[\d() ./-]{5,}")


def advice(policy: Declarations, today: date) -> Iterator[str]:
    """Yield a sentence for each thing that a site should still look at. None of it stops a start.

    Args:
        policy: the policy in force.
        today: the date to judge by.
    """
    for table, part in labelled_parts(policy):
        yield from _placeholders(table, part)
    for language, texts in policy.wording.items():
        for key, text in texts.items():
            yield from _to_write(f"[texts.{language}]", key, text)
    yield from _about_site(policy.site)
    dates = [(item_label("changes", number), "date", change.date) for number, change in enumerate(policy.changes, 1)]
    if policy.site.updated is not None:
        dates.append(("[site]", "updated", policy.site.updated))
    for table, key, day in dates:
        if day > today:
            problem = f"{day} is in the future, and visitors read it today"
            yield _sentence(table, key, problem, "Write the day of the change.")


def _sentence(table: str, key: str, problem: str, remedy: str) -> str:
    return f'{table} key "{key}": {problem}. {remedy}'


def _placeholders(table: str, part: CheckedPart) -> Iterator[str]:
    """Yield a sentence for each value that `init` wrote, or that stands for something to be written."""
    for declared in fields(part):  # type: ignore[arg-type]
        key, value = declared.name, getattr(part, declared.name)
        if isinstance(value, Mapping):
            yield from _to_write(table, key, value)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str) and _is_example(key, item):
                yield _sentence(table, key, f"{item!r} is an example", "Write the real one.")


def _to_write(table: str, key: str, text: object) -> Iterator[str]:
    """Yield a sentence for each placeholder in a text, its languages or its plural forms."""
    for form in text.values() if isinstance(text, Mapping) else (text,):
        if isinstance(form, str) and form.startswith(PLACEHOLDER):
            yield _sentence(table, key, f"{form!r} is a placeholder", "Write the text.")


def _is_example(key: str, value: str) -> bool:
    if key in _NAMES and _EXAMPLE_NAME.match(value):
        return True
    return PLACEHOLDER in value or _EXAMPLE_HOST.search(value) is not None


def _about_site(site: Site) -> Iterator[str]:
    if not site.policy_url:
        remedy = 'Write its path or address, as in policy_url = "/privacy".'
        yield _sentence("[site]", "policy_url", "visitors find no link to your privacy policy", remedy)
    if not _reaches_somebody(site.contact):
        problem = f"{site.contact!r} is no mail address, link or phone number, so visitors may not know how to use it"
        yield _sentence("[site]", "contact", problem, 'Write one, as in "privacy@my-site.com".')


def _reaches_somebody(contact: str) -> bool:
    if contact.startswith(("/", "https://", "http://")):
        return True
    return any(pattern.fullmatch(contact) for pattern in (_MAIL_ADDRESS, _PHONE_NUMBER))
