"""Tests of frozen dataclasses that are made quickly."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from cookie_consent.base.frozen import quick_maker


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2


@dataclass(frozen=True, slots=True)
class Square:
    side: int
    area: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "__class__", new_square)
        complete(self)


def complete(square: Any) -> None:
    square.area = square.side**2
    square.__class__ = Square


new_point, new_square = quick_maker(Point), quick_maker(Square, complete)


def test_instance_is_one_of_the_frozen_class() -> None:
    point = new_point(1)
    assert (type(point), point, hash(point)) == (Point, Point(1, 2), hash(Point(1, 2)))
    with pytest.raises(FrozenInstanceError):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.y
    assert replace(point, y=3) == Point(1, 3)


def test_fields_that_are_not_given_are_completed() -> None:
    square = new_square(3)
    assert (type(square), square.area, square) == (Square, 9, Square(3))
    assert replace(square, side=4).area == 16
    with pytest.raises(FrozenInstanceError):
        square.area = 10  # type: ignore[misc]
