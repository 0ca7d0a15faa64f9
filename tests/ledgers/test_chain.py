"""Tests of the hash chain: verification names the first record that was tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.ledgers.chain import (
    START,
    Link,
    Root,
    Verified,
    WrongSignatureError,
    chain_hash,
    indexed_columns,
    is_intact,
    listed_ranges,
    ranges,
    read_root,
    record_hash,
    removal,
    root_signer,
    sign_root,
    verify,
)
from cookie_consent.policy.policy import canonical_json
from tests.support.policies import KEY

TIME = "2026-11-25T19:00:00Z"


def record(number: int, **fields: object) -> dict[str, object]:
    return {"record_id": f"r{number}", "consent_id": f"c{number}", "event": "granted", "keep_until": TIME, **fields}


def chained(*documents: Mapping[str, object], removed: Sequence[int] = ()) -> list[Link]:
    """Return a chain of these documents, with the given numbers removed."""
    links: list[Link] = []
    before = START
    for number, document in enumerate(documents, 1):
        text = canonical_json(document).decode()
        before = chain_hash(before, record_hash(text))
        left = {} if number in removed else document
        links.append(
            Link(number, text if left else None, record_hash(text), before, indexed_columns(left)),
        )
    return links


def root_of(links: Sequence[Link]) -> Root:
    return Root(links[-1].number, links[-1].chain_hash)


FIVE = chained(*(record(number) for number in range(1, 6)))
THIRD = FIVE[2]
CHANGED = (THIRD.document or "").replace("granted", "grantee")
OTHER_TEXT = "its text is not the one that was recorded"
NOT_TIED = "it is not tied to the records before it"
NO_RIGHT = "it was removed, and no record says by whose right"


def with_third(**changes: Any) -> list[Link]:
    """Return the chain of five with another third record."""
    columns = {**THIRD.columns, **changes.pop("columns", {})}
    return [*FIVE[:2], replace(THIRD, columns=columns, **changes), *FIVE[3:]]


def test_hashes_are_plain_sha256() -> None:
    document = '{"a":"訪問"}'
    own = hashlib.sha256(document.encode()).digest()
    assert record_hash(document) == own
    assert chain_hash(START, own) == hashlib.sha256(bytes(32) + own).digest()


def test_unchanged_chain_verifies() -> None:
    assert verify(FIVE) == Verified(records=5, removed=0, root=root_of(FIVE))
    assert verify([]) == Verified(records=0, removed=0, root=Root(0, START))
    assert verify(iter(FIVE), [root_of(FIVE), root_of(FIVE[:2]), Root(0, START)]).wrong is None
    assert all(map(is_intact, FIVE))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"document": CHANGED}, OTHER_TEXT),
        ({"document": CHANGED.replace("grantee", "grante\udce4")}, OTHER_TEXT),  # as Python reads what is not UTF-8
        ({"document": "[" * 200_000}, OTHER_TEXT),
        ({"document": 5}, OTHER_TEXT),  # SQLite accepts a value of any type in any column
        ({"document": None, "record_hash": "x"}, OTHER_TEXT),
        ({"columns": {"keep_until": "soon"}}, "it is filed under another keep_until than it says"),
        *(
            ({"columns": {name: value}}, f"it is filed under another {name} than it says")
            for name in ("record_id", "consent_id", "policy", "text", "prevailing_text", "repeat_key", "decided_at")
            for value in ("c1", 1, None)
            if value != THIRD.columns[name]
        ),
        ({"document": None}, "it was removed, but not as a whole"),
    ],
)
def test_changed_record_is_named(changes: dict[str, Any], why: str) -> None:
    assert verify(with_third(**changes)) == Verified(2, 0, root_of(FIVE[:2]), wrong=3, why=why)
    assert [is_intact(link) for link in with_third(**changes)] == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("tampered", "wrong", "why"),
    [
        (with_third(document=CHANGED, record_hash=record_hash(CHANGED)), 3, NOT_TIED),
        (with_third(document=None, columns=indexed_columns({})), 3, NO_RIGHT),
        ([*FIVE[:2], replace(FIVE[3], number=3), replace(FIVE[2], number=4), FIVE[4]], 3, NOT_TIED),
        ([*FIVE[:2], *FIVE[3:]], 3, "it is missing; the next is 4"),
        (FIVE[1:], 1, "it is missing; the next is 2"),
        ([*FIVE[:2], *(replace(link, number=link.number - 1) for link in FIVE[3:])], 3, NOT_TIED),
        ([*FIVE[:3], *(replace(link, number=link.number + 1) for link in FIVE[2:])], 4, NOT_TIED),
    ],
)
def test_first_record_that_does_not_fit_is_named(tampered: list[Link], wrong: int, why: str) -> None:
    found = verify(tampered)
    assert (found.wrong, found.why) == (wrong, why)


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "null", '"text"', "{", "[" * 200_000])
def test_malformed_document_is_read_as_empty(text: str) -> None:
    own = record_hash(text)
    link = Link(1, text, own, chain_hash(START, own), {"record_id": "r1"})
    assert verify([link]).why == "it is filed under another record_id than it says"
    assert verify([replace(link, columns={})]).wrong is None


@pytest.mark.parametrize("time", ["soon", 5, [], "0001-01-01T00:00:00"])
@pytest.mark.parametrize("name", ["decided_at", "keep_until"])
def test_malformed_time_is_named(name: str, time: object) -> None:
    text = canonical_json(record(1, **{name: time})).decode()
    link = Link(1, text, record_hash(text), chain_hash(START, record_hash(text)), {name: 5})
    assert (verify([link]).wrong, verify([link]).why) == (1, "a time that it says is none")


def test_columns_hold_times_in_seconds_and_the_repeat_key() -> None:
    assert indexed_columns(record(1, decided_at=TIME, policy="p", text="t", prevailing_text="q")) == {
        "record_id": "r1",
        "consent_id": "c1",
        "policy": "p",
        "text": "t",
        "prevailing_text": "q",
        "decided_at": 1_795_633_200,
        "keep_until": 1_795_633_200,
        "repeat_key": "r1",
    }
    assert indexed_columns(record(1, repeat_key="k"))["repeat_key"] == "k"
    assert {*indexed_columns({}).values()} == {None}


def test_each_valid_record_is_inspected() -> None:
    seen: list[tuple[int, Mapping[str, Any]]] = []
    documents = [record(1), record(2), removal("x", "retention", [1], TIME)]
    verify(chained(*documents, removed=[1]), inspect=lambda *each: seen.append(each))
    assert seen == [(1, {}), (2, documents[1]), (3, documents[2])]
    seen.clear()
    verify(with_third(document=CHANGED), inspect=lambda *each: seen.append(each))
    assert [number for number, _ in seen] == [1, 2]


# Roots.


@pytest.mark.parametrize("start", range(1, 6))
def test_rewritten_chain_contradicts_kept_root(start: int) -> None:
    documents = [json.loads(link.document or "") for link in FIVE]
    documents[start - 1]["event"] = "refused"
    forged = chained(*documents)
    assert verify(forged).wrong is None
    for number in range(1, 6):
        found = verify(forged, [root_of(FIVE[:number])])
        assert found.wrong == (number if number >= start else None)
        assert found.why in ("", "a root that was kept elsewhere knows another record here, or others before it")


def test_truncated_chain_contradicts_kept_root() -> None:
    assert verify(FIVE[:3], [root_of(FIVE[:3])]).wrong is None
    found = verify(FIVE[:3], [root_of(FIVE[:2]), root_of(FIVE)])
    why = "the chain ends here, but a root that was kept elsewhere says that it had 5 records"
    assert found == Verified(3, 0, root_of(FIVE[:3]), 4, why)
    assert verify([], [root_of(FIVE)]).wrong == 1


def test_every_kept_root_is_compared() -> None:
    for other in (Root(5, START), Root(3, START)):
        assert verify(FIVE, [other, root_of(FIVE), root_of(FIVE[:3])]).wrong == other.number
        assert verify(FIVE, [root_of(FIVE), root_of(FIVE[:3]), other]).wrong == other.number


def test_root_round_trips_as_text() -> None:
    root = root_of(FIVE)
    assert str(root) == f"5:{FIVE[4].chain_hash.hex()}"
    assert Root.parse(f"  {str(root).upper()}\n") == root


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "5", "5:", f"5:{'0' * 63}", f"5:{'0' * 65}", f"5:{'x' * 64}", f"5:{'00 ' * 21}0", f"-5:{'0' * 64}"),
        *(f":{'0' * 64}", f"٥:{'0' * 64}", f"{'9' * 5000}:{'0' * 64}", f"5:{'0' * 64}:", f"5:{'0' * 64}\n6:{'0' * 64}"),
    ],
)
def test_malformed_root_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no root: it is a number, a colon and 64 hexadecimal digits") as caught:
        Root.parse(text)
    assert len(str(caught.value)) < 300


def test_signed_root_is_read_with_its_date() -> None:
    old, new = root_signer([KEY]), root_signer([KEY, "x" * 32])
    root = root_of(FIVE)
    line = sign_root(root, old, 1_795_633_200)
    assert line.startswith(f"{root}.")
    for signer in (old, new):
        read = read_root(f" {line}\n", signer)
        assert (read, read.signed_at) == (root, 1_795_633_200)
    assert read_root(line, None).signed_at is None
    for wrong in (str(root), line.replace("5:", "4:"), f"{line}\udcff", sign_root(root, new, 1_795_633_200)):
        with pytest.raises(WrongSignatureError, match="does not bear the site's signature"):
            read_root(wrong, old)


# Removals.


def verify_removals(*removals: dict[str, object], removed: Sequence[int]) -> Verified:
    """Verify a chain of five records and these removal records, with the given numbers removed."""
    return verify(chained(*(record(number) for number in range(1, 6)), *removals, removed=removed))


def test_removal_record_says_what_was_removed_and_why() -> None:
    assert removal("x", "erasure", [3, 1, 2], TIME) == {
        "schema": 2,
        "record_id": "x",
        "event": "removed",
        "decided_at": TIME,
        "reason": "erasure",
        "numbers": [[1, 3]],
    }
    assert removal("x", "retention", [], TIME, 0)["kept_days"] == 0


REMOVALS = (
    removal("x", "retention", [2], TIME),
    removal("y", "erasure", [3, 1], TIME),
    removal("z", "", [6, 4], TIME),
)
"""Records 6 to 8 of a chain of five other records."""
HIDDEN = record(6, note='"event":"removed"', nested={"event": "removed", "numbers": [[1, 5]]})


@pytest.mark.parametrize(
    ("removals", "removed", "wrong"),
    [
        (REMOVALS, [1, 2, 3, 4], None),
        (REMOVALS, [1, 3, 4], None),
        (REMOVALS, [1, 2, 5], 5),
        (REMOVALS, [1, 3, 4, 6], None),
        (REMOVALS, [1, 2, 3, 4, 6], 2),  # a removed removal record covers nothing
        ([removal("x", "", [1, 2, 6], TIME)], [1, 2, 6], 1),  # nor does one cover itself
        ([removal("x", "", [1, 2, 7], TIME), record(7)], [1, 7], 7),  # nor later records
        ([removal("x", "", [1], TIME), removal("y", "", [6, 7], TIME)], [1, 7], 7),
        ([HIDDEN], [2], 2),  # nor a note of a visitor
    ],
)
def test_removal_record_covers_what_it_lists(removals: Any, removed: list[int], wrong: int | None) -> None:
    found = verify_removals(*removals, removed=removed)
    assert (found.wrong, found.why) == (wrong, NO_RIGHT if wrong else "")
    assert (found.records, found.removed) == (5 + len(removals), len(removed))


MALFORMED: list[Any] = [[[2]], [["x", "y"]], [[2, None]], [[1, float("inf")]], [2], "2", None, [], {"2": "2"}, 5]
"""JSON can have 1e999, which Python reads as infinite."""


@pytest.mark.parametrize(
    ("numbers", "listed"),
    [
        ([[1, 1], [3, 5]], [(1, 1), (3, 5)]),
        ([[3, 100]], [(3, 5)]),
        ([[-9, 1]], [(1, 1)]),
        ([[3, 2], [5, 2], [6, 9]], []),
        *((wrong, []) for wrong in MALFORMED),
    ],
)
def test_only_well_formed_ranges_of_earlier_records_are_listed(numbers: object, listed: list[tuple[int, int]]) -> None:
    document = {**removal("x", "retention", [], TIME), "numbers": numbers}
    assert listed_ranges(document, 6) == listed
    assert listed_ranges({}, 6) == []


@given(st.sets(st.integers(1, 30)))
def test_ranges_contain_exactly_their_numbers(numbers: set[int]) -> None:
    made = ranges([*numbers, *numbers])
    assert {number for first, last in made for number in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < other[0] for one, other in pairwise(made))


@given(st.data())
def test_any_change_of_a_chain_is_found(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    removed = sorted(data.draw(st.sets(st.integers(1, count))))
    documents = [*(record(number) for number in range(1, count + 1)), removal("x", "retention", removed, TIME)]
    links = chained(*documents, removed=removed)
    kept = root_of(links)
    assert verify(links, [kept]).wrong is None
    place = data.draw(st.integers(0, count))
    link = links[place]
    other = record_hash(f"another than {place}")
    changed: list[list[Link]] = [
        [replace(link, document=json.dumps({**json.loads(link.document or "{}"), "more": 1}))],
        [replace(link, record_hash=other)],
        [replace(link, chain_hash=other)],
        [],
        [link, link],
    ]
    links[place : place + 1] = data.draw(st.sampled_from(changed))
    found = verify(links, [kept])
    assert found.wrong == link.number + (links.count(link) == 2)
    assert found.why
