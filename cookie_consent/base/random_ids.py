"""Random ids, made in batches because asking the system for random bytes is most of the cost."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from cookie_consent.base.threads import call_after_fork

BATCH_SIZE = 256
_BYTES = 16

Id = TypeVar("Id")


class IdPool(ABC, Generic[Id]):
    """A pool of unique ids. A forked process starts with an empty one, so that no id is used twice."""

    def __init__(self) -> None:
        self._ids: list[Id] = []
        call_after_fork(self)

    @abstractmethod
    def _make(self) -> list[Id]:
        """Return a batch of new ids."""

    def after_fork(self) -> None:
        """Drop the inherited ids in a forked process: the parent uses them."""
        self._ids = []

    def __call__(self) -> Id:
        """Return an id."""
        try:
            return self._ids.pop()
        except IndexError:
            self._ids = self._make()
            return self._ids.pop()


def new_id() -> str:
    """Return a random id of 128 bits, in 22 characters of URL-safe base64."""
    return secrets.token_urlsafe(_BYTES)


class RandomIds(IdPool[str]):
    """A pool of random ids of 128 bits, in 22 characters of URL-safe base64."""

    def _make(self) -> list[str]:
        return [new_id() for _ in range(BATCH_SIZE)]
