"""Writes findings as SARIF 2.1.0, which code hosts show beside the lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cookie_consent.audit.findings import NEVER_SEEN, RULES, Finding, Place

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the log of one run: a result for each finding, an error or, for what was never seen, a note."""
    rules = [{"id": rule, "shortDescription": {"text": meaning}} for rule, meaning in RULES.items()]
    results = [
        {
            "ruleId": it.rule,
            "level": "note" if it.rule == NEVER_SEEN else "error",
            "message": {"text": " ".join(filter(None, (RULES[it.rule], it.name, it.detail)))},
            "locations": [_location(place) for place in it.places],
            "partialFingerprints": {"nameUnderRule/v1": f"{it.rule} {it.name}"},
        }
        for it in findings
    ]
    driver = {"name": "cookie-consent audit", "rules": rules}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _location(place: Place) -> dict[str, Any]:
    file, _, line = place.source.rpartition(":")
    physical: dict[str, Any] = {"artifactLocation": {"uri": file if line.isdecimal() else place.source}}
    if line.isdecimal() and int(line):
        physical["region"] = {"startLine": int(line), "snippet": {"text": place.by}}
    return {"physicalLocation": physical, "message": {"text": f"{place.by} (page {place.page})"}}
