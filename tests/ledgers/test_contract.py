"""Tests of what all ledgers promise: in memory, in an SQLite file and on a PostgreSQL server."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers import Entry, Ledger, MemoryLedger, Removal, open_ledger
from cookie_consent.ledgers.chain import CITING, Root, Verified, verify
from tests.support.asgi import run
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import (
    POLICY,
    PREVAILING_TEXT,
    SHOWN_TEXT,
    append,
    digest,
    entry,
    new_id,
    policy_version,
    verify_intact,
)
from tests.support.policies import NOW

DAY = 86_400
EARLIER = {**POLICY, "purposes": []}
UNUSUAL = (
    "'; DROP TABLE consent_records; --",
    '"',
    "\\",
    "訪問",
    "%s",
    ":name",
    "{}",
    "\x7f",
    "😀",
    "\ufeff",
    "a" * 5000,
)


@pytest.fixture
def ledger(each_ledger: Ledger) -> Ledger:
    return each_ledger


def cited(ledger: Ledger) -> set[str]:
    return {name for _, name, _ in ledger.cited()}


def note(**fields: Any) -> Entry:
    return Entry(document={"record_id": new_id(), "event": "note", "decided_at": rfc3339(NOW), **fields})


def test_empty_ledger_verifies(ledger: Ledger) -> None:
    assert verify_intact(ledger) == Verified(0, 0, Root(0, bytes(32)))
    assert (ledger.size(), list(ledger.cited()), ledger.last_removal()) == (0, [], None)


def test_records_are_found_by_their_consent_id_in_order(ledger: Ledger) -> None:
    kept = [entry("a"), entry("b"), entry("a", event="withdrawn"), note(consent_id="a", note="x")]
    for one in kept:
        assert append(ledger, one) == [one.document]
    of_a = [kept[number].document for number in (0, 2, 3)]
    assert run(ledger.records("a")) == of_a
    for most in (1, 2, 3, 4):
        assert run(ledger.records("a", most)) == of_a[-most:]
    assert (run(ledger.last("a")), run(ledger.count("a"))) == (of_a[-1], 3)
    for unknown in ("c", "", "A", "a ", "\0", "a\0", "\ud800"):
        assert (run(ledger.records(unknown)), run(ledger.last(unknown)), run(ledger.count(unknown))) == ([], None, 0)
        assert ledger.remove(now=NOW, make_id=new_id, consent_id=unknown) == Removal(0, 0, 0)
    assert verify_intact(ledger).records == ledger.size() == 4


def test_what_records_cite_is_kept(ledger: Ledger) -> None:
    append(ledger, entry(policy=EARLIER), entry(policy=EARLIER), entry(text="<p>Another.</p>"))
    assert run(ledger.policy(policy_version(EARLIER))) == EARLIER
    assert run(ledger.policy(policy_version(POLICY))) == POLICY
    for text in (SHOWN_TEXT, PREVAILING_TEXT, "<p>Another.</p>"):
        assert run(ledger.text(digest(text))) == text
    for unknown in ("0123456789abcdef", "0" * 64, "\0", "\ud800"):
        assert run(ledger.policy(unknown)) is run(ledger.text(unknown)) is None


def test_unusual_characters_are_kept_unchanged(ledger: Ledger) -> None:
    for text in UNUSUAL:
        one = entry(text, text=f"<p>{text}</p>", key=text, language=text, note=text)
        assert append(ledger, one) == [one.document]
        assert run(ledger.records(text)) == [one.document]
        assert run(ledger.text(digest(f"<p>{text}</p>"))) == f"<p>{text}</p>"
    assert verify_intact(ledger).records == len(UNUSUAL)


@pytest.mark.parametrize("text", ["\0", "\ud800", "half of one: \udfff", 5, ["a"]])
@pytest.mark.parametrize("name", ["record_id", "consent_id", "policy", "text", "prevailing_text", "repeat_key"])
def test_entry_that_a_database_cannot_keep_is_refused(name: str, text: Any) -> None:
    with pytest.raises(ValueError, match=f"^ledger: '{name}' cannot be kept: it is no text, or a NUL or half a char"):
        Entry(document={**entry().document, name: text})
    with pytest.raises(ValueError, match=r"^ledger: 'a name' cannot be kept"):
        Entry(document=entry().document, texts={"a name": text})


@pytest.mark.parametrize("value", ["\ud800", {1, 2}, float("nan"), 2**60, b"bytes"])
def test_record_that_json_cannot_express_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^ledger: the record cannot be kept: "):
        run(MemoryLedger().append(entry(note=value)))


def test_record_that_cites_what_is_unknown_is_refused(ledger: Ledger) -> None:
    for name in ("policy", "text", "prevailing_text"):
        one = entry()
        unknown = Entry(document={**one.document, name: "unknown"}, policies=one.policies, texts=one.texts)
        (refused,) = append(ledger, unknown)
        assert isinstance(refused, ValueError | SQLAlchemyError)
    assert verify_intact(ledger).records == 0


@pytest.mark.slow  # 300 records are written
def test_concurrent_records_are_all_kept_in_order(ledger: Ledger) -> None:
    entries = [entry("a") for _ in range(300)]
    assert append(ledger, *entries) == [one.document for one in entries]
    assert run(ledger.records("a")) == [one.document for one in entries]
    assert verify_intact(ledger).records == 300


# Repeats.


def test_repeat_within_its_time_is_the_first_record(ledger: Ledger) -> None:
    """Each row is an answer: its key, for how long it counts as a repeat, when it comes, and the answer it becomes."""
    rows = [("k", 60, 0, 0), ("k", 60, 60, 0), ("k", 60, 61, 2), ("k", 60, 121, 2), ("k", 600, 130, 0), ("K", 60, 0, 5)]
    entries = [
        entry("ab"[row % 2], key=key, within=within, now=NOW + at) for row, (key, within, at, _) in enumerate(rows)
    ]
    entries += [entry(within=60), entry(within=60)]  # without a key
    kept = [append(ledger, one)[0] for one in entries]
    assert kept == [entries[number].document for number in (*(row[-1] for row in rows), 6, 7)]
    assert verify_intact(ledger).records == 5
    again = append(ledger, entries[6], *(entry(key="at once", within=60) for _ in range(20)), entries[6])
    assert again[0] == again[-1] == entries[6].document
    assert len({record["record_id"] for record in again}) == 2


def test_repeat_keeps_no_texts_of_its_own(ledger: Ledger) -> None:
    append(ledger, entry(key="k", within=60))
    append(ledger, entry(key="k", within=60, text="<p>Never kept for a record.</p>"))
    ledger.remove(now=NOW, make_id=new_id)
    assert run(ledger.text(digest("<p>Never kept for a record.</p>"))) is None


def test_answer_does_not_repeat_a_removed_record(ledger: Ledger) -> None:
    append(ledger, entry(key="k", within=60, keep_until=NOW))
    ledger.remove(now=NOW, make_id=new_id)
    again = entry(key="k", within=60)
    assert append(ledger, again) == [again.document]


# Removal.


def removal_record(ledger: Ledger) -> dict[str, Any]:
    *_, last = ledger.links()
    return dict(json.loads(last.document or ""))


@pytest.mark.requirement("PC-10")
def test_due_records_are_removed_and_chain_stays_valid(ledger: Ledger) -> None:
    end = rfc3339(NOW - 5 * DAY)
    due = [entry("a", keep_until=NOW - 1), entry("b", keep_until=NOW, expires_at=end)]
    stay = [entry("a", keep_until=NOW + 1), entry("b")]
    append(ledger, due[0], stay[0], due[1], stay[1])
    before = verify_intact(ledger)
    assert ledger.remove(now=NOW + 0.9, make_id=lambda: "made") == Removal(2, 0, 0)
    assert [run(ledger.records(name)) for name in "ab"] == [[stay[0].document], [stay[1].document]]
    after = verify_intact(ledger, before.root)
    assert (after.records, after.removed, ledger.size()) == (5, 2, 5)
    assert removal_record(ledger) == {
        "schema": 2,
        "record_id": "made",
        "event": "removed",
        "decided_at": rfc3339(NOW),
        "reason": "retention",
        "numbers": [[1, 1], [3, 3]],
        "kept_days": 5,
    }
    assert ledger.remove(now=NOW + 10_000 * DAY, make_id=new_id, dry_run=True).records == 1, "its own record stays"
    append(ledger, entry("c"))
    assert verify_intact(ledger, after.root).records == 6


def test_records_of_a_visitor_are_erased_at_once(ledger: Ledger) -> None:
    append(ledger, entry("a"), entry("b"), entry("a", keep_until=NOW + DAY), entry("a", now=NOW + 5))
    before = verify_intact(ledger)
    assert ledger.remove(now=NOW, make_id=new_id, consent_id="a") == Removal(3, 0, 0)
    assert (run(ledger.records("a")), run(ledger.last("a")), run(ledger.count("b"))) == ([], None, 1)
    assert verify_intact(ledger, before.root).removed == 3
    assert (removal_record(ledger)["reason"], removal_record(ledger)["numbers"]) == ("erasure", [[1, 1], [3, 4]])
    assert "kept_days" not in removal_record(ledger)


def test_last_removal_is_that_of_due_records(ledger: Ledger) -> None:
    ledger.remove(now=NOW, make_id=new_id, consent_id="a")
    assert ledger.last_removal() is None, "an erasure is none"
    for now in (NOW + 9.9, NOW + 5, NOW + 20):
        ledger.remove(now=now, make_id=new_id)
    assert [ledger.last_removal(until) for until in (None, NOW + 19, NOW + 9, NOW + 8, NOW)] == [
        *(NOW + 20, NOW + 9, NOW + 9, NOW + 5, None)
    ]


def test_removed_record_leaves_only_its_hashes(ledger: Ledger) -> None:
    append(ledger, entry("somebody", text="<p>Shown once.</p>", key="the key"), entry("b"))
    before = next(ledger.links())
    ledger.remove(now=NOW, make_id=new_id, consent_id="somebody")
    gone = next(ledger.links())
    assert (gone.document, any(gone.columns.values())) == (None, False)
    assert (gone.record_hash, gone.chain_hash) == (before.record_hash, before.chain_hash)


@pytest.mark.requirement("PC-10")
def test_removal_deletes_what_is_cited_no_more(ledger: Ledger) -> None:
    entries = [
        entry("a", policy=EARLIER, text="one", prevailing="two", keep_until=NOW),
        entry("b", policy=EARLIER, text="two", prevailing="three", keep_until=NOW + 1),
        entry("c", text="four", prevailing="four", keep_until=NOW + 2),
    ]
    append(ledger, *entries)
    assert ledger.remove(now=NOW, make_id=new_id) == Removal(1, 1, 0)
    assert cited(ledger) == {policy_version(EARLIER), policy_version(POLICY), *map(digest, ("two", "three", "four"))}
    assert ledger.remove(now=NOW + 1, make_id=new_id) == Removal(1, 2, 1)
    assert ledger.remove(now=NOW + 2, make_id=new_id) == Removal(1, 1, 1)
    assert cited(ledger) == set()
    append(ledger, entries[2])
    assert run(ledger.text(digest("four"))) == "four", "it is kept again"


VISITORS = st.sampled_from(["a", "b"])
TEXTS = st.sampled_from(["one", "two", "three"])
SECONDS = st.integers(0, 5)
APPENDS = st.builds(
    lambda visitor, key, at, keep, text, prevailing, policy: entry(
        visitor, key=key, within=2, now=NOW + at, keep_until=keep, text=text, prevailing=prevailing, policy=policy
    ),
    VISITORS,
    st.sampled_from(["", "k", "l"]),
    SECONDS,
    st.none() | SECONDS.map(lambda seconds: NOW + seconds),
    TEXTS,
    TEXTS,
    st.sampled_from([POLICY, EARLIER]),
)
REMOVALS = st.fixed_dictionaries(
    {"consent_id": st.none() | VISITORS, "now": SECONDS.map(lambda seconds: NOW + seconds), "dry_run": st.booleans()}
)


@given(st.lists(APPENDS | REMOVALS, max_size=12))
@settings(max_examples=12)
@pytest.mark.slow  # each history makes a file
def test_sqlite_gives_the_same_as_a_list(history: list[Any]) -> None:
    memory = MemoryLedger()
    with TemporaryDirectory() as folder, closing(open_ledger(ledger_url(Path(folder)))) as file:
        for number, act in enumerate(history):
            if isinstance(act, Entry):
                assert run(file.append(act)) == run(memory.append(act))
            else:
                act["make_id"] = lambda number=number: f"removal {number}"
                assert file.remove(**act).records == memory.remove(**act).records
            assert [*file.links()] == [*memory.links()]
            needed = {link.columns[name] for link in file.links() for name in CITING} - {None}
            assert needed <= cited(file)
            assert isinstance(act, Entry) or act["dry_run"] or needed == cited(file) == cited(memory)
        assert file.last_removal() == memory.last_removal()
        assert verify(file.links()).wrong is None
