"""Where a request comes to and from: the place of our own cookies, and the law of the visitor's country."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cookie_consent.base.addresses import host_name
from cookie_consent.policy.laws import Law, is_place
from cookie_consent.policy.policy import Policy

SECURE_SCHEMES = ("https", "wss")
_LONGEST_CODE = 16
"""Bytes of a code with white space around it. What is longer is no code."""


class Place(NamedTuple):
    """Where our own cookies live: on one host, or on all hosts of a domain that share an answer.

    Args:
        secure: whether the connection is https.
        host: the host of the request if it shares answers with others; "" if cookies are host-only.
        domain: the Domain of the cookies; None if they are host-only.
    """

    secure: bool
    host: str = ""
    domain: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the cookies are shared with other hosts."""
        return self.domain is not None


HTTPS = Place(secure=True)
HTTP = Place(secure=False)


def is_secure(scope: Mapping[str, Any]) -> bool:
    """Return whether a request came over https or wss. ASGI servers may leave the scheme out."""
    return scope.get("scheme") in SECURE_SCHEMES


def read_host(scope: Mapping[str, Any]) -> str:
    """Return the host of a request, in lowercase and without its port; "" if it names none."""
    for name, value in scope["headers"]:
        if name == b"host":
            return host_name(value)
    return ""


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
        self._read_code = self._read_field if isinstance(country, str) else country
        self._default = policy.law
        # Of two laws for one place that of fewer places counts, as France's before that of the European Union, and
        # that of opting in.
        ordered = sorted(policy.laws, key=lambda law: (-len(law.places), not law.is_opt_out))
        self._by_place = {place: law for law in ordered for place in law.places}

    def find_law(self, scope: Mapping[str, Any]) -> Law | None:
        """Return the law for a request; None if the policy names none for it."""
        place = self._read_place(scope)
        return self._by_place.get(place) or self._by_place.get(place[:2], self._default)

    def read_country(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the country of a request; "" if it is not known."""
        return self._read_place(scope)[:2]

    def _read_place(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the place of a request; "" if it is not known."""
        place = self._read_code(scope).strip().upper()
        # "XX", "T1" and the like are no countries: the CDN does not know either.
        return place if is_place(place) else ""

    def _read_field(self, scope: Mapping[str, Any]) -> str:
        """Return the value of the field; "" without one or with several, since a visitor may have sent one of them."""
        name = self.field.lower().encode()
        found = [value for key, value in scope["headers"] if key.lower() == name]
        if len(found) != 1 or len(found[0]) > _LONGEST_CODE:
            return ""
        return bytes(found[0]).decode("latin-1")
