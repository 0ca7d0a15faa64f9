"""No id comes twice, also where a server forks, and none tells which of two records was made first."""

from __future__ import annotations

import os
import re

from cookie_consent.tracing.tracer import RecordIds


def test_ids_are_a_random_text_of_the_process_and_one_of_the_record() -> None:
    new_id = RecordIds(lambda: "abc")
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(b"abc-[0-9a-f]{16}", one) for one in made)
    assert sorted(made) != made, "they do not go up"


def test_two_makers_share_no_text() -> None:
    one, other = RecordIds()(), RecordIds()()
    assert one.partition(b"-")[0] != other.partition(b"-")[0]
    assert len(one) == 33


def test_a_forked_process_makes_no_id_of_its_parent() -> None:
    new_id = RecordIds()
    new_id()  # what is made in advance stays with the parent
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, new_id())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) not in {new_id() for _ in range(1000)}
