"""The option inject: which of the app's pages get the banner, and which are left out."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from inspect import iscoroutinefunction

from starlette.requests import HTTPConnection
from starlette.types import Scope

from cookie_consent.base.messages import check, is_list

Inject = bool | Collection[str] | Callable[[HTTPConnection], bool]
"""Whether all pages get the banner, patterns of the paths that are left out, or a function that decides."""

LeavesOut = Callable[[Scope, str], bool]
"""Takes a request's scope and its path inside the app, and returns whether its page is left out."""

_log = logging.getLogger("cookie_consent")
_PATTERN = re.compile(r"[/*][^?#]*")
_REMEDY = (
    'Write True, False, a list of the paths to leave out, such as ["/docs*", "/admin*"], or a function (without async) '
    "that takes a request and returns whether its page gets the banner."
)
_PATTERN_REMEDY = 'Write a path that begins with "/", without a query. * stands for any characters, as in "/admin*".'


def leaves_out(inject: Inject) -> LeavesOut | None:
    """Return what says whether a request's page is left out; None if all pages are treated alike.

    Args:
        inject: the middleware's option.

    Raises:
        ValueError: it is neither a boolean nor patterns of paths nor a function.
    """
    is_function = callable(inject) and not iscoroutinefunction(inject)
    check("inject", inject, is_valid=isinstance(inject, bool) or is_list(inject) or is_function, remedy=_REMEDY)
    if isinstance(inject, bool):
        return None
    if callable(inject):
        return lambda scope, _: not _says(inject, scope)
    patterns = tuple(inject)
    for pattern in patterns:
        is_path = isinstance(pattern, str) and _PATTERN.fullmatch(pattern) is not None
        check("inject", pattern, is_valid=is_path, remedy=_PATTERN_REMEDY)
    matches = re.compile("|".join(map(_expression, patterns)), re.DOTALL).fullmatch
    return (lambda _, path: matches(path) is not None) if patterns else None


def _expression(pattern: str) -> str:
    """Return the regular expression for a pattern. It takes each * as short as possible, and never tries again."""
    first, *parts = map(re.escape, pattern.split("*"))
    if not parts:
        return first
    *between, last = parts
    return "".join([first, *(f"(?>.*?{part})" for part in between), ".*", last])


def _says(inject: Callable[[HTTPConnection], bool], scope: Scope) -> bool:
    """Return what the app's function says about a request; True if it fails."""
    try:
        # A copy: Starlette adds `state` to the scope of a request whose state is read.
        said = inject(HTTPConnection({**scope}))
        if not isinstance(said, bool):
            raise TypeError(f"inject= has to return True or False, not {said!r}")
        return said
    except Exception:  # noqa: BLE001 (what the app does not know must not fail the page)
        _log.exception("inject= failed; the page is served as if it had returned True.")
        return True
