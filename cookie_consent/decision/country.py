"""The visitor's country, and the regime for a request by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cookie_consent.policy.policy import Policy
from cookie_consent.policy.regimes import Regime, is_place, regimes, strictest

_LONGEST = 16
"""Bytes of a code with white space around it. What is longer is no code."""


class RegimeByCountry:
    """Chooses the regime for a request.

    A place that the policy names gets its regime: first a part of a country, then the country. Other countries get the
    policy's regime for all other places. Where the country is not known, the strictest of them all applies.

    Args:
        country: the name of a header field, or a function from an ASGI scope to a code of ISO 3166, or to "".
        policy: a policy with regimes by country.

    Attributes:
        field: the name of the header field; "" for a function.
    """

    def __init__(self, country: str | Callable[[Mapping[str, Any]], str], policy: Policy) -> None:
        self.field = country if isinstance(country, str) else ""
        self._name = self.field.lower().encode()
        self._function = None if isinstance(country, str) else country
        self._elsewhere = regimes()[policy.site.regime]
        self._unknown = strictest(policy.regimes)
        self._by_place = {place: regimes()[code] for place, code in policy.site.regimes.items()}

    def of(self, scope: Mapping[str, Any]) -> Regime:
        """Return the regime for a request, given its ASGI scope."""
        place = self._place(scope)
        if place in self._by_place:
            return self._by_place[place]
        # "XX", "T1" and the like are no countries: the CDN does not know either.
        if not is_place(place):
            return self._unknown
        return self._by_place.get(place[:2], self._elsewhere)

    def country(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the country of a request, given its ASGI scope; "" if it is not known."""
        place = self._place(scope)
        return place[:2] if is_place(place) else ""

    def _place(self, scope: Mapping[str, Any]) -> str:
        place = self._in_field(scope) if self._function is None else self._function(scope)
        return place.strip().upper()

    def _in_field(self, scope: Mapping[str, Any]) -> str:
        """Return the value of the field; "" without one or with several, since a visitor may have sent one of them."""
        values = [value for name, value in scope["headers"] if name.lower() == self._name]
        is_known = len(values) == 1 and len(values[0]) <= _LONGEST
        return bytes(values[0]).decode("latin-1") if is_known else ""
