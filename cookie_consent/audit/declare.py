"""Writes what was seen and is not declared into a policy file. Everything else in the file stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomlkit

from cookie_consent.audit.findings import UNDECLARED_COOKIE, UNDECLARED_HOST, UNDECLARED_STORAGE, Finding
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.policy.syntax import PLACEHOLDER, written_duration
from cookie_consent.policy.vendors import known_cookie

_TO_FILL_IN = "what it is for: one of the purposes, or necessary if the site cannot work without it"


def declare(path: Path, findings: Iterable[Finding]) -> list[str]:
    """Add a table to a policy file for each undeclared cookie, key and host, and return the names.

    Where nothing tells the purpose, it is "?", with which the file does not load until somebody has written it.

    Args:
        path: the policy file.
        findings: all findings.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: the file is no TOML.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    languages = document.get("site", {}).get("languages", ["en"])
    purposes = set(document.get("purposes", {}))
    names = []
    for finding in findings:
        if finding.rule in (UNDECLARED_COOKIE, UNDECLARED_STORAGE):
            _append(document, "cookies", _cookie(finding, purposes))
        elif finding.rule == UNDECLARED_HOST:
            _append(document, "recipients", _recipient(finding.name, languages))
        else:
            continue
        names.append(finding.name)
    if names:
        path.write_text(tomlkit.dumps(document), encoding="utf-8")
    return names


def _append(document: tomlkit.TOMLDocument, name: str, table: Any) -> None:
    if name not in document:
        document[name] = tomlkit.aot()
    tables: Any = document[name]
    tables.append(table)


def _cookie(finding: Finding, purposes: set[str]) -> Any:
    table = tomlkit.table()
    table["name"] = finding.name
    known = known_cookie(finding.name)
    table["purpose"] = known.purpose if known and known.purpose in purposes else "?"
    comment = f"of {known.vendor}, which has to be in [[recipients]], usually for {known.purpose}" if known else ""
    table["purpose"].comment(comment or _TO_FILL_IN)
    if finding.rule == UNDECLARED_STORAGE:
        table["kind"] = "storage"
    else:
        seconds = min(finding.seconds, LONGEST_COOKIE.total_seconds())
        table["duration"] = written_duration(seconds) if seconds >= 1 else "session"
    return table


def _recipient(host: str, languages: Iterable[str]) -> Any:
    table = tomlkit.table()
    table["id"] = host.replace(".", "-")
    table["name"] = PLACEHOLDER
    table["purpose"] = "?"
    table["purpose"].comment(_TO_FILL_IN)
    table["origins"] = [f"https://{host}"]
    receives = tomlkit.inline_table()
    receives.update(dict.fromkeys(languages, PLACEHOLDER))
    table["receives"] = receives
    return table
