"""What a wrong option is answered with: its name, its value, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def check(name: str, value: Any, *, fits: bool, remedy: str) -> None:
    """Check an option.

    Args:
        name: of the option.
        value: what it was set to.
        fits: whether that can be used.
        remedy: a sentence that says what would be right.

    Raises:
        ValueError: it cannot be used.
    """
    if not fits:
        raise ValueError(f"{name}: {value!r} is not valid. {remedy}")


def check_booleans(**options: Any) -> None:
    """Check that each option, given by its name, is True or False.

    Raises:
        ValueError: one is not.
    """
    for name, value in options.items():
        check(name, value, fits=isinstance(value, bool), remedy="Write True or False.")


def is_list(value: Any) -> bool:
    """Return whether a value holds several; a text does not."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)
