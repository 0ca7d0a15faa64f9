"""Lets objects start over in a forked process: their threads are gone, and what they hold is the parent's."""

from __future__ import annotations

import os
from typing import Protocol, TypeVar
from weakref import WeakSet


class Forked(Protocol):
    """An object that a forked process inherits."""

    def after_fork(self) -> None:
        """Hold nothing of the parent's, and have no thread."""


_Forked = TypeVar("_Forked", bound=Forked)
_forked: WeakSet[Forked] = WeakSet()
_inherited: list[object] = []


def call_after_fork(forked: _Forked) -> _Forked:
    """Have `after_fork` called in each child of this process, for as long as the object lives; return the object."""
    _forked.add(forked)
    return forked


def leave_to_parent(*things: object) -> None:
    """Keep what was inherited from being collected: closing a connection here would close the parent's, too."""
    _inherited.append(things)


def after_fork() -> None:
    """Let each object start over, in a process that was just forked."""
    for forked in list(_forked):
        forked.after_fork()


# Windows has no fork.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=after_fork)
