"""Tests of the ledgers: the behaviour that all share, and what SQLite and PostgreSQL add."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers import Entry, Ledger, MemoryLedger, Removal, open_ledger
from cookie_consent.ledgers import sql as sql_ledger
from cookie_consent.ledgers.chain import Root, Verified, verify
from cookie_consent.ledgers.postgresql import LOCK
from cookie_consent.policy.parts import RequestRules
from tests.support.asgi import run
from tests.support.desk import help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import (
    POLICY,
    PREVAILING_TEXT,
    SHOWN_TEXT,
    digest,
    entry,
    new_id,
    policy_version,
    run_writers,
)
from tests.support.policies import NOW
from tests.support.servers.postgres import HOST, PrivateServer

DAY = 86_400
EARLIER = {**POLICY, "purposes": []}
TABLES = ("consent_records", "consent_policies", "consent_texts")
sqlite_stands_for_both, postgresql_stands_for_both = (
    pytest.mark.each_value(all_of=kind, at_most=0) for kind in ("sqlite", "postgresql")
)


def connect_without_secure_delete(
    *arguments: Any, factory: type[sqlite3.Connection], **more: Any
) -> sqlite3.Connection:
    """Connect like a build of SQLite that leaves deleted data in the file."""
    connection = CONNECT(*arguments, factory=factory, **more)
    connection.execute("PRAGMA secure_delete = OFF")
    return connection


CONNECT = sqlite3.connect


@dataclass(frozen=True)
class Place:
    """The database of an SQL ledger."""

    kind: str
    url: str

    def execute(self, statement: str, *more: str) -> list[Any]:
        """Run statements as the owner of the tables, and return the rows of the last one."""
        with self.connection() as connection:
            for sql in (statement, *more):
                got = connection.execute(sql)
            return got.fetchall() if got.description else []

    @contextmanager
    def connection(self) -> Iterator[Any]:
        if self.kind == "postgresql":
            with closing(psycopg.connect(self.url, autocommit=True)) as server:
                yield server
        else:
            with closing(sqlite3.connect(self.path, isolation_level=None)) as file:
                yield file

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock, as another program may."""
        with self.connection() as connection:
            connection.execute("BEGIN" if self.kind == "postgresql" else "BEGIN IMMEDIATE")
            if self.kind == "postgresql":
                connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield
            connection.execute("ROLLBACK")

    def unprotect(self) -> None:
        """Remove the triggers that protect the records, as an administrator can."""
        if self.kind == "postgresql":
            self.execute(*(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES))
        else:
            triggers = self.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            self.execute(*(f"DROP TRIGGER {name}" for (name,) in triggers))


def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if kind == "postgresql":
        return Place(kind, request.getfixturevalue("postgres_url"))
    return Place(kind, f"sqlite:///{tmp_path}/a/b/consent.db")


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    url = ledger_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with closing(open_ledger(url)) as ledger:
        yield ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, request, tmp_path)


@pytest.fixture
def sql(database: Place) -> Iterator[Ledger]:
    with closing(open_ledger(database.url)) as ledger:
        yield ledger


@pytest.fixture
def file(tmp_path: Path) -> Place:
    return Place("sqlite", ledger_url(tmp_path))


def keep(ledger: Ledger, *entries: Entry) -> list[Any]:
    """Append all at once, and return the result or error of each."""

    async def append() -> list[Any]:
        return [*await asyncio.gather(*(ledger.append(one) for one in entries), return_exceptions=True)]

    return list(run(append()))


def keep_each(ledger: Ledger, *entries: Entry) -> None:
    for one in entries:
        assert run(ledger.append(one)) == one.document


def verify_intact(ledger: Ledger, *roots: Root) -> Verified:
    found = verify(ledger.links(), roots)
    assert found.wrong is None, found
    return found


def cited(ledger: Ledger) -> dict[str, str]:
    return {name: content for _, name, content in ledger.cited()}


# All ledgers.


def test_ledger_implements_protocol(ledger: Ledger) -> None:
    assert isinstance(ledger, Ledger)


def test_records_are_kept_in_order_for_each_consent_id(ledger: Ledger) -> None:
    kept = [entry("a"), entry("b"), entry("a", event="withdrawn")]
    keep_each(ledger, *kept)
    assert run(ledger.records("a")) == [kept[0].document, kept[2].document]
    assert run(ledger.records("b")) == [kept[1].document]
    assert run(ledger.last("a")) == kept[2].document
    for unknown in ("c", "", "A", "a "):
        assert run(ledger.records(unknown)) == []
        assert run(ledger.last(unknown)) is None
    assert verify_intact(ledger).records == 3


def test_limited_records_are_the_newest_in_order(ledger: Ledger) -> None:
    kept = [entry("a"), entry("b"), entry("a"), entry("a")]
    keep_each(ledger, *kept)
    documents = [kept[number].document for number in (0, 2, 3)]
    for most in (1, 2, 3, 4):
        assert run(ledger.records("a", most)) == documents[-most:]
    assert run(ledger.records("c", 2)) == []


def test_empty_ledger_verifies(ledger: Ledger) -> None:
    assert ledger.size() == 0
    assert verify_intact(ledger) == Verified(0, 0, Root(0, bytes(32)))
    assert list(ledger.cited()) == []
    assert ledger.last_removal() is None


def test_cited_policies_and_texts_are_kept(ledger: Ledger) -> None:
    keep_each(ledger, entry(policy=EARLIER), entry(policy=EARLIER), entry(text="<p>Another.</p>"))
    assert run(ledger.policy(policy_version(EARLIER))) == EARLIER
    assert run(ledger.policy(policy_version(POLICY))) == POLICY
    for text in (SHOWN_TEXT, PREVAILING_TEXT, "<p>Another.</p>"):
        assert run(ledger.text(digest(text))) == text
    assert run(ledger.policy("0123456789abcdef")) is None
    assert run(ledger.text("0" * 64)) is None


def test_a_record_without_policy_and_text_is_kept(ledger: Ledger) -> None:
    note = Entry(
        document={"record_id": "r", "consent_id": "a", "event": "note", "decided_at": rfc3339(NOW), "note": "x"}
    )
    keep_each(ledger, note)
    assert run(ledger.records("a")) == [note.document]
    assert verify_intact(ledger).records == 1


TEXTS = (
    "'; DROP TABLE consent_records; --",
    '"',
    "\\",
    "訪問",
    "%",
    "%s",
    ":name",
    "{}",
    "\x7f",
    "😀",
    "\ufeff",
    "a" * 5000,
)


def test_special_characters_are_kept_unchanged(ledger: Ledger) -> None:
    for text in TEXTS:
        one = entry(text, text=f"<p>{text}</p>", key=text, language=text, note=text)
        keep_each(ledger, one)
        assert run(ledger.records(text)) == [one.document]
        assert run(ledger.text(digest(f"<p>{text}</p>"))) == f"<p>{text}</p>"
        assert run(ledger.records(f"{text} ")) == []
        assert run(ledger.policy(text)) is None
    assert verify_intact(ledger).records == len(TEXTS)


def test_invalid_key_finds_no_record(ledger: Ledger) -> None:
    keep_each(ledger, entry())
    for key in ("\0", "a\0", "\ud800", "a\udfff"):
        assert run(ledger.records(key)) == []
        assert run(ledger.last(key)) is None
        assert run(ledger.policy(key)) is None
        assert run(ledger.text(key)) is None
        assert ledger.remove(now=NOW, make_id=new_id, consent_id=key) == Removal(0, 0, 0)


@pytest.mark.parametrize("text", ["\0", "\ud800", "half of one: \udfff", 5, ["a"]])
@pytest.mark.parametrize("name", ["record_id", "consent_id", "policy", "text", "prevailing_text"])
def test_record_with_invalid_key_is_rejected(name: str, text: object) -> None:
    with pytest.raises(ValueError, match=f"^ledger: '{name}' cannot be kept: it is no text, or a NUL or half a char"):
        Entry(document={**entry().document, name: text})


@pytest.mark.parametrize("text", ["<p>\0</p>", "\ud800"])
def test_text_with_nul_or_surrogate_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"^ledger: 'repeat_key' cannot be kept"):
        entry(key=text)
    with pytest.raises(ValueError, match=r"^ledger: 'a name' cannot be kept"):
        Entry(document=entry().document, texts={"a name": text})


def test_record_that_json_cannot_represent_is_rejected(ledger: Ledger) -> None:
    for value in ("\ud800", {1, 2}, float("nan"), 2**60, b"bytes"):
        with pytest.raises(ValueError, match=r"^ledger: the record cannot be kept: "):
            run(ledger.append(entry(note=value)))
    keep_each(ledger, entry())
    assert verify_intact(ledger).records == 1


def test_record_citing_unknown_content_is_not_kept(ledger: Ledger) -> None:
    for name in ("policy", "text", "prevailing_text"):
        one = entry()
        with pytest.raises((ValueError, SQLAlchemyError)):
            run(
                ledger.append(Entry(document={**one.document, name: "unknown"}, policies=one.policies, texts=one.texts))
            )
    assert run(ledger.records("a")) == []
    assert verify_intact(ledger).records == 0


@pytest.mark.slow
def test_concurrent_records_are_all_kept(ledger: Ledger) -> None:
    entries = [entry("a") for _ in range(300)]
    assert keep(ledger, *entries) == [one.document for one in entries]
    assert run(ledger.records("a")) == [one.document for one in entries]
    assert verify_intact(ledger).records == 300


# Repeats.


def test_repeated_answer_returns_first_record(ledger: Ledger) -> None:
    first = entry("a", key="k", within=60)
    keep_each(ledger, first)
    for later in (0, 1, 60):
        assert run(ledger.append(entry("b", key="k", within=60, now=NOW + later))) == first.document
    assert run(ledger.records("b")) == []
    assert verify_intact(ledger).records == 1


def test_texts_of_repeated_answer_are_not_kept(ledger: Ledger) -> None:
    keep_each(ledger, entry("a", key="k", within=60))
    run(ledger.append(entry("a", key="k", within=60, text="<p>Never kept for a record.</p>")))
    assert ledger.remove(now=NOW, make_id=new_id).records == 0
    assert run(ledger.text(digest("<p>Never kept for a record.</p>"))) is None


def test_same_key_after_repeat_period_makes_new_record(ledger: Ledger) -> None:
    entries = [entry(key="k", within=60, now=NOW + later) for later in (0, 61, 122)]
    keep_each(ledger, *entries)
    assert run(ledger.append(entry(key="k", within=60, now=NOW + 130))) == entries[2].document
    assert run(ledger.append(entry(key="k", within=600, now=NOW + 130))) == entries[0].document


def test_different_or_empty_key_is_not_a_repeat(ledger: Ledger) -> None:
    keep_each(ledger, entry(key="k", within=60), entry(key="K", within=60), entry(within=60), entry(within=60))
    assert verify_intact(ledger).records == 4


def test_concurrent_repeats_make_one_record(ledger: Ledger) -> None:
    kept = keep(ledger, *(entry(key="k", within=60) for _ in range(20)))
    assert len({record["record_id"] for record in kept}) == 1
    assert verify_intact(ledger).records == 1


def test_record_appended_twice_is_kept_once(ledger: Ledger) -> None:
    one = entry()
    assert keep(ledger, one, one) == [one.document] * 2
    keep_each(ledger, one)
    assert verify_intact(ledger).records == 1


def test_answer_does_not_repeat_removed_record(ledger: Ledger) -> None:
    keep_each(ledger, entry(key="k", within=60, keep_until=NOW))
    ledger.remove(now=NOW, make_id=new_id)
    again = entry(key="k", within=60)
    keep_each(ledger, again)
    assert run(ledger.records("a")) == [again.document]


# Removal.


def test_due_records_are_removed_and_chain_stays_valid(ledger: Ledger) -> None:
    due = [entry("a", keep_until=NOW - 1), entry("b", keep_until=NOW)]
    stay = [entry("a", keep_until=NOW + 1), entry("b")]
    keep_each(ledger, due[0], stay[0], due[1], stay[1])
    before = verify_intact(ledger)
    assert ledger.remove(now=NOW + 0.9, make_id=lambda: "made") == Removal(2, 0, 0)
    assert run(ledger.records("a")) == [stay[0].document]
    assert run(ledger.records("b")) == [stay[1].document]
    after = verify_intact(ledger, before.root)
    assert (after.records, after.removed) == (5, 2)
    assert ledger.size() == 5
    *_, removal_record = ledger.links()
    assert json.loads(removal_record.document or "") == {
        "schema": 2,
        "record_id": "made",
        "event": "removed",
        "decided_at": rfc3339(NOW),
        "reason": "retention",
        "numbers": [[1, 1], [3, 3]],
    }
    assert ledger.last_removal() == NOW
    assert ledger.remove(now=NOW, make_id=new_id) == Removal(0, 0, 0)
    assert verify_intact(ledger, after.root).records == 5
    keep_each(ledger, entry("c"))
    assert verify_intact(ledger, after.root).records == 6


def test_records_of_consent_id_are_erased_on_demand(ledger: Ledger) -> None:
    keep_each(ledger, entry("a"), entry("b"), entry("a", keep_until=NOW + DAY), entry("a", now=NOW + 5))
    before = verify_intact(ledger)
    assert ledger.remove(now=NOW, make_id=new_id, consent_id="a") == Removal(3, 0, 0)
    assert run(ledger.records("a")) == []
    assert run(ledger.last("a")) is None
    assert len(run(ledger.records("b"))) == 1
    assert verify_intact(ledger, before.root).removed == 3
    *_, removal_record = ledger.links()
    assert json.loads(removal_record.document or "")["reason"] == "erasure"
    assert ledger.last_removal() is None, "an erasure is not a retention run"


def test_removed_record_leaves_only_its_hashes(ledger: Ledger) -> None:
    keep_each(ledger, entry("somebody", text="<p>Shown once.</p>", key="the key"), entry("b"))
    links = list(ledger.links())
    ledger.remove(now=NOW, make_id=new_id, consent_id="somebody")
    gone = next(ledger.links())
    assert gone.document is None
    assert not any(gone.columns.values())
    assert (gone.record_hash, gone.chain_hash) == (links[0].record_hash, links[0].chain_hash)


def test_removal_deletes_policies_and_texts_without_citations(ledger: Ledger) -> None:
    keep_each(
        ledger,
        entry("a", policy=EARLIER, text="one", prevailing="two", keep_until=NOW),
        entry("b", policy=EARLIER, text="two", prevailing="three", keep_until=NOW + 1),
        entry("c", text="four", prevailing="four", keep_until=NOW + 2),
    )
    assert ledger.remove(now=NOW, make_id=new_id) == Removal(1, 1, 0)
    assert {*cited(ledger)} == {policy_version(EARLIER), policy_version(POLICY), *map(digest, ("two", "three", "four"))}
    assert ledger.remove(now=NOW + 1, make_id=new_id) == Removal(1, 2, 1)
    assert {*cited(ledger)} == {policy_version(POLICY), digest("four")}
    assert ledger.remove(now=NOW + 2, make_id=new_id) == Removal(1, 1, 1)
    assert cited(ledger) == {}
    keep_each(ledger, entry("c", text="four", prevailing="four"))
    assert run(ledger.text(digest("four"))) == "four"
    assert verify_intact(ledger).removed == 3


@pytest.mark.parametrize("consent_id", [None, "a"])
def test_dry_run_reports_removal_without_removing(ledger: Ledger, consent_id: str | None) -> None:
    texts = ("one", "two", "three", "four", "five")
    keep_each(
        ledger,
        *(
            entry(
                "ab"[number % 3 % 2],
                policy=(POLICY, EARLIER, {"another": number // 6})[number % 3],
                text=texts[number % 5],
                prevailing=texts[number % 4],
                keep_until=(NOW - 5, None, NOW, NOW + 5, NOW - DAY)[number % 5],
            )
            for number in range(12)
        ),
    )
    kept, links = cited(ledger), list(ledger.links())
    reported = ledger.remove(now=NOW, make_id=new_id, consent_id=consent_id, dry_run=True)
    assert (cited(ledger), list(ledger.links()), ledger.last_removal()) == (kept, links, None)
    assert ledger.remove(now=NOW, make_id=new_id, consent_id=consent_id) == reported
    left = cited(ledger)
    assert len(kept) - len(left) == reported.texts + reported.policies
    assert verify_intact(ledger).removed == reported.records > 0


def test_dry_run_reads_one_snapshot(database: Place, sql: Ledger) -> None:
    keep_each(sql, entry("a", keep_until=NOW))
    begun = list[str]()

    def keep_one_more(connection: object, cursor: object, statement: str, *more: object) -> None:
        if statement.lstrip().startswith("SELECT count") and not begun:
            begun.append(statement)
            with closing(open_ledger(database.url)) as other:
                keep_each(other, entry("b"))

    event.listen(Engine, "before_cursor_execute", keep_one_more)
    try:
        assert sql.remove(now=NOW, make_id=new_id, dry_run=True) == Removal(1, policies=1, texts=2)
        assert begun
    finally:
        event.remove(Engine, "before_cursor_execute", keep_one_more)
    assert sql.remove(now=NOW, make_id=new_id, dry_run=True) == Removal(1, policies=0, texts=0)


def test_removal_records_are_never_due(ledger: Ledger) -> None:
    keep_each(ledger, entry(keep_until=NOW))
    ledger.remove(now=NOW, make_id=new_id)
    assert ledger.remove(now=NOW + 10_000 * DAY, make_id=new_id).records == 0
    assert verify_intact(ledger).records == 2


# Tampering.


SWAP = (
    "UPDATE consent_records SET number = 100 WHERE number = 3",
    "UPDATE consent_records SET number = 3 WHERE number = 4",
    "UPDATE consent_records SET number = 4 WHERE number = 100",
)
BLANK = (
    "UPDATE consent_records SET document = NULL, record_id = NULL, consent_id = NULL, policy = NULL, text = NULL, "
    "prevailing_text = NULL, decided_at = NULL, keep_until = NULL, repeat_key = NULL"
)
COLUMNS = (
    "document, record_id, consent_id, policy, text, prevailing_text, decided_at, keep_until, repeat_key, "
    "record_hash, chain_hash"
)
INSERT = (
    "UPDATE consent_records SET number = -number WHERE number >= 3",
    f"INSERT INTO consent_records SELECT 3, {COLUMNS} FROM consent_records WHERE number = 2",  # noqa: S608
    "UPDATE consent_records SET number = 1 - number WHERE number < 0",
)


ENDLESS_NESTING = "[" * 200_000
CUT_OFF = "the chain ends here, but a root that was kept elsewhere says that it had 5 records"
TAMPERING = {
    "UPDATE consent_records SET document = replace(document, 'granted', 'granteD') WHERE number = 3": (
        3,
        "its text is not the one that was recorded",
    ),
    "DELETE FROM consent_records WHERE number = 3": (3, "it is missing; the next is 4"),
    SWAP: (3, "it is not tied to the records before it"),
    INSERT: (3, "it is not tied to the records before it"),
    "UPDATE consent_records SET consent_id = 'another' WHERE number = 3": (
        3,
        "it is filed under another consent_id than it says",
    ),
    "UPDATE consent_records SET text = prevailing_text WHERE number = 3": (
        3,
        "it is filed under another text than it says",
    ),
    f"UPDATE consent_records SET document = '{ENDLESS_NESTING}' WHERE number = 3": (  # noqa: S608
        3,
        "its text is not the one that was recorded",
    ),
    "UPDATE consent_records SET keep_until = 1 WHERE number = 3": (
        3,
        "it is filed under another keep_until than it says",
    ),
    "UPDATE consent_records SET decided_at = decided_at + 1 WHERE number = 3": (
        3,
        "it is filed under another decided_at than it says",
    ),
    "UPDATE consent_records SET repeat_key = NULL WHERE number = 3": (
        3,
        "it is filed under another repeat_key than it says",
    ),
    f"{BLANK} WHERE number = 3": (3, "it was removed, and no record says by whose right"),
    "UPDATE consent_records SET document = NULL WHERE number = 3": (3, "it was removed, but not as a whole"),
    "DELETE FROM consent_records WHERE number >= 4": (4, CUT_OFF),
    "DELETE FROM consent_records": (1, CUT_OFF),
}


@pytest.mark.slow
def test_tampering_with_database_is_found(database: Place, sql: Ledger) -> None:
    keep(sql, *(entry(str(number)) for number in range(5)))
    root = verify_intact(sql).root
    database.unprotect()
    database.execute("CREATE TABLE as_it_was AS SELECT * FROM consent_records")
    for statements, found in TAMPERING.items():
        database.execute(*([statements] if isinstance(statements, str) else statements))
        verified = verify(sql.links(), [root])
        assert (verified.wrong, verified.why) == found, statements
        database.execute("DELETE FROM consent_records", "INSERT INTO consent_records SELECT * FROM as_it_was")
        verify_intact(sql, root)


ALTERATIONS = (
    "UPDATE consent_records SET keep_until = 1 WHERE number = 2",
    "UPDATE consent_records SET consent_id = 'b', keep_until = 1 WHERE number = 2",
    # The document agrees with the column, but not with its hash.
    f"UPDATE consent_records SET keep_until = {NOW}, "  # noqa: S608
    f"document = replace(document, '{rfc3339(NOW + DAY)}', '{rfc3339(NOW)}') WHERE number = 2",
)


@pytest.mark.parametrize("statement", ALTERATIONS)
def test_removal_leaves_altered_record_in_place(database: Place, sql: Ledger, statement: str) -> None:
    keep_each(
        sql,
        entry("b", keep_until=NOW - 1),
        entry("a", keep_until=NOW + DAY, text="<p>Another.</p>"),
        entry("b", keep_until=NOW),
        entry("c"),
    )
    root = verify_intact(sql).root
    database.unprotect()
    database.execute(statement)
    expected = Removal(2, 0, 0, misfiled=1)
    assert sql.remove(now=NOW, make_id=new_id, dry_run=True) == expected
    assert sql.remove(now=NOW, make_id=new_id) == expected
    assert run(sql.text(digest("<p>Another.</p>"))) == "<p>Another.</p>"
    for found in (verify(sql.links()), verify(sql.links(), [root])):
        assert found.wrong == 2
    assert sql.remove(now=NOW, make_id=new_id) == Removal(0, 0, 0, misfiled=1)


def test_altered_removal_record_is_found(database: Place, sql: Ledger) -> None:
    keep_each(sql, entry("a"), entry("b"))
    sql.remove(now=NOW, make_id=new_id, consent_id="a")
    database.unprotect()
    database.execute("UPDATE consent_records SET document = replace(document, '[[1,1]]', '[[1,2]]') WHERE number = 3")
    assert verify(sql.links()).wrong == 3


# What the triggers refuse.


def refused(database: Place, statement: str) -> None:
    with pytest.raises((sqlite3.Error, psycopg.Error), match="consent records are append-only"):
        database.execute(statement)


def test_database_refuses_update_and_delete(database: Place, sql: Ledger) -> None:
    keep_each(sql, entry())
    for statement in (
        "UPDATE consent_records SET document = '{}'",
        "UPDATE consent_records SET consent_id = 'b'",
        "UPDATE consent_records SET keep_until = 1",
        "UPDATE consent_records SET document = NULL",
        f"{BLANK}, number = number + 10",
        f"{BLANK}, record_hash = chain_hash",
        "DELETE FROM consent_records",
        "UPDATE consent_policies SET document = '{}'",
        "UPDATE consent_texts SET content = ''",
        "DELETE FROM consent_policies",
        "DELETE FROM consent_texts",
    ):
        refused(database, statement)
    assert len(run(sql.records("a"))) == 1
    assert verify_intact(sql).records == 1


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT OR REPLACE INTO consent_records SELECT 1, {COLUMNS} FROM consent_records",  # noqa: S608
        "INSERT OR REPLACE INTO consent_texts SELECT sha256, 'another' FROM consent_texts",
        "INSERT OR REPLACE INTO consent_policies SELECT version, '{}' FROM consent_policies",
    ],
)
def test_sqlite_refuses_insert_or_replace(file: Place, statement: str) -> None:
    with closing(open_ledger(file.url)) as ledger:
        keep_each(ledger, entry("a"), entry("b"))
        refused(file, statement)
        assert len(run(ledger.records("b"))) == 1


def test_postgresql_allows_blanking_only_during_removal(postgres_url: str) -> None:
    database = Place("postgresql", postgres_url)
    with closing(open_ledger(postgres_url)) as ledger:
        keep_each(ledger, entry())
    ((owner, user),) = database.execute(
        "SELECT tableowner, current_user FROM pg_tables WHERE tablename = 'consent_records'"
    )
    assert owner == user, "even the owner is refused"
    forbidden = (
        *(f"TRUNCATE {table} CASCADE" for table in TABLES),
        f"{BLANK}, chain_hash = ''",
        "UPDATE consent_records SET consent_id = NULL",
        "DELETE FROM consent_records",
        "UPDATE consent_texts SET content = ''",
        "UPDATE consent_policies SET document = ''",
    )
    for statement in (*forbidden, BLANK):
        refused(database, statement)
    for statement in forbidden:
        refused(database, f"SET cookie_consent.removing = 'on'; {statement}")
    database.execute(f"SET cookie_consent.removing = 'on'; {BLANK}")


# Several processes.


@postgresql_stands_for_both
@pytest.mark.slow
def test_several_processes_append_to_one_chain(database: Place) -> None:
    record_ids = run_writers(*(["append", database.url, name, 20, "key"] for name in "abc"))
    assert record_ids[0].split() == record_ids[1].split() == record_ids[2].split(), (
        "the record of one process is a repeat for the others"
    )
    with closing(open_ledger(database.url)) as ledger:
        assert verify_intact(ledger).records == 80
        assert [len(run(ledger.records(name))) for name in "abc"] == [20] * 3
        assert [record["record_id"] for record in run(ledger.records("shared"))] == record_ids[0].split()
        assert run(ledger.policy(policy_version(POLICY))) == POLICY
        assert run(ledger.text(digest(SHOWN_TEXT))) == SHOWN_TEXT
        keep_each(ledger, entry("a"))
        assert verify_intact(ledger).records == 81


@pytest.mark.slow
def test_text_removed_by_another_process_is_kept_again(database: Place, sql: Ledger) -> None:
    keep_each(sql, entry("a", keep_until=NOW))
    with closing(open_ledger(database.url)) as other:
        assert other.remove(now=NOW, make_id=new_id) == Removal(1, 2, 1)
    assert run(sql.text(digest(SHOWN_TEXT))) is None
    again = entry("a")
    keep_each(sql, again)
    assert run(sql.text(digest(SHOWN_TEXT))) == SHOWN_TEXT
    assert run(sql.policy(policy_version(POLICY))) == POLICY
    assert run(sql.records("a")) == [again.document]
    assert verify_intact(sql).records == 3


@sqlite_stands_for_both
@pytest.mark.slow
def test_removal_of_more_records_than_one_batch(database: Place, sql: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_ledger, "_PAGE_SIZE", 50)
    keep(sql, *(entry(f"{number}", keep_until=NOW) for number in range(120)))
    assert verify_intact(sql).records == 120
    assert sql.remove(now=NOW, make_id=new_id, dry_run=True) == Removal(120, 2, 1)
    assert sql.remove(now=NOW, make_id=new_id) == Removal(120, 2, 1)
    assert verify_intact(sql).removed == 120
    assert database.execute("SELECT ran_at, reason, records, texts, policies FROM consent_removals") == [
        (NOW, "retention", 120, 2, 1)
    ]


# Locks, cancellation and closing.


def test_locked_database_refuses_answers_until_unlocked(file: Place, postgres_url: str) -> None:
    places = [file, Place("postgresql", postgres_url)]
    with closing(open_ledger(file.url)) as one, closing(open_ledger(postgres_url)) as other:
        keep_each(one, entry("before"))
        keep_each(other, entry("before"))

        async def meanwhile() -> list[Any]:
            appended = [ledger.append(entry("meanwhile")) for ledger in (one, other) for _ in range(5)]
            return [*await asyncio.gather(*appended, return_exceptions=True)]

        with places[0].locked(), places[1].locked():
            refused = run(meanwhile())
        assert len(refused) == 10
        assert all(isinstance(error, SQLAlchemyError) for error in refused)
        for ledger in (one, other):
            keep_each(ledger, entry("after"))
            assert verify_intact(ledger).records == 2, "a refused answer is not kept later"


def test_locked_database_can_be_read(database: Place, sql: Ledger) -> None:
    keep_each(sql, entry("a"))
    with database.locked():
        assert len(run(sql.records("a"))) == 1
        assert run(sql.text(digest(SHOWN_TEXT))) == SHOWN_TEXT
        assert verify_intact(sql).records == 1
        assert sql.remove(now=NOW, make_id=new_id, dry_run=True).records == 0


def test_closed_ledger_reopens_on_use(sql: Ledger) -> None:
    sql.close()
    sql.close()
    keep_each(sql, entry("a"))
    assert len(run(sql.records("a"))) == 1
    sql.close()
    assert verify_intact(sql).records == 1


def test_close_closes_database_files(file: Place) -> None:
    open_files = Path("/proc/self/fd")

    def opened() -> list[str]:
        found = []
        for link in open_files.iterdir():
            with suppress(FileNotFoundError):
                found.append(str(link.readlink()))
        return [name for name in found if name.startswith(str(file.path))]

    ledger = open_ledger(file.url)
    assert opened() == [], "a forked process inherits no open file"
    keep_each(ledger, entry("a"))
    verify_intact(ledger)
    assert opened() != []
    ledger.close()
    assert opened() == []
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["consent.db"], "the write-ahead log was merged"


def test_database_errors_do_not_contain_record_data(sql: Ledger) -> None:
    unknown = Entry(document={**entry("somebody's id").document, "policy": "unknown"})
    with pytest.raises(SQLAlchemyError) as caught:
        run(sql.append(unknown))
    assert "somebody" not in f"{caught.value!r}{caught.value}"


# The SQLite file.


def test_missing_sqlite_file_is_an_error_and_not_recreated(file: Place) -> None:
    with closing(open_ledger(file.url)) as ledger:
        keep_each(ledger, entry("a"))
        away = file.path.rename(file.path.with_name("away.db"))
        for work in (ledger.append(entry("a")), ledger.records("a"), ledger.text("0")):
            with pytest.raises(FileNotFoundError, match=r"consent\.db"):
                run(work)
        with pytest.raises(FileNotFoundError):
            ledger.remove(now=NOW, make_id=new_id)
        assert not file.path.exists()
        away.rename(file.path)
        keep_each(ledger, entry("a"))
        assert len(run(ledger.records("a"))) == 2
        assert verify_intact(ledger).records == 2


@pytest.mark.slow
def test_replaced_sqlite_file_is_used(file: Place) -> None:
    with closing(open_ledger(file.url)) as ledger:
        keep_each(ledger, entry("a"))
    backup = shutil.copy(file.path, file.path.with_name("backup.db"))
    with closing(open_ledger(file.url)) as ledger:
        keep_each(ledger, entry("a", text="<p>Not in the backup.</p>"))
        assert verify_intact(ledger).records == 2
        for name in ("consent.db-wal", "consent.db-shm"):
            file.path.with_name(name).unlink()
        os.replace(backup, file.path)
        assert len(run(ledger.records("a"))) == 1
        assert verify_intact(ledger).records == 1
        keep_each(ledger, entry("a", text="<p>Not in the backup.</p>"))
        assert ledger.remove(now=NOW, make_id=new_id, consent_id="b").records == 0
    assert file.execute("SELECT count(*) FROM consent_records") == [(2,)]
    assert file.execute("SELECT count(*) FROM consent_texts") == [(3,)]


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "a?mode=ro.db", "#.db", "訪問.db", "a'b.db", "a%41.db", "\udcff.db"]
)
def test_sqlite_file_name_may_have_special_characters(tmp_path: Path, name: str) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path}/{name}")) as ledger:
        keep_each(ledger, entry("a"))
        assert (tmp_path / name).stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_sqlite_file_is_not_world_readable(file: Place) -> None:
    open_ledger(file.url).close()
    assert file.path.stat().st_mode & 0o007 == 0


def files_of(place: Place) -> bytes:
    """Return what is in all files of an SQLite database."""
    return b"".join(file.read_bytes() for file in sorted(place.path.parent.iterdir()))


def test_removed_data_is_gone_from_sqlite_files(file: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", connect_without_secure_delete)
    with closing(open_ledger(file.url)) as ledger:
        keep(ledger, entry("somebody", note="My note."), entry("another", text=SHOWN_TEXT.replace("count", "add up")))
        request = help_desk_request(text="My question.", address="somebody@example.jp", consent_id="somebody")
        ledger.requests.add(request)
        ledger.requests.add(help_desk_request(address="another@example.jp"))
        gone = [b"My note.", b"My question.", b"somebody", b"somebody@example.jp"]
        assert all(text in files_of(file) for text in gone)
        ledger.remove(now=NOW, make_id=new_id, consent_id="somebody")
        ledger.requests.erase("somebody")
        assert [text for text in gone if text in files_of(file)] == []
        assert b"another@example.jp" in files_of(file)
        for reference in [kept.reference for kept in ledger.requests.listed()]:
            ledger.requests.end(reference, NOW)
        ledger.requests.purge(now=NOW + 40 * DAY, rules=RequestRules())
        assert b"another@example.jp" not in files_of(file)
    assert b"another" in files_of(file)


@pytest.mark.slow
def test_sqlite_removal_does_not_wait_for_readers(file: Place) -> None:
    with closing(open_ledger(file.url)) as ledger, file.connection() as reader:
        keep(ledger, entry("somebody", note="My note."))
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM consent_records").fetchall()
        assert ledger.remove(now=NOW, make_id=new_id, consent_id="somebody").records == 1
        assert b"My note." in files_of(file), "the write-ahead log still has what the reader may read"
        reader.execute("ROLLBACK")
        ledger.remove(now=NOW, make_id=new_id)
        assert b"My note." not in files_of(file)


def test_sqlite_commits_are_synchronous(file: Place) -> None:
    with closing(open_ledger(file.url)) as ledger:
        keep_each(ledger, entry("a"))
        assert file.execute("PRAGMA journal_mode") == [("wal",)]
        engine = ledger._database.engine
        with engine.connect() as connection:
            full = 2
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full


def test_sqlite_file_read_during_first_open_gets_wal_mode(file: Place) -> None:
    with file.connection() as reading:
        reading.execute("CREATE TABLE of_the_site (id)")
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM of_the_site").fetchall()
        opened: list[Ledger] = []
        opening = threading.Thread(target=lambda: opened.append(open_ledger(file.url)))
        opening.start()
        time.sleep(0.3)
        reading.execute("COMMIT")
        opening.join(60)
    with closing(opened[0]) as ledger:
        keep_each(ledger, entry("a"))
        assert file.execute("PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(
    "url",
    ["consent.db", "sqlite:consent.db", "sqlite:///", "sqlite://consent.db", "mysql:///x", "", "file:///x", "://"],
)
def test_unsupported_ledger_url_is_rejected(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"Write .sqlite:///consent\.db. or .postgresql://user:password@host/"
    ) as caught:
        open_ledger(url)
    assert f'no ledger for "{url}"' in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/db",
        "mysql://user:not:secret@host/db",
        "mysql://user:more@secret@host/db",
        "user:secret@host/db",
        "mysql://host/db?password=secret",
        "mysql://host/db?PASSWORD=secret",
        "secret@host",
        "sqlite://user:secret@host/db",
    ],
)
def test_error_for_unsupported_url_hides_password(url: str) -> None:
    with pytest.raises(ValueError, match="there is no ledger for") as caught:
        open_ledger(url)
    assert "secret" not in str(caught.value)


def test_file_that_is_not_sqlite_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    path.write_text("this is no database, whatever its name says; it is long enough to be looked at" * 20)
    with pytest.raises(ValueError, match=r"^ledger: .*consent\.db cannot be used as an SQLite file: "):
        open_ledger(f"sqlite:///{path}")
    with pytest.raises(ValueError, match="cannot be used"):
        open_ledger(f"sqlite:///{tmp_path}")
    with pytest.raises(ValueError, match="cannot be used"):
        open_ledger(f"sqlite:///{path}/below/a.db")


@pytest.mark.parametrize(
    ("url", "missing", "extra"),
    [
        ("sqlite:///consent.db", "sqlalchemy", "sql"),
        ("postgresql://host/db", "sqlalchemy", "postgresql"),
        ("postgresql://host/db", "psycopg", "postgresql"),
    ],
)
def test_missing_package_is_named_with_its_extra(
    url: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [*sys.modules]:
        if name.startswith(("cookie_consent.ledgers.", f"{missing}.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ValueError, match=rf'needs {missing}\. Install it with: pip install "cookie-consent\[{extra}\]"'
    ):
        open_ledger(url)
    assert not any(tmp_path.iterdir())


# The PostgreSQL server.


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@host:port/db",
        "postgresql://user:more@secret@host/db",
        "postgresql://user:more@host:secret@host/db",
        "postgresql://user:secret@[::1/db",
    ],
)
def test_error_for_malformed_postgresql_url_hides_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^ledger: the URL cannot be read\. Write .postgresql://user:") as caught:
        open_ledger(url)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


class LossyConnection:
    """A proxy between a ledger and its server that can break before the server's reply arrives.

    Args:
        port: the server's port.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self.lose_reply_after: bytes | None = None
        self.losses_left = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection((HOST, self._port)) as server:
            threading.Thread(target=self._send_back, args=[server, client], daemon=True).start()
            while sent := client.recv(1 << 20):
                loses = self.losses_left > 0 and self.lose_reply_after is not None and self.lose_reply_after in sent
                if loses:
                    self.losses_left -= 1
                    client.shutdown(socket.SHUT_WR)
                server.sendall(sent)
                if loses:
                    threading.Event().wait(0.3)  # time for the server to commit
                    return

    def _send_back(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while got := server.recv(1 << 20):
                client.sendall(got)


def test_ledger_works_once_unavailable_postgresql_starts(
    private_postgres: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = private_postgres.new_database().replace("postgres@", "postgres:secret@") + "?password=secret"
    private_postgres.stop()
    with caplog.at_level(logging.WARNING, "cookie_consent"), closing(open_ledger(url)) as ledger:
        (warned,) = caplog.messages
        assert warned.startswith("The ledger at postgresql+psycopg://postgres:***@127.0.0.1:")
        assert "cannot be used yet, and nothing can be allowed until it can: " in warned
        for work in (ledger.append(entry("a")), ledger.records("a"), ledger.policy("a")):
            with pytest.raises(SQLAlchemyError) as caught:
                run(work)
            assert "secret" not in f"{caught.value!r}{caught.value}"
        private_postgres.start()
        assert run(ledger.records("a")) == [], "the first read creates the tables"
        keep_each(ledger, entry("a"))
        assert verify_intact(ledger).records == 1
    assert "secret" not in caplog.text


@pytest.mark.parametrize("key", ["", "k"])
def test_record_is_kept_once_when_commit_reply_is_lost(private_postgres: PrivateServer, key: str) -> None:
    url = private_postgres.new_database()
    port = int(url.rpartition(":")[2].partition("/")[0])
    with (
        closing(LossyConnection(port)) as proxy,
        closing(open_ledger(url.replace(f":{port}/", f":{proxy.port}/"))) as ledger,
    ):
        keep_each(ledger, entry("a"))
        proxy.lose_reply_after, proxy.losses_left = b"COMMIT", 1
        keep_each(ledger, entry("b", key=key))
        assert proxy.losses_left == 0
        assert verify_intact(ledger).records == 2
        proxy.losses_left = 2
        with pytest.raises(SQLAlchemyError):
            run(ledger.append(entry("c", key=key and "k2")))
        keep_each(ledger, entry("d", key=key and "k3"))
        assert [len(run(ledger.records(name))) for name in "abcd"] == [1, 1, 1, 1]
        assert verify_intact(ledger).records == 4


def test_postgresql_url_options_apply(postgres_url: str) -> None:
    database = Place("postgresql", postgres_url)
    database.execute("CREATE SCHEMA of_its_own")
    options = "options=-csearch_path%3Dof_its_own&connect_timeout=7&application_name=a%20site"
    with closing(open_ledger(f"{postgres_url}?{options}")) as ledger:
        keep_each(ledger, entry("a"))
        assert database.execute("SELECT count(*) FROM of_its_own.consent_records") == [(1,)]
        names = database.execute(
            "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
        )
        assert ("a site",) in names


def test_ledger_overrides_settings_of_postgresql_database(postgres_url: str) -> None:
    database = Place("postgresql", postgres_url)
    name = postgres_url.rpartition("/")[2].partition("?")[0]
    for setting in ("synchronous_commit TO off", "default_transaction_isolation TO serializable"):
        database.execute(f'ALTER DATABASE "{name}" SET {setting}')
    with closing(open_ledger(postgres_url)) as ledger:
        engine = ledger._database.engine
        with engine.connect() as connection:
            for own, value in (("synchronous_commit", "on"), ("default_transaction_isolation", "read committed")):
                assert connection.exec_driver_sql(f"SHOW {own}").scalar() == value
        with closing(open_ledger(postgres_url)) as other:

            async def both() -> None:
                appended = [one.append(entry(str(number))) for number in range(50) for one in (ledger, other)]
                await asyncio.gather(*appended)

            run(both())
        assert verify_intact(ledger).records == 100


def test_postgresql_queries_use_indexes_without_statistics(postgres_url: str) -> None:
    database = Place("postgresql", postgres_url)
    with closing(open_ledger(postgres_url)) as ledger:
        keep_each(ledger, entry("a", key="k"))
        database.execute(
            "ALTER TABLE consent_records SET (autovacuum_enabled = off)",
            "INSERT INTO consent_records SELECT n, document, record_id, 'c' || n, policy, text, prevailing_text, "
            "decided_at, keep_until, 'k' || n, record_hash, chain_hash "
            "FROM consent_records, generate_series(2, 20000) n WHERE number = 1",
        )
        for wanted in (
            "SELECT document FROM consent_records WHERE consent_id = 'x' ORDER BY number DESC LIMIT 1",
            "SELECT document FROM consent_records WHERE repeat_key IN ('x', 'y') ORDER BY number",
        ):
            plan = "\n".join(line for (line,) in database.execute(f"EXPLAIN {wanted}"))
            assert "Index Cond" in plan
            assert "pkey" not in plan
