"""How a policy file is read, so that all its errors are found in one run.

A reader yields each error that it finds, and returns what it could read. It goes on behind an error: in place of a
value that cannot be read, it returns the one that was probably meant, or else a harmless one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from cookie_consent.policy.errors import PolicyError

Value = TypeVar("Value")
Reading = Generator[PolicyError, None, Value]


def placed(reading: Reading[Value], *, table: str, key: str) -> Reading[Value]:
    """Read on, and fill in the place of each error that has none yet."""
    while True:
        try:
            error = next(reading)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        # An error in a nested table names its own place already.
        yield error if error.table else error.at(table=table, key=key)


def read_all(reading: Reading[Value]) -> tuple[Value, list[PolicyError]]:
    """Return what could be read, and all errors."""
    errors = []
    while True:
        try:
            errors.append(next(reading))
        except StopIteration as end:
            return end.value, errors
