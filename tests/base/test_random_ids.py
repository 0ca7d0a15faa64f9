"""Tests of random ids."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cookie_consent.base.random_ids import IdPool, RandomIds
from tests.support.forking import fork_hook


def test_ids_are_unique() -> None:
    ids = RandomIds()
    made = [ids() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {len(made_id) for made_id in made} == {22}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_forked_process_makes_other_ids_than_parent() -> None:
    script = """if True:
        import os
        from cookie_consent.base.random_ids import RandomIds
        ids = RandomIds()
        ids()
        if child := os.fork():
            os.waitpid(child, 0)
        print(*(ids() for _ in range(300)), flush=True)
    """
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    made = done.stdout.split()
    assert len(set(made)) == len(made) == 600


class Numbers(IdPool[int]):
    def _make(self) -> list[int]:
        return [3, 2, 1]


def test_forked_process_drops_inherited_ids() -> None:
    with fork_hook() as after_fork:
        numbers = Numbers()
        assert [numbers(), numbers()] == [1, 2]
        after_fork()
        assert numbers() == 1
