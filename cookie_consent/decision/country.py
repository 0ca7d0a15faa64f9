"""The visitor's country, and the law for a request by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cookie_consent.policy.laws import Law, is_place
from cookie_consent.policy.policy import Policy

_LONGEST = 16
"""Bytes of a code with white space around it. What is longer is no code."""


class LawByCountry:
    """Chooses the law for a request: that of a part of a country, else that of the country, else the policy's default.

    Args:
        country: the name of a header field, or a function from an ASGI scope to a code of ISO 3166, or to "".
        policy: a policy with laws by country.

    Attributes:
        field: the name of the header field; "" for a function.
    """

    def __init__(self, country: str | Callable[[Mapping[str, Any]], str], policy: Policy) -> None:
        self.field = country if isinstance(country, str) else ""
        self._name = self.field.lower().encode()
        self._function = None if isinstance(country, str) else country
        self._default = policy.law
        # Of two laws for one place that of fewer places counts, as France's before that of the European Union, and
        # that of opting in.
        ordered = sorted(policy.laws, key=lambda law: (-len(law.places), not law.is_opt_out))
        self._by_place = {place: law for law in ordered for place in law.places}

    def of(self, scope: Mapping[str, Any]) -> Law | None:
        """Return the law for a request, given its ASGI scope; None if the policy names none for it."""
        place = self._place(scope)
        return self._by_place.get(place) or self._by_place.get(place[:2], self._default)

    def country(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the country of a request, given its ASGI scope; "" if it is not known."""
        return self._place(scope)[:2]

    def _place(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the place of a request; "" if it is not known."""
        place = self._in_field(scope) if self._function is None else self._function(scope)
        place = place.strip().upper()
        # "XX", "T1" and the like are no countries: the CDN does not know either.
        return place if is_place(place) else ""

    def _in_field(self, scope: Mapping[str, Any]) -> str:
        """Return the value of the field; "" without one or with several, since a visitor may have sent one of them."""
        values = [value for name, value in scope["headers"] if name.lower() == self._name]
        is_known = len(values) == 1 and len(values[0]) <= _LONGEST
        return bytes(values[0]).decode("latin-1") if is_known else ""
