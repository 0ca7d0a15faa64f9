"""Random ids, made many at a time: most of what one costs is to ask the system for a few bytes."""

from __future__ import annotations

import secrets

from cookie_consent.base.forking import call_after_fork

_AT_A_TIME = 256
_BYTES = 16


class RandomIds:
    """Returns random ids of 128 bits, in 22 characters of base64 as URLs have it. None comes twice."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have none: the parent returns those that it holds."""
        self._ids = []

    def __call__(self) -> str:
        """Return an id."""
        try:
            return self._ids.pop()
        except IndexError:
            self._ids = [secrets.token_urlsafe(_BYTES) for _ in range(_AT_A_TIME)]
            return self._ids.pop()
