"""Tests of record ids: unique, also after a fork, and without an order."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cookie_consent.tracing.tracer import RecordIds


def test_id_is_prefix_of_the_process_and_random_number() -> None:
    new_id = RecordIds(lambda: "abc")
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(b"abc-[0-9a-f]{16}", one) for one in made)
    assert sorted(made) != made, "ids have no order"


def test_two_makers_have_different_prefixes() -> None:
    one, other = RecordIds()(), RecordIds()()
    assert one.partition(b"-")[0] != other.partition(b"-")[0]
    assert len(one) == 33


@pytest.mark.slow
def test_forked_process_repeats_no_id_of_its_parent() -> None:
    script = """if True:
        import os
        from cookie_consent.tracing.tracer import RecordIds
        new_id = RecordIds()
        new_id()  # fills the stock of ids, which a forked process must not use
        if child := os.fork():
            os.waitpid(child, 0)
        print(*(new_id().decode() for _ in range(500)), flush=True)
    """
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    made = done.stdout.split()
    assert len(set(made)) == len(made) == 1000
