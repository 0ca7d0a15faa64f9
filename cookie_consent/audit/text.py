"""Writes findings as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cookie_consent.audit.findings import NEVER_SEEN, RULES, Finding
from cookie_consent.base.messages import escape_for_log


def describe(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a paragraph for each rule: its findings, each with its evidence."""
    found = list(findings)
    for rule, meaning in RULES.items():
        lines = [line for finding in found if finding.rule == rule for line in _lines(finding)]
        if lines:
            yield "\n".join([f"{'Note' if rule == NEVER_SEEN else 'Finding'} {rule}: {meaning}", *lines])


def _lines(finding: Finding) -> Iterator[str]:
    """Yield the lines about a finding."""
    detail = f" ({finding.detail})" if finding.detail else ""
    for_whom = "" if finding.rule == NEVER_SEEN else f", for {', '.join(finding.visitors)}"
    yield f'  "{escape_for_log(finding.name)}"{detail}{for_whom}'
    for place in finding.places:
        page = "" if place.source.startswith(place.page) else f" (page {place.page})"
        yield f"    {escape_for_log(f'{place.source}: {place.by}{page}')}"
