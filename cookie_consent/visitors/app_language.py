"""The app's own choice of language, where it makes one: by path, or by a function of the request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import HTTPConnection

from cookie_consent.base.checks import check
from cookie_consent.base.paths import local_path
from cookie_consent.texts.negotiation import match_language

BY_PATH = "path"
_log = logging.getLogger("cookie_consent")
AppLanguage = Callable[[Mapping[str, Any]], str | None]
"""Returns the offered language of a request, by its scope, or None."""


def app_language(
    given: str | Callable[[HTTPConnection], str | None] | None, offered: tuple[str, ...]
) -> AppLanguage | None:
    """Return what tells a request's language, by its scope, as one of those offered or None.

    Args:
        given: `BY_PATH`, a function of the request, or None where the app leaves it to the page and the browser.
        offered: the languages that the policy offers.

    Raises:
        ValueError: it is none of these.
    """
    remedy = f'Write "{BY_PATH}", or a function that takes a request and returns a language tag or None.'
    check("language", given, fits=given in (None, BY_PATH) or callable(given), remedy=remedy)
    if given is None:
        return None
    if callable(given):
        return lambda scope: match_language(_asked(given, scope), offered)
    by_segment = {tag.lower(): tag for tag in offered}
    return lambda scope: by_segment.get(local_path(scope).lower().partition("/")[2].partition("/")[0])


def _asked(function: Callable[[HTTPConnection], str | None], scope: Mapping[str, Any]) -> str:
    """Return what the app's function says; "" where it says nothing, or fails."""
    try:
        said = function(HTTPConnection({**scope})) or ""
        if not isinstance(said, str):
            raise TypeError(f"language= has to return a text or None, not {said!r}")
        return said
    except Exception:  # noqa: BLE001 (a page is not lost for its language)
        _log.exception("language= failed; the page's or the browser's language is taken.")
        return ""
