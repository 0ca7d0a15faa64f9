"""What a middleware was installed with: the parts that its answers come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cookie_consent.gate import Gate
from cookie_consent.ledgers import Ledger
from cookie_consent.mounting import address
from cookie_consent.own_cookies import OwnCookies
from cookie_consent.pages import Pages
from cookie_consent.policy import Policy
from cookie_consent.sinks import Sink
from cookie_consent.visits import Visits


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The parts of one installation.

    Args:
        policy: the site's policy.
        prefix: the path of the endpoints, without a slash at its end.
        own: our own cookies.
        gate: knows which cookies may pass.
        visits: reads requests.
        pages: makes what visitors read.
        ledger: keeps consent records, or None.
        sink: keeps access records, or None.
        clock: returns seconds since 1970.
    """

    policy: Policy
    prefix: str
    own: OwnCookies
    gate: Gate
    visits: Visits
    pages: Pages
    ledger: Ledger | None
    sink: Sink | None
    clock: Callable[[], float]

    def base(self, scope: Mapping[str, Any]) -> str:
        """Return the address of the endpoints, with the path that the app is mounted at."""
        return address(scope.get("root_path", ""), self.prefix)
