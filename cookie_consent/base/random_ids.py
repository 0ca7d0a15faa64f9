"""Random ids, made many at a time: most of what one costs is to ask the system for a few bytes."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from cookie_consent.base.process.forking import call_after_fork

AT_A_TIME = 256
_BYTES = 16

Id = TypeVar("Id")


class IdPool(ABC, Generic[Id]):
    """Returns ids of which none comes twice, also after a fork."""

    def __init__(self) -> None:
        self._ids: list[Id] = []
        call_after_fork(self)

    @abstractmethod
    def _make(self) -> list[Id]:
        """Return so many new ids as are made at a time."""

    def after_fork(self) -> None:
        """Have none: the parent returns those that it holds."""
        self._ids = []

    def __call__(self) -> Id:
        """Return an id."""
        try:
            return self._ids.pop()
        except IndexError:
            self._ids = self._make()
            return self._ids.pop()


class RandomIds(IdPool[str]):
    """Returns random ids of 128 bits, in 22 characters of base64 as URLs have it."""

    def _make(self) -> list[str]:
        return [secrets.token_urlsafe(_BYTES) for _ in range(AT_A_TIME)]
