"""What the site's developers are told: errors in options, warnings once, and failures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from cookie_consent.base.bounds import LONGEST_KEPT


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
_MOST_OF_A_KIND = 100
_log = logging.getLogger("cookie_consent")


_told: dict[str, set[str]] = {}
_changes = threading.Lock()
_forgetful: WeakSet[Any] = WeakSet()


def warn_once(kind: str, key: str, text: str | Callable[[], str]) -> bool:
    """Log a warning if it is the first of its kind with this key, and return whether it is.

    A hundred keys of each kind are remembered; further ones are not logged. What has to be said again each day has the
    day in its key.

    Args:
        kind: what the warnings are about, as a noun phrase in the plural.
        key: what this one is about.
        text: the warning, or what returns it: "" logs nothing.
    """
    key = key[:LONGEST_KEPT]
    with _changes:
        told = _told.setdefault(kind, set())
        if key in told or len(told) >= _MOST_OF_A_KIND:
            return False
        told.add(key)
    if not isinstance(text, str):
        text = text()
    if text:
        _log.warning("%s", text)
    if len(told) == _MOST_OF_A_KIND:
        _log.warning("Further warnings about %s are not logged.", kind)
    return True


def is_told(kind: str, key: str) -> bool:
    """Return whether `warn_once` had this key."""
    return key[:LONGEST_KEPT] in _told.get(kind, ())


def forget_with_others(forgetful: Any) -> None:
    """Have an object's method `forget` called by `forget_warnings`, while the object lives."""
    _forgetful.add(forgetful)


def forget_warnings() -> None:
    """Have each warning logged again: for the tests of a site, which share their process."""
    _told.clear()
    for forgetful in list(_forgetful):
        forgetful.forget()


def escape_for_log(text: str) -> str:
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
