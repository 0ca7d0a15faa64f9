"""The visitor's country, from a header field that the site's proxy sets or from a function of the app."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction

from starlette.requests import HTTPConnection

from cookie_consent.base.checks import check
from cookie_consent.decision.country import LawByCountry
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.app_language import told_by_app

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
