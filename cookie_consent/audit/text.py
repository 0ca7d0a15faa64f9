"""Writes findings as text, and as a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from cookie_consent.audit.findings import NEVER_SEEN, RULES, Finding


def describe(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a paragraph for each rule: its findings, each with its evidence."""
    found = list(findings)
    for rule, meaning in RULES.items():
        lines = [line for finding in found if finding.rule == rule for line in _lines(finding)]
        if lines:
            yield "\n".join([f"{'Note' if rule == NEVER_SEEN else 'Finding'} {rule}: {meaning}", *lines])


def _printable(text: str) -> str:
    """Return a text of the site without characters that could control a terminal."""
    return "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)


def _lines(finding: Finding) -> Iterator[str]:
    """Yield the lines about a finding."""
    detail = f" ({finding.detail})" if finding.detail else ""
    for_whom = "" if finding.rule == NEVER_SEEN else f", for {', '.join(finding.visitors)}"
    yield f'  "{_printable(finding.name)}"{detail}{for_whom}'
    for place in finding.places:
        source, by, page = map(_printable, (place.source, place.by, place.page))
        yield f"    {source}: {by}" + ("" if source.startswith(page) else f" (page {page})")


def page(summary: str, findings: Sequence[Finding]) -> str:
    """Return an HTML page with all findings, their evidence and pictures; it loads nothing.

    Args:
        summary: its first sentence.
        findings: all findings.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    template = environment.from_string((files(__package__) / "page.html").read_text(encoding="utf-8"))
    grouped = {rule: [it for it in findings if it.rule == rule] for rule in RULES}
    return template.render(summary=summary, grouped=grouped, rules=RULES)
