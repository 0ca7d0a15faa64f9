"""Tests of random ids."""

from __future__ import annotations

import os

import pytest

from cookie_consent.base.random_ids import IdPool, RandomIds
from tests.support.forking import fork_hook


def test_ids_are_unique() -> None:
    ids = RandomIds()
    made = [ids() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {len(made_id) for made_id in made} == {22}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_makes_other_ids_than_parent() -> None:
    ids = RandomIds()
    ids()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "\n".join(ids() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as file:
        in_child = file.read().split("\n")
    assert len(set(in_child)) == 100
    assert set(in_child).isdisjoint(ids() for _ in range(300))


class Numbers(IdPool[int]):
    def _make(self) -> list[int]:
        return [3, 2, 1]


def test_forked_process_drops_inherited_ids() -> None:
    with fork_hook() as after_fork:
        numbers = Numbers()
        assert [numbers(), numbers()] == [1, 2]
        after_fork()
        assert numbers() == 1
