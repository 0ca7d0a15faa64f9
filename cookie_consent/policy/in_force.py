"""What only the policy in force has to satisfy. Earlier versions may lack it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cookie_consent.policy.declarations import Declarations, labelled_recipients
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.laws import Law, laws
from cookie_consent.policy.parts import NECESSARY

_REMEDIES = {
    "data": 'Say which kinds of data it uses, as in data = {{ {language} = "…" }}.',
    "country": 'Write where it handles the data, as in country = "US".',
    "use": 'Say what the recipient uses the data for, as in use = {{ {language} = "…" }}.',
}
"""Key -> what would be right, if the key is missing."""


def errors_in_force(policy: Declarations) -> Iterator[PolicyError]:
    """Yield an error for each tracing purpose without retention, and for what a law asks."""
    for purpose in policy.purposes:
        if purpose.traces and purpose.retention is None:
            yield PolicyError(
                "a purpose that traces has to say how long its records are kept",
                'Write "395 days" or less (13 months: CNIL, audience measurement).',
                table=f"[purposes.{purpose.id}]",
                key="retention",
            )
    for code in policy.site.laws:
        if code in laws():
            yield from _errors_by_law(policy, laws()[code])


def _errors_by_law(policy: Declarations, law: Law) -> Iterator[PolicyError]:
    if "gpc" in law.binding_signals and policy.signals.gpc == ():
        yield PolicyError(
            f"no site may ignore Sec-GPC under the law of {law.name} ({law.provisions})",
            "Leave the line out, or list the purposes that it refuses.",
            table="[signals]",
            key="gpc",
        )
    if law.notice_language and law.notice_language not in policy.site.languages:
        yield PolicyError(
            f'the law of {law.name} asks for a page in the language "{law.notice_language}" ({law.provisions})',
            f'Add "{law.notice_language}", and write each text in it.',
            table="[site]",
            key="languages",
        )
    language = (*policy.site.languages, "en")[0]
    for purpose in policy.purposes:
        if purpose.id != NECESSARY:
            yield from _missing(purpose, law.purposes, law, f"[purposes.{purpose.id}]", language)
    for table, recipient in labelled_recipients(policy):
        yield from _missing(recipient, law.recipients, law, table, language)


def _missing(part: object, asked_for: Mapping[str, str], law: Law, table: str, language: str) -> Iterator[PolicyError]:
    for key, provision in asked_for.items():
        if not getattr(part, key):
            yield PolicyError(
                f"the law of {law.name} asks for this key ({provision})",
                _REMEDIES[key].format(language=language),
                table=table,
                key=key,
            )
