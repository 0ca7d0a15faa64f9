"""Whether a page asks, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from cookie_consent.agents import read_agent
from cookie_consent.decision import Decision
from cookie_consent.language import match_language
from cookie_consent.pages import Pages
from cookie_consent.request_consent import RequestConsent, own_path

_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_PATHSEND = "http.response.pathsend"


def asks_robot(scope: Mapping[str, Any]) -> bool:
    """Return whether a request comes from a recognised robot, which cannot answer."""
    return read_agent(next((value for name, value in scope["headers"] if name == b"user-agent"), b"")).is_bot


def wanting_a_whole_page(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the scope of a request, made to ask for a page in plain, whole and new where a browser asks for a page.

    A compressed page cannot be asked in, one that the server sends from the disk passes us by, and "not modified"
    would bring back a page from before the question.
    """
    headers = scope["headers"]
    for name, value in headers:
        if name == b"accept" and b"text/html" in value:
            whole = {**scope, "headers": [field for field in headers if field[0] not in _UNHELPFUL]}
            if _PATHSEND in (scope.get("extensions") or ()):
                whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
            return whole
    return scope


def fragment(
    pages: Pages, decision: Decision, consent: RequestConsent, scope: Mapping[str, Any], encoding: str
) -> Callable[[str | None], bytes]:
    """Return what makes the banner for a page, once the page's own language is known."""

    def banner(page_language: str | None) -> bytes:
        offered = decision.policy.site.languages
        language = match_language(page_language or "", offered) or consent.language
        next_path = own_path(scope)
        return pages.banner(decision, base=consent.base, language=language, next_path=next_path, encoding=encoding)

    return banner
