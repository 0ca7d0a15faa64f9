"""What all parts of a policy have in common: each is checked when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Self

from cookie_consent.policy.errors import PolicyError, raise_all


class CheckedPart:
    """A frozen dataclass that raises one PolicyError for all that is wrong with it."""

    __slots__ = ()

    def __post_init__(self) -> None:
        lists_to_tuples(self)
        self._normalize()
        raise_all(self.errors())

    @classmethod
    def unchecked(cls, values: Mapping[str, Any]) -> Self:
        """Return a part that may be wrong, so that all errors of a policy can be found.

        Args:
            values: field -> its value, with all fields that have no default.
        """
        part = cls.__new__(cls)
        for declared in fields(cls):  # type: ignore[arg-type]
            value = values[declared.name] if declared.name in values else _default(declared)
            object.__setattr__(part, declared.name, value)
        lists_to_tuples(part)
        part._normalize()
        return part

    def errors(self) -> Iterator[PolicyError]:
        """Yield what is wrong with the part by itself. The errors name keys, but no table."""
        return self._errors()

    def _normalize(self) -> None:
        """Fill in what follows from other values, and write values in one way."""

    def _errors(self) -> Iterator[PolicyError]:
        yield from ()


def lists_to_tuples(part: Any) -> None:
    """Replace the lists in a part's fields by tuples, so that the part is immutable and hashable."""
    for declared in fields(part):
        value = getattr(part, declared.name)
        if isinstance(value, list):
            object.__setattr__(part, declared.name, tuple(value))


def required(kind: type[CheckedPart]) -> list[str]:
    """Return the names of the fields of a part that have no default."""
    return [
        declared.name
        for declared in fields(kind)  # type: ignore[arg-type]
        if declared.default is MISSING and declared.default_factory is MISSING
    ]


def _default(declared: Field[Any]) -> Any:
    return declared.default if declared.default_factory is MISSING else declared.default_factory()
