"""What only the policy in force has to satisfy. Earlier versions may lack it."""

from __future__ import annotations

from collections.abc import Iterator

from cookie_consent.policy.declarations import Declarations, labelled_recipients
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.regimes import Regime, regimes
from cookie_consent.policy.regions import missing_keys, regions


def errors_in_force(policy: Declarations) -> Iterator[PolicyError]:
    """Yield an error for each tracing purpose without retention, and for what the law of a place asks for."""
    for purpose in policy.purposes:
        if purpose.traces and purpose.retention is None:
            yield PolicyError(
                "a purpose that traces has to say how long its records are kept",
                'Write "395 days" or less (13 months: CNIL, audience measurement).',
                table=f"[purposes.{purpose.id}]",
                key="retention",
            )
    for region in filter(regions().__contains__, policy.site.regions):
        yield from _errors_in_region(policy, region)
    for code in dict.fromkeys((policy.site.regime, *policy.site.regimes.values())):
        if code in regimes():
            yield from _errors_in_regime(policy, regimes()[code])


def _errors_in_region(policy: Declarations, region: str) -> Iterator[PolicyError]:
    law, language = regions()[region], (*policy.site.languages, "en")[0]
    for purpose in policy.purposes:
        if purpose.id != NECESSARY:
            table = f"[purposes.{purpose.id}]"
            yield from missing_keys(purpose, law.purposes, region=region, table=table, language=language)
    for table, recipient in labelled_recipients(policy):
        yield from missing_keys(recipient, law.recipients, region=region, table=table, language=language)


def _errors_in_regime(policy: Declarations, regime: Regime) -> Iterator[PolicyError]:
    if "gpc" in regime.binding_signals and policy.signals.gpc == ():
        yield PolicyError(
            f"no site may ignore Sec-GPC under the law of {regime.name} ({regime.law})",
            "Leave the line out, or list the purposes that it refuses.",
            table="[signals]",
            key="gpc",
        )
    if not regime.transmission_notice:
        return
    if regime.notice_language not in policy.site.languages:
        yield PolicyError(
            f'the law of {regime.name} asks for a page in the language "{regime.notice_language}" ({regime.law})',
            f'Add "{regime.notice_language}", and write each text in it.',
            table="[site]",
            key="languages",
        )
    for table, recipient in labelled_recipients(policy):
        if not recipient.use:
            yield PolicyError(
                f"the law of {regime.name} asks for this key ({regime.law})",
                f'Say what the recipient uses the data for, as in use = {{ {regime.notice_language} = "…" }}.',
                table=table,
                key="use",
            )
