"""What the app, or its proxy, says of a request: the language of its page, and the country of the visitor."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from starlette.requests import HTTPConnection

from cookie_consent.base.addresses import local_path
from cookie_consent.base.messages import check
from cookie_consent.decision.place import LawByCountry
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.locales import match_language

BY_PATH = "path"
_log = logging.getLogger("cookie_consent")
AppLanguage = Callable[[Mapping[str, Any]], str | None]
"""Takes an ASGI scope, and returns an offered language or None."""


def app_language(
    given: str | Callable[[HTTPConnection], str | None] | None, offered: tuple[str, ...]
) -> AppLanguage | None:
    """Return a function from a scope to an offered language, or None if the app makes no choice.

    Args:
        given: `BY_PATH`, a function from a request to a language tag, or None to leave the choice to page and browser.
        offered: the languages of the policy.

    Raises:
        ValueError: `given` is something else.
    """
    remedy = f'Write "{BY_PATH}", or a function that takes a request and returns a language tag or None.'
    check("language", given, is_valid=given in (None, BY_PATH) or callable(given), remedy=remedy)
    if given is None:
        return None
    if callable(given):
        return lambda scope: match_language(told_by_app("language", given, scope), offered)
    by_segment = {tag.lower(): tag for tag in offered}
    return lambda scope: by_segment.get(local_path(scope).lower().partition("/")[2].partition("/")[0])


def told_by_app(option: str, function: Callable[[HTTPConnection], str | None], scope: Mapping[str, Any]) -> str:
    """Return what a function of the app says about a request; "" if it returns None or fails.

    Args:
        option: the middleware's option that names the function.
        function: the function.
        scope: the request's ASGI scope.
    """
    try:
        # A copy: Starlette adds `state` to the scope of a request whose state is read.
        told = function(HTTPConnection({**scope})) or ""
        if not isinstance(told, str):
            raise TypeError(f"{option}= has to return a text or None, not {told!r}")
        return told
    except Exception:  # noqa: BLE001 (what the app does not know must not fail the page)
        _log.exception("%s= failed; the request is served as if it had returned None.", option)
        return ""


Country = str | Callable[[HTTPConnection], str | None]
"""The name of a header field, or a function from a request to a code of ISO 3166 or None."""

_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REMEDY = (
    'Write the name of a header field that your proxy sets, as in "CF-IPCountry", or a function (without async) that '
    "takes a request and returns a code of ISO 3166 or None."
)


def law_by_country(country: Country | None, policy: Policy) -> LawByCountry | None:
    """Return what chooses the law for a request; None if the same one applies everywhere.

    Args:
        country: the middleware's option.
        policy: the policy.

    Raises:
        ValueError: it is neither the name of a header field nor a function, the policy names a law of opting out and
            it is missing, or names none and it is given.
    """
    is_field = isinstance(country, str) and _FIELD_NAME.fullmatch(country) is not None
    is_function = callable(country) and not iscoroutinefunction(country)
    check("country", country, is_valid=country is None or is_field or is_function, remedy=_REMEDY)
    if country is None:
        if policy.is_by_country:
            raise ValueError(f"country: it is missing, and the policy names a law of opting out. {_REMEDY}")
        return None
    if not policy.is_by_country:
        raise ValueError(
            'country: nothing depends on it. Name a law of opting out, as in laws = ["us-optout"], or leave it out.'
        )
    return LawByCountry(country if isinstance(country, str) else partial(told_by_app, "country", country), policy)
