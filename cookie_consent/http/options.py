"""The middleware's options that ask the app: which pages are left out, their language, the visitor's country."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import Callable, Collection, Mapping
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from starlette.requests import HTTPConnection

from cookie_consent.base.addresses import local_path, safe_next
from cookie_consent.base.messages import check, check_booleans, is_list
from cookie_consent.decision.visit import LawByCountry
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.locales import match_language

Inject = bool | Collection[str] | Callable[[HTTPConnection], bool]
"""Whether all pages get the banner, patterns of the paths that are left out, or a function that decides."""
LeavesOut = Callable[[Mapping[str, Any], str], bool]
"""Takes a request's scope and its path inside the app, and returns whether its page is left out."""
Language = str | Callable[[HTTPConnection], str | None]
"""`BY_PATH`, or a function from a request to a language tag or None."""
AppLanguage = Callable[[Mapping[str, Any]], str | None]
"""Takes an ASGI scope, and returns an offered language or None."""
Country = str | Callable[[HTTPConnection], str | None]
"""The name of a header field, or a function from a request to a code of ISO 3166 or None."""
BY_PATH = "path"
GPC_PATH = "/.well-known/gpc.json"
"""The only one of our paths that is not below the prefix."""

_Value = TypeVar("_Value", str, bool)
_PATTERN = re.compile(r"[/*][^?#]*")
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_INJECT_REMEDY = (
    'Write True, False, a list of the paths to leave out, such as ["/docs*", "/admin*"], or a function (without async) '
    "that takes a request and returns whether its page gets the banner."
)
_COUNTRY_REMEDY = (
    'Write the name of a header field that your proxy sets, as in "CF-IPCountry", or a function (without async) that '
    "takes a request and returns a code of ISO 3166 or None."
)
_log = logging.getLogger("cookie_consent")


def ask_app(
    option: str, function: Callable[[HTTPConnection], _Value | None], scope: Mapping[str, Any], default: _Value
) -> _Value:
    """Return what a function of the app says about a request; the default if it returns None or fails."""
    try:
        # A copy: Starlette adds `state` to the scope of a request whose state is read.
        value = function(HTTPConnection({**scope}))
        if value is None and default == "":
            return default
        if not isinstance(value, type(default)):
            expected = "a text or None" if default == "" else "True or False"
            raise TypeError(f"{option}= has to return {expected}, not {value!r}")
    except Exception:  # noqa: BLE001 (what the app does not know must not fail the page)
        _log.exception("%s= failed; the request is served as if it had returned %s.", option, default or None)
        return default
    return value


def check_prefix(prefix: Any) -> None:
    """Check the path of the endpoints.

    Raises:
        ValueError: it is no valid path.
    """
    is_path = isinstance(prefix, str) and prefix[-1:] != "/" and safe_next(prefix) != ""
    remedy = 'Write a path like "/privacy-choices", without a slash at its end.'
    check("prefix", prefix, is_valid=is_path and {"?", "#"}.isdisjoint(prefix), remedy=remedy)


def check_page_options(*, inject: Any, settings_link: Any, shared_pages: Any, limits_browsers: bool) -> None:
    """Check the options for the app's pages.

    Raises:
        ValueError: one is not a boolean, or shared pages could not ask or would differ between visitors.
    """
    check_booleans(settings_link=settings_link, shared_pages=shared_pages)
    if shared_pages and inject is False:
        raise ValueError("shared_pages: the question has to be in the pages. Leave inject out, or shared_pages.")
    if shared_pages and limits_browsers:
        raise ValueError(
            "shared_pages: csp and the table [security] make fields that differ between visitors. Leave them out, "
            "and send a Content-Security-Policy that is the same for everybody from the app."
        )


def read_inject(inject: Inject) -> LeavesOut | None:
    """Return what says whether a request's page is left out; None if all pages are treated alike.

    Raises:
        ValueError: the option is neither a boolean nor patterns of paths nor a function.
    """
    is_function = callable(inject) and not iscoroutinefunction(inject)
    check("inject", inject, is_valid=isinstance(inject, bool) or is_list(inject) or is_function, remedy=_INJECT_REMEDY)
    if isinstance(inject, bool):
        return None
    if callable(inject):
        return lambda scope, _: not ask_app("inject", inject, scope, default=True)
    for pattern in inject:
        is_path = isinstance(pattern, str) and _PATTERN.fullmatch(pattern) is not None
        remedy = 'Write a path that begins with "/", without a query. * stands for any characters, as in "/admin*".'
        check("inject", pattern, is_valid=is_path, remedy=remedy)
    # It takes each * as short as possible, and never tries again. Here [ and ] stand for themselves.
    patterns = [fnmatch.translate(pattern.replace("[", "[[]")) for pattern in inject]
    matches = re.compile("|".join(patterns)).match
    return (lambda _, path: matches(path) is not None) if inject else None


def read_language(language: Language | None, offered: tuple[str, ...]) -> AppLanguage | None:
    """Return a function from a scope to an offered language; None if the app makes no choice.

    Raises:
        ValueError: the option is neither `BY_PATH` nor a function.
    """
    is_valid = language in (None, BY_PATH) or callable(language)
    remedy = f'Write "{BY_PATH}", or a function that takes a request and returns a language tag or None.'
    check("language", language, is_valid=is_valid, remedy=remedy)
    if callable(language):
        return lambda scope: match_language(ask_app("language", language, scope, default=""), offered)
    if language is None:
        return None
    by_segment = {tag.lower(): tag for tag in offered}
    return lambda scope: by_segment.get(local_path(scope).lower().partition("/")[2].partition("/")[0])


def read_country(country: Country | None, policy: Policy) -> LawByCountry | None:
    """Return what chooses the law for a request; None if the same one applies everywhere.

    Raises:
        ValueError: the option is neither the name of a header field nor a function, the policy names a law of opting
            out and it is missing, or names none and it is there.
    """
    is_field = isinstance(country, str) and _FIELD_NAME.fullmatch(country) is not None
    is_function = callable(country) and not iscoroutinefunction(country)
    check("country", country, is_valid=country is None or is_field or is_function, remedy=_COUNTRY_REMEDY)
    if country is None:
        if policy.is_by_country:
            raise ValueError(f"country: it is missing, and the policy names a law of opting out. {_COUNTRY_REMEDY}")
        return None
    if not policy.is_by_country:
        raise ValueError(
            'country: nothing depends on it. Name a law of opting out, as in laws = ["us-optout"], or leave it out.'
        )
    if isinstance(country, str):
        return LawByCountry(country, policy)
    return LawByCountry(lambda scope: ask_app("country", country, scope, default=""), policy)
