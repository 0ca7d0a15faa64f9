"""Resets objects in a forked process, where their threads are gone and their state belongs to the parent."""

from __future__ import annotations

import os
from typing import Protocol, TypeVar
from weakref import WeakSet


class Forked(Protocol):
    """An object that can be reset in a forked process."""

    def after_fork(self) -> None:
        """Drop the parent's state and threads."""


_Forked = TypeVar("_Forked", bound=Forked)
_forked: WeakSet[Forked] = WeakSet()
_inherited: list[object] = []


def call_after_fork(forked: _Forked) -> _Forked:
    """Have an object's `after_fork` called in each forked process while the object lives; return the object."""
    _forked.add(forked)
    return forked


def leave_to_parent(*things: object) -> None:
    """Keep inherited objects alive, because finalizing a connection here would close the parent's too."""
    _inherited.append(things)


def after_fork() -> None:
    """Reset all registered objects. Python calls this in each forked process."""
    for forked in list(_forked):
        forked.after_fork()


# Windows has no fork, and `os` no `register_at_fork` there.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=after_fork)
