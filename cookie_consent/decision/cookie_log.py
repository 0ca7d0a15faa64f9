"""Counts the cookies that the gate blocks, and logs what the site has to change, once for each name."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.messages import escape_for_log, is_told, warn_once
from cookie_consent.decision.gate import RESERVED, SHORTENED, UNDECLARED, Finding, Findings, count_reasons
from cookie_consent.policy.parts import LONGEST_COOKIE, Cookie
from cookie_consent.policy.syntax import written_duration
from cookie_consent.policy.vendors import known_cookie

Key = tuple[str, str]
"""Direction ("request" or "response") and reason; see `Finding`."""
_BLOCKED = {"request": "cookies that browsers send", "response": "cookies that the app sets"}
_SENT = "cookies that no answer allows"
_SHORTENED = "lifetimes of cookies"
_TOLERANCE = 60
"""Seconds by which a lifetime may exceed the declared one without a warning, since clocks differ."""
_log = logging.getLogger("cookie_consent")


held_cookies = Counter[Key]()
"""The blocked cookies of all middlewares of this process, for Prometheus. There are few reasons."""
_changes = threading.Lock()


def count_blocked(direction: str, counts: Mapping[str, int]) -> None:
    """Count blocked cookies of a request or a response: reason -> number."""
    with _changes:
        for reason, number in counts.items():
            held_cookies[direction, reason] += number


def log_request(findings: Findings, allowed: Collection[str]) -> None:
    """Warn of cookies that a request carries: of undeclared ones, and of declared ones that no answer allows.

    Args:
        findings: what the gate found on them.
        allowed: ids of the purposes that are or were allowed.
    """
    for finding in findings:
        # Browsers always send our own cookies back, so that is nothing to warn about.
        if finding.reason == RESERVED:
            continue
        _log_finding("request", finding)
        cookie = finding.cookie
        if cookie is not None and cookie.purpose not in allowed:
            warn_once(_SENT, cookie.name, partial(_describe_sent, finding.name, cookie.purpose))


def note_response(findings: Findings) -> None:
    """Count the blocked cookies of a response, and warn of what the site has to change."""
    count_blocked("response", count_reasons(findings))
    for finding in findings:
        if finding.reason == SHORTENED and finding.cookie is not None:
            _warn_of_lifetime(finding.cookie, finding.seconds or 0)
        else:
            _log_finding("response", finding)


def _log_finding(direction: str, finding: Finding) -> None:
    """Warn of an undeclared or reserved name once.

    That a declared cookie waits for consent is no warning: it is what the policy says. A response that sets a lifetime
    warns again about a name known from requests: only now can the warning propose a duration.
    """
    if finding.reason not in (UNDECLARED, RESERVED):
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                'The cookie "%s" is held back from a %s: "%s" is not allowed.',
                _shown(finding.name),
                direction,
                finding.reason,
            )
        return
    name = finding.name[:LONGEST_KEPT].decode("latin-1")
    if finding.seconds or not any(is_told(kind, name) for kind in _BLOCKED.values()):
        warn_once(_BLOCKED[direction], name, partial(_describe, direction, finding))


def _warn_of_lifetime(cookie: Cookie, seconds: float) -> None:
    """Warn once for each declaration of a lifetime that is clearly longer than declared."""
    declared = 0.0 if cookie.duration is None else cookie.duration.total_seconds()
    seconds = min(seconds, LONGEST_COOKIE.total_seconds())
    if seconds > declared + _TOLERANCE:
        warn_once(_SHORTENED, cookie.name, partial(_describe_lifetime, cookie, seconds))


def _shown(name: bytes) -> str:
    return escape_for_log(name.decode("latin-1"))


def _describe_lifetime(cookie: Cookie, seconds: float) -> str:
    declared = "the browser session" if cookie.duration is None else written_duration(cookie.duration.total_seconds())
    return (
        f'The cookie "{cookie.name}" is kept for {declared}, as the policy declares it; the app sets it for '
        f"{written_duration(seconds)}. If it has to last so long, declare that:\n\n"
        f'[[cookies]]\nname = "{cookie.name}"\npurpose = "{cookie.purpose}"\nduration = "{written_duration(seconds)}"\n'
    )


def _describe_sent(name: bytes, purpose: str) -> str:
    return (
        f'A browser sends the cookie "{_shown(name)}", and no answer allows "{purpose}": a script in a page has set '
        "it, or it is from an earlier time. The app does not see it. Let what sets it wait (docs/gated.md):\n\n"
        f'<script type="text/plain" data-purpose="{purpose}" data-src="..."></script>\n'
    )


def _describe(direction: str, finding: Finding) -> str:
    shown = _shown(finding.name)
    outcome = "held back" if finding.is_blocked else "let through"
    if direction == "request":
        outcome += " from the app" if finding.is_blocked else " to the app"
    if finding.reason == RESERVED:
        return (
            f"The cookie \"{shown}\" was {outcome}: it is the consent layer's own. Give the app's cookie another name."
        )
    if len(finding.name) > LONGEST_KEPT:
        return f'The cookie "{shown}" was {outcome}: its name has more than {LONGEST_KEPT} bytes.'
    duration = "session"
    if finding.seconds is not None and finding.seconds >= 1:
        duration = written_duration(min(finding.seconds, LONGEST_COOKIE.total_seconds()))
    return (
        f'The cookie "{shown}" was {outcome}: no policy declares it. If it is the site\'s, declare it:\n\n'
        f'[[cookies]]\nname = "{shown}"\npurpose = {_propose_purpose(shown)}\nduration = "{duration}"\n'
    )


def _propose_purpose(name: str) -> str:
    """Return the value to paste for an undeclared cookie's purpose, with a comment."""
    if known := known_cookie(name):
        unless = " unless you run it yourself" if known.self_hosted else ""
        return f'"{known.purpose}"  # as usual for {known.vendor}, which has to be in [[recipients]], too{unless}'
    # It does not load as it is: only the site knows, and "necessary" would be the easy guess.
    return '"?"  # what it is for: one of your purposes, or "necessary" if the site cannot work without it'
