"""What a valid policy says that its site should still look at: placeholders, and what visitors would miss."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

from cookie_consent.policy.declarations import Declarations, labelled, labelled_parts
from cookie_consent.policy.errors import PolicyError, Row, select_errors
from cookie_consent.policy.parts import NECESSARY, VISITOR_LIFETIME, Cookie
from cookie_consent.policy.syntax import PLACEHOLDER
from cookie_consent.policy.vendors import KnownCookie, known_cookie

_EXAMPLE_HOST = re.compile(
    r"(?<![\w-])example\.(?:com|net|org|edu|[a-z]{2}|(?:co|com|ne|or)\.[a-z]{2})(?![\w.-])|\.(?:example|invalid)(?![\w.-])",
    re.IGNORECASE,
)
"""A host that belongs to nobody (RFC 2606, and what registries keep beside it)."""
_EXAMPLE_NAME = re.compile(r"example\b", re.IGNORECASE)
_CONTACT = re.compile(r"[^@\s:/]+@[^@\s:/]+\.[^@\s:/]+|\+?[\d() ./-]{5,}|(?:/|https?://).*", re.DOTALL)
"""A mail address, a phone number, or a link."""
_MOST_NAMED = 3
"""The start names at most so many placeholders."""


def advice(policy: Declarations, today: date) -> Iterator[str]:
    """Yield a sentence for each thing that a site should still look at, but placeholders. None stops a start."""
    yield from _find_untrue(policy)
    site = policy.site
    rows: list[Row] = [
        (
            not site.policy_url,
            "policy_url",
            "visitors find no link to your privacy policy",
            'Write its path or address, as in policy_url = "/privacy".',
        )
    ]
    rows += [
        (
            contact and not _CONTACT.fullmatch(contact),
            key,
            f"{contact!r} is no mail address, link or phone number, so visitors may not know how to use it",
            'Write one, as in "privacy@my-site.com".',
        )
        for key, contact in (
            ("contact", site.contact),
            ("data_protection_officer", site.data_protection_officer),
        )
    ]
    yield from map(str, select_errors(rows, "[site]"))
    days = [(table, "date", change.date) for table, change in labelled("changes", policy.changes)]
    for table, key, day in (("[site]", "updated", site.updated or today), *days):
        if day > today:
            yield str(
                PolicyError(
                    f"{day} is in the future, and visitors read it today",
                    "Write the day of the change.",
                    table=table,
                    key=key,
                )
            )


def advice_at_start(policy: Declarations) -> Iterator[str]:
    """Yield a sentence for each thing that visitors of a site in service should not read."""
    found = [f'"{value}"' for value in dict.fromkeys(value for value, _ in placeholders(policy))]
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        yield (
            f"The policy still says {', '.join(found[:_MOST_NAMED])}{more}: examples in place of what is true of the "
            "site. Visitors read them. `cookie-consent check` names each."
        )
    yield from _find_untrue(policy)


def placeholders(policy: Declarations) -> Iterator[tuple[str, PolicyError]]:
    """Yield each value that `init` wrote, or that stands for something to be written, and what to do."""
    values: list[tuple[str, str, Any]] = []
    for table, part in labelled_parts(policy):
        values += [(table, declared.name, getattr(part, declared.name)) for declared in fields(part)]  # type: ignore[arg-type]
    for language, texts in policy.wording.items():
        forms = [(key, text if isinstance(text, Mapping) else {"": text}) for key, text in texts.items()]
        values += [(f"[texts.{language}]", key, text) for key, text in forms]
    for table, key, value in values:
        if isinstance(value, Mapping):
            unwritten = [text for text in value.values() if isinstance(text, str) and text.startswith(PLACEHOLDER)]
            fault = ("is a placeholder", "Write the text.")
        else:
            items = value if isinstance(value, tuple) else (value,)
            unwritten = [item for item in items if isinstance(item, str) and _is_example(key, item)]
            fault = ("is an example", "Write the real one.")
        problem, remedy = fault
        for text in unwritten:
            yield text, PolicyError(f"{text!r} {problem}", remedy, table=table, key=key)


def _is_example(key: str, value: str) -> bool:
    is_example_name = key in ("name", "controller") and _EXAMPLE_NAME.match(value)
    return bool(is_example_name or PLACEHOLDER in value or _EXAMPLE_HOST.search(value))


def _find_untrue(policy: Declarations) -> Iterator[str]:
    """Yield a sentence for each declaration that is hardly true, or that hides from visitors who gets data."""
    for table, cookie in labelled("cookies", policy.cookies):
        if known := known_cookie(cookie.name):
            yield from map(str, select_errors(_check_known(policy, cookie, known), table))
    longest = VISITOR_LIFETIME.days
    for table, purpose in labelled("purposes", policy.purposes):
        days = (purpose.retention or timedelta()).days
        if purpose.traces and days > longest:
            yield str(
                PolicyError(
                    f"{days} days are longer than the {longest} that a visitor id is valid",
                    f'Write "{longest} days" or less (13 months: CNIL, audience measurement).',
                    table=table,
                    key="retention",
                )
            )


def _check_known(policy: Declarations, cookie: Cookie, known: KnownCookie) -> list[Row]:
    is_necessary = cookie.purpose == NECESSARY
    # Who runs it without the vendor says so once, by declaring who gets data, or that nobody does.
    says_who = known.self_hosted and (policy.site.recipients or policy.recipients)
    is_declared = known.is_of(it for it in policy.recipients if it.purpose == cookie.purpose)
    alone = ' If you run it yourself and nobody else gets data, write recipients = "none" in [site].'
    return [
        (
            is_necessary,
            "purpose",
            f'cookies of this name are those of {known.vendor}, usually for "{known.purpose}". No site needs them',
            "Write a purpose that visitors can refuse.",
        ),
        (
            not (is_necessary or says_who or is_declared),
            "name",
            f"cookies of this name are those of {known.vendor}, and visitors do not read that it gets data",
            f'Declare it in [[recipients]], with purpose = "{cookie.purpose}".{alone if known.self_hosted else ""}',
        ),
    ]
