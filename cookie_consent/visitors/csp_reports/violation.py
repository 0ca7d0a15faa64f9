"""Reads reports in both formats: of report-uri (CSP Level 3, section 5.3) and of the Reporting API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cookie_consent.base.forms import media_type
from cookie_consent.base.paths import split_address, split_origin
from cookie_consent.base.problem import Problem
from cookie_consent.policy.security import DIRECTIVES
from cookie_consent.policy.syntax import HOST

OTHER = "other"
"""What stands for a text that is none of those we know."""
_KEYWORDS = frozenset(
    ("inline", "eval", "wasm-eval", "self", "data", "blob", "trusted-types-policy", "trusted-types-sink")
)
_SCHEMES = frozenset(("http", "https", "ws", "wss"))
_MAX_REPORTS = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """What a browser has reported. Texts of clients are in it only where they are harmless.

    Args:
        directive: the violated directive, or `OTHER`.
        blocked: the origin of what was loaded or connected to, a keyword such as "inline", or `OTHER`.
        is_enforced: whether the browser stopped it; a report-only policy does not.
        policy: the words of the policy, to see which origins it names. It is not kept.
    """

    directive: str
    blocked: str
    is_enforced: bool
    policy: frozenset[str]


def read_violations(content_type: str, body: bytes) -> list[Violation]:
    """Return the violations in the body of a report.

    Raises:
        Problem: 400, the body is no report.
    """
    reader = _READERS.get(media_type(content_type))
    if reader is None:
        raise Problem(400, f"The body has to be one of: {', '.join(_READERS)}.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "The body is no JSON text in UTF-8.") from None
    return [_violation(report) for report in reader(data)]


def _of_report_uri(data: Any) -> Iterator[Mapping[str, Any]]:
    report = data.get("csp-report") if isinstance(data, dict) else None
    if not isinstance(report, dict):
        raise Problem(400, 'The body has to be an object with "csp-report".')
    yield {
        "directive": report.get("effective-directive") or report.get("violated-directive"),
        "blocked": report.get("blocked-uri"),
        "disposition": report.get("disposition"),
        "policy": report.get("original-policy"),
    }


def _of_reporting_api(data: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(data, list):
        raise Problem(400, "The body has to be a list of reports.")
    for report in data[:_MAX_REPORTS]:
        body = report.get("body") if isinstance(report, dict) and report.get("type") == "csp-violation" else None
        if isinstance(body, dict):
            yield {
                "directive": body.get("effectiveDirective"),
                "blocked": body.get("blockedURL"),
                "disposition": body.get("disposition"),
                "policy": body.get("originalPolicy"),
            }


_READERS: Mapping[str, Callable[[Any], Iterator[Mapping[str, Any]]]] = {
    "application/csp-report": _of_report_uri,
    "application/reports+json": _of_reporting_api,
}


def _violation(report: Mapping[str, Any]) -> Violation:
    texts = {name: value if isinstance(value, str) else "" for name, value in report.items()}
    # Some browsers report the whole directive with its sources.
    directive = texts["directive"].strip().partition(" ")[0].lower()
    return Violation(
        directive if directive in DIRECTIVES else OTHER,
        _blocked(texts["blocked"]),
        texts["disposition"] != "report",
        frozenset(texts["policy"].replace(";", " ").lower().split()),
    )


def _blocked(address: str) -> str:
    """Return the origin of an address: a path may say who the visitor is."""
    parts = split_address(address)
    origin = split_origin(parts.scheme.lower(), parts.authority)
    if origin is not None and origin.scheme in _SCHEMES and HOST.fullmatch(origin.host):
        return f"{origin.scheme}://{origin.host}{f':{origin.port}' if origin.port else ''}"
    keyword = address.lower().partition(":")[0]
    return keyword if keyword in _KEYWORDS else OTHER
