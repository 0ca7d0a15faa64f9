"""No id comes twice, also where a server forks."""

from __future__ import annotations

import os

from cookie_consent.record_ids import RecordIds


def test_ids_are_a_random_text_of_the_process_and_a_number() -> None:
    new_id = RecordIds(lambda: "abc")
    assert [new_id() for _ in range(17)][::8] == [b"abc-0", b"abc-8", b"abc-10"]


def test_two_makers_share_no_id() -> None:
    one, other = RecordIds(), RecordIds()
    assert one() != other()
    assert len(one()) == 18


def test_after_a_fork_the_random_text_is_another_one_and_numbers_begin_anew() -> None:
    texts = iter(["before", "after"])
    new_id = RecordIds(lambda: next(texts))
    assert [new_id(), new_id()] == [b"before-0", b"before-1"]
    new_id.after_fork()
    assert [new_id(), new_id()] == [b"after-0", b"after-1"]


def test_a_forked_process_has_another_random_text() -> None:
    new_id = RecordIds()
    own = new_id()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, new_id())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 100)
    assert told.partition(b"-")[0] != own.partition(b"-")[0]
    assert told.endswith(b"-0")
