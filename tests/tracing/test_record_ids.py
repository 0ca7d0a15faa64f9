"""Tests of record ids: unique, also after a fork, and without an order."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cookie_consent.tracing.tracer import new_record_id


def test_id_is_prefix_of_the_process_and_random_number() -> None:
    made = [new_record_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(rb"[\w-]{16}-[0-9a-f]{16}", one) for one in made)
    assert {one[:16] for one in made} == {made[0][:16]}
    assert sorted(made) != made, "ids have no order"


@pytest.mark.slow
def test_forked_process_repeats_no_id_of_its_parent() -> None:
    script = """if True:
        import os
        from cookie_consent.tracing.tracer import new_record_id
        new_record_id()
        if child := os.fork():
            os.waitpid(child, 0)
        print(*(new_record_id().decode() for _ in range(500)), flush=True)
    """
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    made = done.stdout.split()
    assert len(set(made)) == len(made) == 1000
