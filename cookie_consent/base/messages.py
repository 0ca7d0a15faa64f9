"""What the site's developers are told: errors in options, warnings once, and failures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet


def check(name: str, value: Any, *, is_valid: bool, remedy: str) -> None:
    """Check an option.

    Args:
        name: the option's name.
        value: its value.
        is_valid: whether the value is valid.
        remedy: a sentence that says what would be right.

    Raises:
        ValueError: `is_valid` is false.
    """
    if not is_valid:
        raise ValueError(f"{name}: {value!r} is not valid. {remedy}")


def check_booleans(**options: Any) -> None:
    """Check that options are booleans.

    Args:
        options: name -> value.

    Raises:
        ValueError: one is not a boolean.
    """
    for name, value in options.items():
        check(name, value, is_valid=isinstance(value, bool), remedy="Write True or False.")


def is_list(value: Any) -> bool:
    """Return whether a value is iterable and no text."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


LONGEST_SHOWN = 100
"""Characters of a client's input to show in a log message."""
_log = logging.getLogger("cookie_consent")


_forgetful: WeakSet[Any] = WeakSet()


def forget_with_others(forgetful: Any) -> None:
    """Have an object's method `forget` called by `forget_all`, while the object lives."""
    _forgetful.add(forgetful)


def forget_all() -> None:
    """Have what is told once be told again: for the tests of a site, which share their process."""
    for forgetful in list(_forgetful):
        forgetful.forget()


class FirstSeen:
    """Remembers texts of clients. Threads may share it.

    Args:
        most: the largest number of texts to remember. Further ones count as seen, so that the log stays short.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()
        self._changes = threading.Lock()
        forget_with_others(self)

    def __contains__(self, text: str) -> bool:
        return text in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def forget(self) -> None:
        """Forget all texts."""
        with self._changes:
            self._seen.clear()

    def is_new(self, text: str) -> bool:
        """Return whether a text comes for the first time, and remember it."""
        with self._changes:
            if text in self._seen or len(self._seen) >= self._most:
                return False
            self._seen.add(text)
            return True


def shown(text: str) -> str:
    """Return the beginning of a client's text, safe for a log: printable ASCII without quotes."""
    return ascii(text[:LONGEST_SHOWN])[1:-1].replace('"', "'")[:LONGEST_SHOWN]


def log_failure(what: str, error: Exception) -> None:
    """Log a failure of a ledger or sink in one line, since while it is down every request logs one.

    Args:
        what: the consequence, as a sentence without a full stop.
        error: the cause. Its traceback is logged only at level DEBUG.
    """
    why = str(error).partition("\n")[0]
    _log.error("%s: %s %s", what, type(error).__name__, why, exc_info=_log.isEnabledFor(logging.DEBUG) and error)
