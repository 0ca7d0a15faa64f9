"""What has to begin anew in a process that was just forked: its threads are gone, and what it holds is its parent's."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """What is in the child of a fork too."""

    def begin_anew(self) -> None:
        """Hold nothing of the parent's, and have no thread."""


def begin_anew(all_of_them: Iterable[Forked]) -> None:
    """Let each begin anew, in a process that was just forked."""
    for forked in all_of_them:
        forked.begin_anew()


begins_anew: WeakSet[Forked] = WeakSet()
"""Add here what is to begin anew, for as long as it lives."""
os.register_at_fork(after_in_child=partial(begin_anew, begins_anew))
