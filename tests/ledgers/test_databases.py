"""Tests of ledgers in databases: tampering, triggers, several processes, faults, files, URLs and tables."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers import Entry, Ledger, Removal, ledger_of, open_ledger
from cookie_consent.ledgers import sql as sql_ledger
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers.postgresql import LOCK
from cookie_consent.ledgers.sql import SqlLedger
from cookie_consent.ledgers.tables import METADATA
from cookie_consent.policy.parts import RequestRules
from tests.support.asgi import run
from tests.support.desk import help_desk_request
from tests.support.ledger_files import ledger_url
from tests.support.ledger_writer import (
    COMMAND,
    ROOT,
    SHOWN_TEXT,
    append,
    digest,
    entry,
    new_id,
    run_writers,
    verify_intact,
)
from tests.support.policies import NOW
from tests.support.servers.postgres import PrivateServer

DAY = 86_400
TABLES = ("consent_records", "consent_policies", "consent_texts")
COLUMNS = (
    "document, record_id, consent_id, policy, text, prevailing_text, decided_at, keep_until, repeat_key, "
    "record_hash, chain_hash"
)
BLANK = (
    "UPDATE consent_records SET document = NULL, record_id = NULL, consent_id = NULL, policy = NULL, text = NULL, "
    "prevailing_text = NULL, decided_at = NULL, keep_until = NULL, repeat_key = NULL"
)
sqlite_stands_for_both, postgresql_stands_for_both = (
    pytest.mark.each_value(all_of=kind, at_most=0) for kind in ("sqlite", "postgresql")
)


@dataclass(frozen=True)
class Database:
    """The database of a ledger, opened by somebody else."""

    url: str

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    @contextmanager
    def connection(self) -> Iterator[Any]:
        connection: Any = None
        if self.is_file:
            connection = sqlite3.connect(self.path, isolation_level=None)
        else:
            connection = psycopg.connect(self.url, autocommit=True)
        with closing(connection):
            yield connection

    @property
    def is_file(self) -> bool:
        return self.url.startswith("sqlite")

    def execute(self, *statements: str) -> list[Any]:
        """Run statements as the owner of the tables, and return the rows of the last one."""
        with self.connection() as connection:
            for statement in statements:
                got = connection.execute(statement)
            return got.fetchall() if got.description else []

    def unprotect(self) -> None:
        """Remove the triggers that protect the records, as an administrator can."""
        statements = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in TABLES]
        if self.is_file:
            triggers = self.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            statements = [f"DROP TRIGGER {name}" for (name,) in triggers]
        self.execute(*statements)

    def refuse(self, *statements: str) -> None:
        """Check that the triggers refuse each statement."""
        for statement in statements:
            with pytest.raises((sqlite3.Error, psycopg.Error), match="consent records are append-only"):
                self.execute(statement)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock, as another program may."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE" if self.is_file else "BEGIN")
            if not self.is_file:
                connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            yield
            connection.execute("ROLLBACK")

    @property
    def all_bytes(self) -> bytes:
        """What is in the file and those beside it."""
        return b"".join(file.read_bytes() for file in sorted(self.path.parent.iterdir()))


@pytest.fixture
def file(tmp_path: Path) -> Database:
    return Database(ledger_url(tmp_path))


@pytest.fixture
def server(postgres_url: str) -> Database:
    return Database(postgres_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    name = "file" if request.param == "sqlite" else "server"
    found: Database = request.getfixturevalue(name)
    return found


@pytest.fixture
def ledger(database: Database) -> Iterator[SqlLedger]:
    with closing(open_ledger(database.url)) as ledger:
        yield ledger


@contextmanager
def before_statements(act: Callable[[str], object]) -> Iterator[None]:
    """Call a function with each statement before it runs."""

    def note(_: object, __: object, statement: str, *more: object) -> None:
        act(statement.lstrip())

    event.listen(Engine, "before_cursor_execute", note)
    yield
    event.remove(Engine, "before_cursor_execute", note)


# Tampering.

CUT_OFF = "the chain ends here, but a root that was kept elsewhere says that it had 5 records"
CHANGED = "its text is not the one that was recorded"
MISFILED = "it is filed under another {} than it says"
TAMPERING = {
    "UPDATE consent_records SET document = replace(document, 'granted', 'granteD') WHERE number = 3": (3, CHANGED),
    f"UPDATE consent_records SET document = '{'[' * 200_000}' WHERE number = 3": (3, CHANGED),  # noqa: S608
    "DELETE FROM consent_records WHERE number = 3": (3, "it is missing; the next is 4"),
    "UPDATE consent_records SET number = 100 - number; UPDATE consent_records SET number = number - 94": (
        1,
        "it is not tied to the records before it",
    ),
    **{
        f"UPDATE consent_records SET {name} = {value} WHERE number = 3": (3, MISFILED.format(name))  # noqa: S608
        for name, value in {
            "consent_id": "'another'",
            "text": "prevailing_text",
            "keep_until": "1",
            "decided_at": "decided_at + 1",
            "repeat_key": "NULL",
        }.items()
    },
    f"{BLANK} WHERE number = 3": (3, "it was removed, and no record says by whose right"),
    "UPDATE consent_records SET document = NULL WHERE number = 3": (3, "it was removed, but not as a whole"),
    "DELETE FROM consent_records WHERE number >= 4": (4, CUT_OFF),
    "DELETE FROM consent_records": (1, CUT_OFF),
}


@pytest.mark.slow
def test_tampering_with_database_is_found(database: Database, ledger: SqlLedger) -> None:
    append(ledger, *(entry(str(number)) for number in range(5)))
    root = verify_intact(ledger).root
    database.unprotect()
    database.execute("CREATE TABLE as_it_was AS SELECT * FROM consent_records")
    for statements, found in TAMPERING.items():
        database.execute(*statements.split("; "))
        verified = verify(ledger.links(), [root])
        assert (verified.wrong, verified.why) == found, statements
        database.execute("DELETE FROM consent_records", "INSERT INTO consent_records SELECT * FROM as_it_was")
        verify_intact(ledger, root)


@pytest.mark.parametrize(
    "change",
    [
        "keep_until = 1",
        "consent_id = 'b', keep_until = 1",
        # The document agrees with the column, but not with its hash.
        f"keep_until = {NOW}, document = replace(document, '{rfc3339(NOW + DAY)}', '{rfc3339(NOW)}')",
    ],
)
def test_removal_leaves_altered_record_in_place(database: Database, ledger: SqlLedger, change: str) -> None:
    due = [entry("b", keep_until=NOW - 1), entry("a", keep_until=NOW + DAY, text="<p>Another.</p>")]
    append(ledger, *due, entry("b", keep_until=NOW), entry("c"))
    root = verify_intact(ledger).root
    database.unprotect()
    database.execute(f"UPDATE consent_records SET {change} WHERE number = 2")  # noqa: S608
    expected = Removal(2, 0, 0, misfiled=1)
    assert ledger.remove(now=NOW, make_id=new_id, dry_run=True) == expected
    assert ledger.remove(now=NOW, make_id=new_id) == expected
    assert run(ledger.text(digest("<p>Another.</p>"))) == "<p>Another.</p>"
    assert verify(ledger.links()).wrong == verify(ledger.links(), [root]).wrong == 2
    assert ledger.remove(now=NOW, make_id=new_id) == Removal(0, 0, 0, misfiled=1)


# What the triggers refuse.


@pytest.mark.requirement("PC-01")
def test_database_refuses_update_and_delete(database: Database, ledger: SqlLedger) -> None:
    append(ledger, entry("a"), entry("b"))
    database.refuse(
        "UPDATE consent_records SET document = '{}'",
        "UPDATE consent_records SET consent_id = NULL",
        "UPDATE consent_records SET keep_until = 1",
        "UPDATE consent_records SET document = NULL",
        f"{BLANK}, number = number + 10",
        f"{BLANK}, record_hash = chain_hash",
        f"{BLANK}, chain_hash = record_hash",
        "DELETE FROM consent_records",
        "UPDATE consent_policies SET document = '{}'",
        "UPDATE consent_texts SET content = ''",
        "DELETE FROM consent_policies",
        "DELETE FROM consent_texts",
    )
    assert verify_intact(ledger).records == 2


def test_sqlite_refuses_insert_or_replace(file: Database) -> None:
    with closing(open_ledger(file.url)) as ledger:
        append(ledger, entry("a"), entry("b"))
        file.refuse(
            f"INSERT OR REPLACE INTO consent_records SELECT 1, {COLUMNS} FROM consent_records",  # noqa: S608
            "INSERT OR REPLACE INTO consent_texts SELECT sha256, 'another' FROM consent_texts",
            "INSERT OR REPLACE INTO consent_policies SELECT version, '{}' FROM consent_policies",
        )
        assert verify_intact(ledger).records == 2


def test_postgresql_allows_blanking_only_during_removal(server: Database) -> None:
    with closing(open_ledger(server.url)) as ledger:
        append(ledger, entry())
    forbidden = (
        *(f"TRUNCATE {table} CASCADE" for table in TABLES),
        f"{BLANK}, chain_hash = ''",
        "UPDATE consent_records SET consent_id = NULL",
        "DELETE FROM consent_records",
        "UPDATE consent_texts SET content = ''",
        "UPDATE consent_policies SET document = ''",
    )
    server.refuse(*forbidden, BLANK, *(f"SET cookie_consent.removing = 'on'; {statement}" for statement in forbidden))
    server.execute(f"SET cookie_consent.removing = 'on'; {BLANK}")


# What records cite, and removal in pages.


def test_ledger_remembers_only_what_the_last_records_cited(file: Database) -> None:
    sent: list[str] = []
    count: list[int] = []
    with closing(open_ledger(file.url)) as ledger, before_statements(sent.append):
        for text in ("one", "one", "two", "two", "one"):
            append(ledger, entry(text=text, prevailing=text))
            count.append(sum(statement.startswith("INSERT INTO consent_texts") for statement in sent))
    assert count == [1, 1, 2, 2, 3]


def test_text_removed_by_another_process_is_kept_again(database: Database, ledger: SqlLedger) -> None:
    append(ledger, entry("a", keep_until=NOW))
    with closing(open_ledger(database.url)) as other:
        assert other.remove(now=NOW, make_id=new_id) == Removal(1, 2, 1)
    again = entry("a")
    assert append(ledger, again) == [again.document]
    assert run(ledger.text(digest(SHOWN_TEXT))) == SHOWN_TEXT
    assert verify_intact(ledger).records == 3


def test_dry_run_reads_one_snapshot(database: Database, ledger: SqlLedger) -> None:
    append(ledger, entry("a", keep_until=NOW))
    others: list[Any] = []

    def keep_one_more(statement: str) -> None:
        if statement.startswith("SELECT count") and not others:
            with closing(open_ledger(database.url)) as other:
                others.extend(["begun", *append(other, entry("b"))])

    with before_statements(keep_one_more):
        assert ledger.remove(now=NOW, make_id=new_id, dry_run=True) == Removal(1, policies=1, texts=2)
    assert len(others) == 2
    assert ledger.remove(now=NOW, make_id=new_id, dry_run=True) == Removal(1, policies=0, texts=0)


@pytest.mark.slow
def test_interrupted_removal_is_finished_by_two_at_once(
    database: Database, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_ledger, "_PAGE_SIZE", 20)
    append(ledger, *(entry(f"due {number}", keep_until=NOW) for number in range(150)), entry("stays"))
    assert ledger.remove(now=NOW, make_id=new_id, dry_run=True).records == 150
    ids = iter(["first", "second"])
    with pytest.raises(StopIteration):
        ledger.remove(now=NOW, make_id=lambda: next(ids))
    half = verify_intact(ledger)
    assert half.removed == 40
    with closing(open_ledger(database.url)) as other, ThreadPoolExecutor() as threads:
        ran = list(threads.map(lambda one: one.remove(now=NOW, make_id=new_id).records, (ledger, other)))
    assert sum(ran) == 110
    assert verify_intact(ledger, half.root).removed == 150
    documents = [json.loads(link.document) for link in ledger.links() if link.document]
    listed = [ends for document in documents for ends in document.get("numbers", [])]
    assert sorted(number for first, last in listed for number in range(first, last + 1)) == list(range(1, 151))
    summaries = database.execute("SELECT ran_at, reason, records FROM consent_removals ORDER BY records")
    assert summaries == [(NOW, "retention", records) for records in sorted(ran)]


# Several processes.


@postgresql_stands_for_both
@pytest.mark.slow
def test_several_processes_append_to_one_chain(database: Database) -> None:
    open_ledger(database.url).close()
    printed = [lines.split() for lines in run_writers(*(["append", database.url, name, 20, "key"] for name in "abc"))]
    shared = {tuple(ids[1::2]) for ids in printed}
    assert len(shared) == 1, "the record of one process is a repeat for the others"
    with closing(open_ledger(database.url)) as ledger:
        for name, ids in zip("abc", printed, strict=True):
            assert [record["record_id"] for record in run(ledger.records(name))] == ids[::2]
        assert verify_intact(ledger).records == 80


@pytest.mark.slow
def test_confirmed_records_survive_kill_of_process(file: Database) -> None:
    with subprocess.Popen(
        [*COMMAND, "append", file.url, "a", "100000"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("go\n")
        process.stdin.flush()
        confirmed = [process.stdout.readline() for _ in range(60)][1:]
        process.kill()
        confirmed += process.stdout.readlines()
    with closing(open_ledger(file.url)) as ledger:
        kept = [f"{record['record_id']}\n" for record in run(ledger.records("a"))]
        whole = [line for line in confirmed if line.endswith("\n")]
        assert kept[: len(whole)] == whole
        assert verify_intact(ledger).records <= len(whole) + 1


# Faults.


def append_until(ledger: SqlLedger, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Append records, three at once, until a condition on the results holds; return the confirmed ones."""
    results: list[Any] = []
    while not enough(results):
        results += append(ledger, *(entry("a") for _ in range(3)))
        assert len(results) < 3000
    assert all(isinstance(one, dict | SQLAlchemyError) for one in results)
    return [one["record_id"] for one in results if isinstance(one, dict)]


def failed(results: list[Any]) -> bool:
    return any(isinstance(one, Exception) for one in results)


def kept_ids(ledger: Ledger) -> list[str]:
    return [record["record_id"] for record in run(ledger.records("a"))]


def test_full_disk_refuses_records_until_there_is_space(file: Database) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(open_ledger(file.url)) as ledger:
        confirmed = append_until(ledger, lambda results: len(results) > 5)
        largest = max(part.stat().st_size for part in file.path.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 20_000, limits[1]))
        try:
            confirmed += append_until(ledger, failed)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        confirmed += append_until(ledger, lambda results: len(results) > 5)
        assert kept_ids(ledger) == confirmed
        assert verify_intact(ledger).records == len(confirmed)


@pytest.mark.slow
@pytest.mark.parametrize("end", [pytest.param("stop", marks=pytest.mark.full_matrix), "kill"])
def test_confirmed_records_survive_restart_of_postgresql(private_postgres: PrivateServer, end: str) -> None:
    with closing(open_ledger(private_postgres.new_database())) as ledger, ThreadPoolExecutor() as threads:
        confirmed = append_until(ledger, lambda results: len(results) > 5)
        ending = threads.submit(getattr(private_postgres, end))
        confirmed += append_until(ledger, failed)
        ending.result()
        with pytest.raises(SQLAlchemyError):
            run(ledger.records("a"))
        private_postgres.start()
        confirmed += append_until(ledger, lambda results: not failed(results[-6:]) and len(results) > 5)
        assert [id_ for id_ in kept_ids(ledger) if id_ in confirmed] == confirmed
        # Those of one batch may be kept, just before the server ended, though they were reported as refused.
        assert verify_intact(ledger).records <= len(confirmed) + 3


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
        append(ledger, entry("a"))
        assert verify_intact(ledger).records == 1
    assert "secret" not in caplog.text


def test_record_is_kept_once_when_the_reply_to_its_commit_is_lost(
    server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = psycopg.Connection.commit
    losses: list[str] = []

    def commit_and_lose_the_reply(connection: psycopg.Connection) -> None:
        commit(connection)
        if losses:
            connection.close()
            raise psycopg.OperationalError(losses.pop())

    with closing(open_ledger(server.url)) as ledger:
        append(ledger, entry("before"))
        monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose_the_reply)
        for key in ("", "k"):
            losses += ["once"]
            one = entry("a", key=key)
            assert append(ledger, one) == [one.document]
            losses += ["once", "and again"]
            assert isinstance(append(ledger, entry("a", key=key and "l"))[0], SQLAlchemyError)
            assert not losses
        assert verify_intact(ledger).records == 5


def test_locked_database_refuses_records_and_can_be_read(file: Database, server: Database) -> None:
    with closing(open_ledger(file.url)) as one, closing(open_ledger(server.url)) as other:
        both = (one, other)
        for ledger in both:
            append(ledger, entry("a"))

        async def append_meanwhile() -> list[Any]:
            appended = [ledger.append(entry("meanwhile")) for ledger in both for _ in range(5)]
            return [*await asyncio.gather(*appended, return_exceptions=True)]

        with file.locked(), server.locked():
            for ledger in both:
                assert run(ledger.count("a")) == verify_intact(ledger).records == 1
                assert ledger.remove(now=NOW, make_id=new_id, dry_run=True).records == 0
            assert {isinstance(error, SQLAlchemyError) for error in run(append_meanwhile())} == {True}
        for ledger in both:
            append(ledger, entry("after"))
            assert verify_intact(ledger).records == 2, "a refused answer is not kept later"


def test_ledger_reopens_after_it_was_closed_or_inherited(ledger: SqlLedger) -> None:
    for leave in (ledger.close, ledger.close, ledger.after_fork):
        leave()
        append(ledger, entry("a"))
    assert verify_intact(ledger).records == 3
    assert [*ledger.damages()] == []


def test_database_errors_do_not_contain_record_data(ledger: SqlLedger) -> None:
    (error,) = append(ledger, Entry(document={**entry("somebody's id").document, "policy": "unknown"}))
    assert isinstance(error, SQLAlchemyError)
    assert "somebody" not in f"{error!r}{error}"


# The SQLite file.


def test_close_closes_database_files(file: Database) -> None:
    def opened() -> list[str]:
        found = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(str(link.readlink()))
        return [name for name in found if name.startswith(str(file.path))]

    ledger = open_ledger(file.url)
    assert opened() == [], "a forked process inherits no open file"
    append(ledger, entry("a"))
    verify_intact(ledger)
    assert opened() != []
    ledger.close()
    assert opened() == []
    assert [path.name for path in file.path.parent.iterdir()] == ["consent.db"], "the write-ahead log was merged"


def test_missing_sqlite_file_is_an_error_and_not_made_again(file: Database) -> None:
    with closing(open_ledger(file.url)) as ledger:
        append(ledger, entry("a"))
        away = file.path.rename(file.path.with_name("away.db"))
        for work in (ledger.append(entry("a")), ledger.records("a"), ledger.text("0")):
            with pytest.raises(FileNotFoundError, match=r"consent\.db"):
                run(work)
        with pytest.raises(FileNotFoundError):
            ledger.remove(now=NOW, make_id=new_id)
        assert not file.path.exists()
        away.rename(file.path)
        append(ledger, entry("a"))
        assert verify_intact(ledger).records == 2


def test_replaced_sqlite_file_is_used(file: Database) -> None:
    with closing(open_ledger(file.url)) as ledger:
        append(ledger, entry("a"))
    backup = shutil.copy(file.path, file.path.with_name("backup.db"))
    with closing(open_ledger(file.url)) as ledger:
        append(ledger, entry("a", text="<p>Not in the backup.</p>"))
        for name in ("consent.db-wal", "consent.db-shm"):
            file.path.with_name(name).unlink()
        os.replace(backup, file.path)
        assert verify_intact(ledger).records == 1
        append(ledger, entry("a", text="<p>Not in the backup.</p>"))
        ledger.remove(now=NOW, make_id=new_id, consent_id="b")
    assert file.execute("SELECT count(*) FROM consent_records") == [(2,)]
    assert file.execute("SELECT count(*) FROM consent_texts") == [(3,)]


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "a?mode=ro.db", "#.db", "訪問.db", "a'b.db", "a%41.db", "\udcff.db"]
)
def test_sqlite_file_has_its_name_and_is_not_world_readable(tmp_path: Path, name: str) -> None:
    with closing(open_ledger(f"sqlite:///{tmp_path}/{name}")) as ledger:
        append(ledger, entry("a"))
    assert [(path.name, path.stat().st_mode & 0o007) for path in tmp_path.iterdir()] == [(name, 0)]


def test_removed_data_is_gone_from_sqlite_files(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def connect_without_secure_delete(*arguments: Any, **more: Any) -> sqlite3.Connection:
        """Connect like a build of SQLite that leaves deleted data in the file."""
        connection: sqlite3.Connection = connect(*arguments, **more)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_without_secure_delete)
    with closing(open_ledger(file.url)) as ledger:
        append(ledger, entry("somebody", note="My note."), entry("another", text=SHOWN_TEXT.replace("count", "add up")))
        ledger.requests.add(help_desk_request(text="My question.", address="somebody@x.example", consent_id="somebody"))
        ledger.requests.add(help_desk_request(reference="R-1", address="another@x.example"))
        gone = [b"My note.", b"My question.", b"somebody"]
        assert all(text in file.all_bytes for text in gone)
        ledger.remove(now=NOW, make_id=new_id, consent_id="somebody")
        ledger.requests.erase("somebody")
        assert [text for text in gone if text in file.all_bytes] == []
        assert b"another@x.example" in file.all_bytes
        ledger.requests.end("R-1", NOW)
        ledger.requests.purge(now=NOW + 40 * DAY, rules=RequestRules())
        assert b"another@x.example" not in file.all_bytes
    assert b"another" in file.all_bytes


@pytest.mark.slow  # removal tries for a second to empty the journal
def test_sqlite_removal_does_not_wait_for_readers(file: Database) -> None:
    with closing(open_ledger(file.url)) as ledger, file.connection() as reader:
        append(ledger, entry("somebody", note="My note."))
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM consent_records").fetchall()
        assert ledger.remove(now=NOW, make_id=new_id, consent_id="somebody").records == 1
        assert b"My note." in file.all_bytes, "the write-ahead log still has what the reader may read"
        reader.execute("ROLLBACK")
        ledger.remove(now=NOW, make_id=new_id)
        assert b"My note." not in file.all_bytes


def test_sqlite_commits_are_synchronous_and_logged_ahead(tmp_path: Path) -> None:
    file = Database(f"sqlite:///{tmp_path}/site.db")
    with file.connection() as reading, ThreadPoolExecutor() as threads:
        reading.execute("CREATE TABLE of_the_site (id)")
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM of_the_site").fetchall()
        opening = threads.submit(open_ledger, file.url)
        time.sleep(0.3)
        reading.execute("COMMIT")
    with closing(opening.result()) as ledger:
        append(ledger, entry("a"))
        assert file.execute("PRAGMA journal_mode") == [("wal",)]
        with ledger._database.engine.connect() as connection:
            full = 2
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full


# Copies.


def content(ledger: SqlLedger) -> list[Any]:
    return [[*ledger.links()], [*ledger.cited()], ledger.requests.listed(), ledger.last_removal()]


def test_ledger_is_copied_whole_or_not_at_all(file: Database, tmp_path: Path) -> None:
    new = f"sqlite:///{tmp_path}/new/consent.db"
    with closing(open_ledger(file.url)) as source, closing(open_ledger(new)) as target:
        append(source, entry("a", keep_until=NOW), *(entry("b") for _ in range(5)))
        source.remove(now=NOW, make_id=new_id)
        source.requests.add(help_desk_request())
        with pytest.raises(
            ValueError, match=r"^A site writes to the ledger to move from\. Stop it, and run this again"
        ):
            target.fill_from(source, lambda _: append(source, entry("c")))
        assert content(target) == [[], [], [], None]
        moved = target.fill_from(source)
        assert (moved.records, moved.removed) == (source.size(), 1)
        assert content(target) == content(source)
        with pytest.raises(ValueError, match=r"^The ledger to move to has records already\. Name an empty one"):
            source.fill_from(target)


# URLs.


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (5, r"ledger: 5 is no Ledger\. Write a URL"),
        ("sqlite:///none.db", "ledger: there is no file none.db"),
        ("sqlite:///site.db", "ledger: this database has never kept consent records"),
    ],
)
def test_what_is_no_ledger_is_refused(given: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Database("sqlite:///site.db").execute("CREATE TABLE own (id)")
    with pytest.raises(ValueError, match=why):
        open_ledger(given, must_exist=True) if isinstance(given, str) else ledger_of(given)
    assert [path.name for path in tmp_path.iterdir()] == ["site.db"]


def test_ledger_of_the_middleware_is_one_or_its_url(file: Database) -> None:
    ledger = ledger_of(file.url)
    assert ledger is ledger_of(ledger)
    assert ledger_of(None) is None


@pytest.mark.parametrize(
    "url",
    [
        "consent.db",
        "sqlite:consent.db",
        "sqlite:///",
        "sqlite://consent.db",
        "sqlite:///:memory:",
        "mysql:///x",
        "",
        "://",
    ],
)
def test_unsupported_ledger_url_is_refused(url: str) -> None:
    why = r"Write .sqlite:///consent\.db. or .postgresql://user:password@host/"
    with pytest.raises(ValueError, match=why) as caught:
        open_ledger(url)
    assert f'no ledger for "{url}"' in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/db",
        "mysql://user:more@secret@host/db",
        "user:secret@host/db",
        "mysql://host/db?PASSWORD=secret",
        "secret@host",
        "sqlite://user:secret@host/db",
        "postgresql://user:secret@host:port/db",
        "postgresql://user:more@host:secret@host/db",
        "postgresql://user:secret@[::1/db",
    ],
)
def test_error_for_a_wrong_url_hides_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^ledger: (there is no ledger for|the URL cannot be read\. Write)") as caught:
        open_ledger(url)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_file_that_is_not_sqlite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    path.write_text("this is no database, whatever its name says; it is long enough to be looked at" * 20)
    for place in (path, tmp_path, path / "below" / "a.db"):
        with pytest.raises(ValueError, match=r"^ledger: .* cannot be used as an SQLite file: "):
            open_ledger(f"sqlite:///{place}")


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
    why = rf'needs {missing}\. Install it with: pip install "cookie-consent\[{extra}\]"'
    with pytest.raises(ValueError, match=why):
        open_ledger(url)
    assert not any(tmp_path.iterdir())


# The PostgreSQL server.


def test_postgresql_url_options_apply(server: Database) -> None:
    server.execute("CREATE SCHEMA of_its_own")
    options = "options=-csearch_path%3Dof_its_own&connect_timeout=7&application_name=a%20site"
    with closing(open_ledger(f"{server.url}?{options}")) as ledger:
        append(ledger, entry("a"))
        assert server.execute("SELECT count(*) FROM of_its_own.consent_records") == [(1,)]
        assert ("a site",) in server.execute("SELECT application_name FROM pg_stat_activity")


def test_ledger_overrides_settings_of_postgresql_database(server: Database) -> None:
    name = server.url.rpartition("/")[2].partition("?")[0]
    for setting in ("synchronous_commit TO off", "default_transaction_isolation TO serializable"):
        server.execute(f'ALTER DATABASE "{name}" SET {setting}')
    with closing(open_ledger(server.url)) as ledger, closing(open_ledger(server.url)) as other:
        with ledger._database.engine.connect() as connection:
            for own, value in (("synchronous_commit", "on"), ("default_transaction_isolation", "read committed")):
                assert connection.exec_driver_sql(f"SHOW {own}").scalar() == value
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda one: append(one, *(entry("a") for _ in range(50))), (ledger, other)))
        assert verify_intact(ledger).records == 100


@pytest.mark.slow  # 20,000 records are inserted
def test_postgresql_queries_use_indexes_without_statistics(server: Database) -> None:
    with closing(open_ledger(server.url)) as ledger:
        append(ledger, entry("a", key="k"))
    server.execute(
        "ALTER TABLE consent_records SET (autovacuum_enabled = off)",
        "INSERT INTO consent_records SELECT n, document, record_id, 'c' || n, policy, text, prevailing_text, "
        "decided_at, keep_until, 'k' || n, record_hash, chain_hash "
        "FROM consent_records, generate_series(2, 20000) n WHERE number = 1",
    )
    for wanted in (
        "SELECT document FROM consent_records WHERE consent_id = 'x' ORDER BY number DESC LIMIT 1",
        "SELECT document FROM consent_records WHERE repeat_key IN ('x', 'y') ORDER BY number",
    ):
        plan = "\n".join(line for (line,) in server.execute(f"EXPLAIN {wanted}"))
        assert "Index Cond" in plan
        assert "pkey" not in plan


# Tables.


def tables_of(database: Database) -> set[str]:
    catalog = ("sqlite_master", "name") if database.is_file else ("pg_tables", "tablename")
    schema = "type = 'table'" if database.is_file else "schemaname = 'public'"
    return {name for (name,) in database.execute(f"SELECT {catalog[1]} FROM {catalog[0]} WHERE {schema}")}  # noqa: S608


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database without tables."""
    if request.param == "sqlite":
        return Database(f"sqlite:///{tmp_path}/site.db")
    return Database(request.getfixturevalue("postgres_url"))


def test_ledger_shares_a_database_with_the_site(empty: Database) -> None:
    empty.execute("CREATE TABLE records (document TEXT)")
    for records in (1, 2):
        with closing(open_ledger(empty.url)) as ledger:
            append(ledger, entry())
            assert verify_intact(ledger).records == records
    assert tables_of(empty) == {"records", *METADATA.tables}
    assert all(name.startswith("consent_") for name in METADATA.tables)
    assert empty.execute("SELECT version FROM consent_schema") == [(1,)]


@postgresql_stands_for_both
@pytest.mark.slow  # three processes start
def test_several_processes_can_make_the_tables_at_once(empty: Database) -> None:
    run_writers(*(["open", empty.url] for _ in range(3)))
    assert empty.execute("SELECT version FROM consent_schema") == [(1,)]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("CREATE TABLE consent_schema AS SELECT 9999 AS version", "they are no. 9999"),
        ("CREATE TABLE consent_removals (id INTEGER)", "they are without a number"),
    ],
)
def test_tables_of_another_version_are_refused_and_stay(empty: Database, statement: str, why: str) -> None:
    empty.execute(statement)
    before = tables_of(empty)
    with pytest.raises(ValueError, match=f"^ledger: the tables are not those of this version of cookie-consent: {why}"):
        open_ledger(empty.url)
    assert tables_of(empty) == before


def test_failure_while_tables_are_made_leaves_none(empty: Database) -> None:
    empty.execute("CREATE TABLE visits (id INTEGER)", "CREATE INDEX consent_requests_of ON visits (id)")
    with suppress(ValueError):
        open_ledger(empty.url).close()
    assert tables_of(empty) == {"visits"}
