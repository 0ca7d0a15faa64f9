"""Frozen dataclasses that are made for each request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, field, fields, make_dataclass
from typing import Any, TypeVar, cast

_Frozen = TypeVar("_Frozen")


def quick_maker(frozen: type[_Frozen], complete: Callable[[Any], None] | None = None) -> type[_Frozen]:
    """Return what makes instances of a frozen dataclass with slots as fast as if it were not frozen.

    The `__init__` of a frozen dataclass sets each field by a call of `object.__setattr__`, which takes about five times
    as long. Here the instance first has another class, with the same slots, which is not frozen.

    Args:
        frozen: the class of the instances. Its own `__post_init__` is not called.
        complete: sets the fields that `__init__` does not take, and then the class.
    """

    def freeze(made: Any) -> None:
        made.__class__ = frozen

    open_fields: list[tuple[str, Any, Any]] = [
        (own.name, own.type, field(init=own.init) if own.default is MISSING else field(default=own.default))
        for own in fields(frozen)  # type: ignore[arg-type]  # it is a dataclass
    ]
    open_class = make_dataclass(
        f"_Open{frozen.__name__}", open_fields, namespace={"__post_init__": complete or freeze}, slots=True
    )
    return cast("type[_Frozen]", open_class)
