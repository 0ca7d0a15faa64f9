"""Tests of the hash chain: verification names the first record that was tampered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
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
    chain_hash,
    indexed_columns,
    is_intact,
    listed_ranges,
    ranges,
    record_hash,
    removal,
    verify,
)
from cookie_consent.policy.policy import canonical_json

TIME = "2026-11-25T19:00:00Z"


def record(number: int, **fields: object) -> dict[str, object]:
    return {"record_id": f"r{number}", "consent_id": f"c{number}", "event": "granted", "keep_until": TIME, **fields}


def chained(documents: Sequence[dict[str, object]], removed: Sequence[int] = ()) -> list[Link]:
    """Return a chain of these documents, with the given numbers removed."""
    links: list[Link] = []
    before = START
    for number, document in enumerate(documents, 1):
        text = canonical_json(document).decode()
        own = record_hash(text)
        before = chain_hash(before, own)
        if number in removed:
            links.append(Link(number, None, own, before, indexed_columns({})))
        else:
            links.append(Link(number, text, own, before, indexed_columns(document)))
    return links


def make_chain(count: int = 5) -> list[Link]:
    return chained([record(number) for number in range(1, count + 1)])


def root_of(links: Sequence[Link]) -> Root:
    return Root(links[-1].number, links[-1].chain_hash)


def rehashed(links: Sequence[Link], start: int) -> list[Link]:
    """Return a chain with all hashes computed again from index `start` on."""
    before = links[start - 1].chain_hash if start else START
    made = list(links[:start])
    for link in links[start:]:
        own = record_hash(link.document) if link.document is not None else link.record_hash
        before = chain_hash(before, own)
        made.append(replace(link, record_hash=own, chain_hash=before))
    return made


def test_unchanged_chain_verifies() -> None:
    links = make_chain()
    assert verify(links) == Verified(records=5, removed=0, root=root_of(links))
    assert verify([]) == Verified(records=0, removed=0, root=Root(0, START))
    assert verify(iter(links), [root_of(links), root_of(links[:2]), Root(0, START)]).wrong is None


def test_hashes_are_plain_sha256() -> None:
    document = '{"a":"訪問"}'
    own = hashlib.sha256(document.encode()).digest()
    assert record_hash(document) == own
    assert chain_hash(START, own) == hashlib.sha256(bytes(32) + own).digest()


def changed(links: list[Link]) -> list[Link]:
    text = links[2].document or ""
    return [*links[:2], replace(links[2], document=text.replace("granted", "granter")), *links[3:]]


def with_invalid_utf8(links: list[Link]) -> list[Link]:
    """Replace a character by a byte that is not UTF-8, as Python reads it."""
    text = links[2].document or ""
    return [*links[:2], replace(links[2], document=text.replace("granted", "grante\udce4")), *links[3:]]


def swapped(links: list[Link]) -> list[Link]:
    return [*links[:2], replace(links[3], number=3), replace(links[2], number=4), *links[4:]]


def deleted(links: list[Link]) -> list[Link]:
    return [*links[:2], *links[3:]]


def deleted_and_renumbered(links: list[Link]) -> list[Link]:
    return [*links[:2], *(replace(link, number=link.number - 1) for link in links[3:])]


def inserted(links: list[Link]) -> list[Link]:
    text = canonical_json(record(9)).decode()
    own = record_hash(text)
    slipped_in = Link(3, text, own, chain_hash(links[1].chain_hash, own), indexed_columns(record(9)))
    return [*links[:2], slipped_in, *(replace(link, number=link.number + 1) for link in links[2:])]


def with_columns(**under: object) -> Callable[[list[Link]], list[Link]]:
    """Return a function that changes indexed columns of the third record."""

    def change(links: list[Link]) -> list[Link]:
        return [*links[:2], replace(links[2], columns={**links[2].columns, **under}), *links[3:]]

    return change


def with_endless_nesting(links: list[Link]) -> list[Link]:
    return [*links[:2], replace(links[2], document="[" * 200_000), *links[3:]]


def with_number_as_document(links: list[Link]) -> list[Link]:
    """SQLite accepts a value of any type in any column."""
    number: Any = 5
    return [*links[:2], replace(links[2], document=number), *links[3:]]


def partly_removed(links: list[Link]) -> list[Link]:
    return [*links[:2], replace(links[2], document=None), *links[3:]]


def removed_without_removal_record(links: list[Link]) -> list[Link]:
    return [*links[:2], replace(links[2], document=None, columns={}), *links[3:]]


def changed_with_its_hash(links: list[Link]) -> list[Link]:
    links = changed(links)
    return [*links[:2], replace(links[2], record_hash=record_hash(links[2].document or "")), *links[3:]]


@pytest.mark.parametrize(
    ("tampered", "wrong", "why"),
    [
        (changed, 3, "its text is not the one that was recorded"),
        (with_invalid_utf8, 3, "its text is not the one that was recorded"),
        (changed_with_its_hash, 3, "it is not tied to the records before it"),
        (swapped, 3, "it is not tied to the records before it"),
        (deleted, 3, "it is missing; the next is 4"),
        (deleted_and_renumbered, 3, "it is not tied to the records before it"),
        (inserted, 4, "it is not tied to the records before it"),
        (with_columns(consent_id="c1"), 3, "it is filed under another consent_id than it says"),
        (with_columns(consent_id=None), 3, "it is filed under another consent_id than it says"),
        (with_columns(keep_until=1), 3, "it is filed under another keep_until than it says"),
        (with_columns(keep_until=None), 3, "it is filed under another keep_until than it says"),
        (with_columns(keep_until="soon"), 3, "it is filed under another keep_until than it says"),
        (with_columns(decided_at=1), 3, "it is filed under another decided_at than it says"),
        (with_columns(repeat_key="r4"), 3, "it is filed under another repeat_key than it says"),
        (with_endless_nesting, 3, "its text is not the one that was recorded"),
        (with_number_as_document, 3, "its text is not the one that was recorded"),
        (partly_removed, 3, "it was removed, but not as a whole"),
        (removed_without_removal_record, 3, "it was removed, and no record says by whose right"),
    ],
)
def test_verify_names_first_tampered_record(tampered: Callable[[list[Link]], list[Link]], wrong: int, why: str) -> None:
    found = verify(tampered(make_chain()))
    assert (found.wrong, found.why) == (wrong, why)


def test_verify_counts_records_before_first_tampered_record() -> None:
    links = make_chain()
    assert verify(changed(links)) == Verified(
        2, 0, root_of(links[:2]), wrong=3, why="its text is not the one that was recorded"
    )


@pytest.mark.parametrize("start", range(5))
def test_rewritten_chain_contradicts_kept_root(start: int) -> None:
    links = make_chain()
    text = canonical_json(record(start + 1, event="refused")).decode()
    forged = rehashed([*links[:start], replace(links[start], document=text), *links[start + 1 :]], start)
    assert verify(forged).wrong is None
    for number in range(start + 1, 6):
        found = verify(forged, [root_of(links[:number])])
        assert found.wrong == number
        assert found.why == "a root that was kept elsewhere knows another record here, or others before it"
    for number in range(1, start + 1):
        assert verify(forged, [root_of(links[:number])]).wrong is None


def test_truncated_chain_contradicts_kept_root() -> None:
    links = make_chain()
    assert verify(links[:3]).wrong is None
    assert verify(links[:3], [root_of(links[:3])]).wrong is None
    found = verify(links[:3], [root_of(links[:2]), root_of(links)])
    assert found.wrong == 4
    assert found.why == "the chain ends here, but a root that was kept elsewhere says that it had 5 records"
    assert verify([], [root_of(links)]).wrong == 1


def test_verify_checks_every_kept_root() -> None:
    links = make_chain()
    for other in (Root(5, START), Root(3, START)):
        assert verify(links, [other, root_of(links), root_of(links[:3])]).wrong == other.number
        assert verify(links, [root_of(links), root_of(links[:3]), other]).wrong == other.number


REMOVALS = (
    removal("x", "retention", [2], TIME),
    removal("y", "erasure", [3, 1], TIME),
    removal("z", "", [6, 4], TIME),
)
"""Records 6 to 8 of a chain of five other records."""


def verify_removals(*removals: dict[str, object], removed: Sequence[int]) -> Verified:
    """Verify a chain of five records and these removal records, with the given numbers removed."""
    return verify(chained([*(record(number) for number in range(1, 6)), *removals], removed))


def test_chain_with_recorded_removal_verifies() -> None:
    found = verify_removals(removal("x", "retention", [1, 2, 4], TIME), removed=[1, 2, 4])
    assert (found.records, found.removed, found.wrong) == (6, 3, None)


def test_several_removal_records_cover_removed_records() -> None:
    assert verify_removals(*REMOVALS, removed=[1, 2, 3, 4]).wrong is None
    assert verify_removals(*REMOVALS, removed=[1, 3, 4]).wrong is None


def test_removed_removal_record_covers_nothing() -> None:
    assert verify_removals(*REMOVALS, removed=[1, 3, 4, 6]).wrong is None
    assert verify_removals(*REMOVALS, removed=[1, 2, 3, 4, 6]).wrong == 2


@pytest.mark.parametrize(
    "numbers",
    [
        *([[1, 1], [3, 5]], [[3, 100]], [[1, 1]], [[3, 2]], [[-9, 1]], [[5, 2]], []),
        *("2", [2], [[2]], [["x", "y"]], None, [[2, None]], {"2": "2"}),
    ],
)
def test_removal_record_covers_only_listed_numbers(numbers: object) -> None:
    found = verify_removals({**removal("x", "retention", [], TIME), "numbers": numbers}, removed=[2])
    assert (found.wrong, found.why) == (2, "it was removed, and no record says by whose right")


def test_removal_record_does_not_cover_itself() -> None:

    itself = chained([record(1), removal("x", "retention", [1, 2], TIME)], [1, 2])
    assert verify(itself).wrong == 1


@pytest.mark.parametrize("gone", [3, 4])
def test_removal_record_does_not_cover_later_records(gone: int) -> None:
    covers_all = removal("x", "retention", [1, 2, 3, 4], TIME)
    assert verify(chained([record(1), covers_all, record(3), record(4)], [1])).wrong is None
    assert verify(chained([record(1), covers_all, record(3), record(4)], [1, gone])).wrong == gone


def test_removal_records_do_not_cover_each_other() -> None:
    first, second = removal("x", "erasure", [1, 2], TIME), removal("y", "erasure", [2, 3], TIME)
    assert verify(chained([record(1), first, second], [1, 3])).wrong == 3
    assert listed_ranges(first, 2) == [(1, 1)]


@pytest.mark.parametrize("numbers", [[[1, float("inf")]], [[1, "x"]], [1], None])
def test_malformed_numbers_of_a_removal_record_cover_nothing(numbers: object) -> None:
    """JSON can have 1e999, which Python reads as infinite."""
    covers = {**removal("x", "erasure", [1], TIME), "numbers": numbers}
    assert listed_ranges(covers, 2) == []


def test_visitor_note_is_not_a_removal_record() -> None:
    note = record(6, note='"event":"removed"', nested={"event": "removed", "numbers": [[1, 5]]})
    assert verify_removals(note, removed=[2]).wrong == 2


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "null", '"text"', "{", "[" * 200_000])
def test_malformed_document_does_not_crash_verify(text: str) -> None:
    own = record_hash(text)
    link = Link(1, text, own, chain_hash(START, own), {"record_id": "r1"})
    assert verify([link]).why == "it is filed under another record_id than it says"
    assert verify([replace(link, columns={})]).wrong is None


@pytest.mark.parametrize("time", ["soon", 5, [], "0001-01-01T00:00:00"])
@pytest.mark.parametrize("name", ["decided_at", "keep_until"])
def test_malformed_time_does_not_crash_verify(name: str, time: object) -> None:
    text = canonical_json(record(1, **{name: time})).decode()
    own = record_hash(text)
    link = Link(1, text, own, chain_hash(START, own))
    for stored in (link, replace(link, columns={name: 5})):
        assert (verify([stored]).wrong, verify([stored]).why) == (1, "a time that it says is none")


def test_is_intact_checks_record_without_the_chain() -> None:
    links = make_chain()
    assert all(map(is_intact, links[2:]))
    for tamper in (
        changed,
        with_invalid_utf8,
        with_columns(keep_until=1),
        partly_removed,
        with_endless_nesting,
        with_number_as_document,
    ):
        assert [is_intact(link) for link in tamper(make_chain())] == [True, True, False, True, True]


def test_indexed_columns_hold_times_in_seconds_and_repeat_key() -> None:
    assert indexed_columns(record(1, decided_at=TIME)) == {
        **dict.fromkeys(("policy", "text", "prevailing_text")),
        "record_id": "r1",
        "consent_id": "c1",
        "decided_at": 1_795_633_200,
        "keep_until": 1_795_633_200,
        "repeat_key": "r1",
    }
    assert indexed_columns(record(1, repeat_key="k"))["repeat_key"] == "k"
    assert {*indexed_columns({}).values()} == {None}


def test_verify_passes_each_valid_record_to_callback() -> None:
    seen: list[tuple[int, Mapping[str, Any]]] = []
    links = chained([record(1), record(2), removal("x", "retention", [1], TIME)], [1])
    verify(links, inspect=lambda number, document: seen.append((number, document)))
    assert seen == [(1, {}), (2, record(2)), (3, removal("x", "retention", [1], TIME))]
    seen.clear()
    verify(changed(make_chain()), inspect=lambda number, document: seen.append((number, document)))
    assert [number for number, _ in seen] == [1, 2]


def test_root_round_trips_as_text() -> None:
    root = root_of(make_chain())
    assert Root.parse(str(root)) == root
    assert Root.parse(f"  {str(root).upper()}\n") == root


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "5",
        "5:",
        f"5:{'0' * 63}",
        f"5:{'0' * 65}",
        f"5:{'x' * 64}",
        f"5:{'00 ' * 21}0",
        f"-5:{'0' * 64}",
        f":{'0' * 64}",
        f"٥:{'0' * 64}",
        f"{'9' * 5000}:{'0' * 64}",
        f"5:{'0' * 64}:",
        f"5:{'0' * 64}\n6:{'0' * 64}",
    ],
)
def test_malformed_root_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is no root: it is a number, a colon and 64 hexadecimal digits") as caught:
        Root.parse(text)
    assert len(str(caught.value)) < 300


def test_ranges_include_both_ends() -> None:
    assert ranges([]) == []
    assert ranges([7, 3, 1, 2, 2]) == [[1, 3], [7, 7]]


@given(st.sets(st.integers(1, 30)))
def test_ranges_contain_exactly_their_numbers(numbers: set[int]) -> None:
    made = ranges(numbers)
    assert {number for first, last in made for number in range(first, last + 1)} == numbers
    assert all(one[1] + 1 < other[0] for one, other in pairwise(made))


@given(st.data())
def test_verify_finds_any_change_of_chain(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    removed = data.draw(st.sets(st.integers(1, count)))
    documents = [*(record(number) for number in range(1, count + 1)), removal("x", "retention", removed, TIME)]
    links = chained(documents, sorted(removed))
    kept = root_of(links)
    assert verify(links, [kept]).wrong is None
    place = data.draw(st.integers(0, count))
    link = links[place]
    how = data.draw(st.sampled_from(["text", "own hash", "chain hash", "leave out", "twice", "cut off"]))
    if how == "text":
        text = json.dumps({**json.loads(link.document or "{}"), "event": data.draw(st.text(max_size=3)), "more": 1})
        links[place] = replace(link, document=text)
    elif how == "own hash":
        links[place] = replace(link, record_hash=record_hash(f"another than {place}"))
    elif how == "chain hash":
        links[place] = replace(link, chain_hash=record_hash(f"another than {place}"))
    elif how == "leave out":
        del links[place]
    elif how == "twice":
        links.insert(place, link)
    else:
        del links[place:]
    found = verify(links, [kept])
    assert found.wrong == link.number + (how == "twice")
    assert found.why
