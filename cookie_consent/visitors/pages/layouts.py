"""The layout of the question: one for all, several in turn by day and host, or the app's choice for each request."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import HTTPConnection

from cookie_consent.base.checks import check
from cookie_consent.base.clock import DAY
from cookie_consent.decision.visit import host_of
from cookie_consent.visitors.app_language import told_by_app
from cookie_consent.visitors.pages.rendering import LAYOUTS

Layout = str | Sequence[str] | Callable[[HTTPConnection], str | None]
"""The middleware's option."""


class Layouts:
    """Chooses the layout of each question. Nothing about a visitor decides, and no cookie remembers it.

    Args:
        given: one of `LAYOUTS`; several, which take turns: each day (UTC), each host has the next one; or a function of
            the app that takes a request and returns one. Where it returns None or fails, it is the first of `LAYOUTS`.
        clock: returns seconds since 1970.

    Attributes:
        fixed: the layout, if there is only one; else "".
        is_of_app: whether the app chooses.

    Raises:
        ValueError: there is no such layout.
    """

    def __init__(self, given: Layout, clock: Callable[[], float]) -> None:
        self._choose = given if callable(given) else None
        is_list = isinstance(given, (list, tuple))
        self._all: tuple[str, ...] = LAYOUTS if callable(given) else tuple(given) if is_list else (str(given),)
        remedy = f"Write one of: {', '.join(LAYOUTS)}; or a list of them; or a function that returns one."
        check("layout", given, is_valid=bool(self._all) and all(one in LAYOUTS for one in self._all), remedy=remedy)
        self._clock = clock
        self.is_of_app = callable(given)
        self.fixed = self._all[0] if len(self._all) == 1 else ""

    @property
    def first(self) -> str:
        """The layout where nothing decides."""
        return self._all[0]

    def of(self, scope: Mapping[str, Any]) -> str:
        """Return the layout of the question in a page.

        Args:
            scope: the ASGI scope of the request for the page, as the app sees it.
        """
        if self.fixed:
            return self.fixed
        if self._choose is not None:
            told = told_by_app("layout", self._choose, scope)
            return told if told in self._all else self.first
        return self._all[(int(self._clock() // DAY) + zlib.crc32(host_of(scope).encode())) % len(self._all)]
