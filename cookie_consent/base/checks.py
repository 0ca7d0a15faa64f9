"""Checks of options, with errors that name the option, its value and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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
