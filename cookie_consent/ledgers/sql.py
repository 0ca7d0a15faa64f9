"""A ledger in an SQL database: SQLite for sites on one machine, PostgreSQL for sites on several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from cookie_consent.base.clock import rfc3339
from cookie_consent.base.threads import call_after_fork, leave_to_parent
from cookie_consent.ledgers.chain import (
    INDEXED_COLUMNS,
    START,
    Link,
    Verified,
    is_intact,
    removal,
    verify,
)
from cookie_consent.ledgers.chronology import shortest_keep_days
from cookie_consent.ledgers.committer import Committer
from cookie_consent.ledgers.entry import Entry, Removal, can_be_kept, extend_chain
from cookie_consent.ledgers.requests import DeskRequest, Requests
from cookie_consent.ledgers.tables import POLICIES, RECORDS, REMOVALS, REQUESTS, TEXTS
from cookie_consent.policy.parts import RequestRules
from cookie_consent.policy.policy import canonical_json

if TYPE_CHECKING:
    from cookie_consent.ledgers.postgresql import PostgresqlDatabase
    from cookie_consent.ledgers.sqlite import SqliteDatabase

Database: TypeAlias = "SqliteDatabase | PostgresqlDatabase"
"""The operations that differ between databases."""
_PAGE_SIZE = 5000
"""The number of records read or removed with one statement, so that none blocks others for long."""
_ALL = 2**31
"""More records than a visitor has."""
_READER_THREADS = 4
_SHARED_ERRORS = (OSError, OperationalError, InterfaceError, NoConnectionError)
_CITED = (
    ("policies", POLICIES.c.version, POLICIES.c.document, (RECORDS.c.policy,)),
    ("texts", TEXTS.c.sha256, TEXTS.c.content, (RECORDS.c.text, RECORDS.c.prevailing_text)),
)
"""What records cite: its kind, its name and content columns, and the columns of records that cite it."""
_COPIED = (POLICIES, TEXTS, RECORDS, REMOVALS, REQUESTS)
"""The tables that hold what a site keeps, in an order in which they can be filled."""
_LINK = [RECORDS.c[name] for name in ("number", "document", "record_hash", "chain_hash", *INDEXED_COLUMNS)]
_EMPTY = dict.fromkeys((*INDEXED_COLUMNS, "document"))
"""The columns of a removed record."""
# Queries that visitors wait for are built once: building one takes longer than running it.
_KEY: ColumnElement[str] = bindparam("key")
_IS_OF = RECORDS.c.consent_id == _KEY
_RECORDS_OF = select(RECORDS.c.document).where(_IS_OF).order_by(RECORDS.c.number.desc()).limit(bindparam("most"))
_COUNT_OF = select(func.count()).where(_IS_OF)
_END = select(RECORDS.c.number, RECORDS.c.chain_hash).order_by(RECORDS.c.number.desc()).limit(1)
_WITH_KEYS = (
    select(RECORDS.c.repeat_key, RECORDS.c.decided_at, RECORDS.c.document)
    .where(RECORDS.c.repeat_key.in_(bindparam("keys", expanding=True)))
    .order_by(RECORDS.c.number)
)
_ADD = insert(RECORDS)
_POLICY = select(POLICIES.c.document).where(POLICIES.c.version == _KEY)
_TEXT = select(TEXTS.c.content).where(TEXTS.c.sha256 == _KEY)
# Another process may have added the same policy or text.
_ADD_POLICY = text("INSERT INTO consent_policies VALUES (:name, :content) ON CONFLICT DO NOTHING")
_ADD_TEXT = text("INSERT INTO consent_texts VALUES (:name, :content) ON CONFLICT DO NOTHING")
_ADD_REQUEST = text(
    "INSERT INTO consent_requests VALUES (:reference, :kind, :text, :address, :language, :consent_id, :created_at, "
    ":due_at, :answer, :ended_at) ON CONFLICT DO NOTHING"
)

Read = TypeVar("Read")


class SqlLedger:
    """A ledger in an SQL database. A record is on disk before `append` returns.

    Args:
        database: the operations of that kind of database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cited: set[str] = set()
        self._committer = Committer(self._write, _SHARED_ERRORS)
        # Of its own, so that a database that hangs does not use up the app's worker threads.
        self._readers = CapacityLimiter(_READER_THREADS)
        self.requests = SqlRequests(database)
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop all connections without closing them: they belong to the parent process."""
        leave_to_parent(self._database.engine.pool)
        self._database.engine.dispose(close=False)
        self._readers = CapacityLimiter(_READER_THREADS)

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Store a record; return the stored one, or the earlier one that it repeats.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the record could not be stored.
            ValueError: the record cannot be expressed in JSON.
            queue.Full: too many records are waiting for the database.
        """
        return dict(json.loads(await self._committer.put(entry)))

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of a consent id, oldest first; only the newest `most` if given."""
        newest = await self._read(_RECORDS_OF, consent_id, json.loads, most=_ALL if most is None else most)
        return newest[::-1]

    async def count(self, consent_id: str) -> int:
        """Return the number of records of a consent id."""
        return sum(await self._read(_COUNT_OF, consent_id, int))

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id, or None."""
        return next(iter(await self.records(consent_id, 1)), None)

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return the policy with this version, or None."""
        return next(iter(await self._read(_POLICY, version, json.loads)), None)

    async def text(self, digest: str) -> str | None:
        """Return the shown text with this SHA-256, or None."""
        return next(iter(await self._read(_TEXT, digest, str)), None)

    def size(self) -> int:
        """Return the length of the chain."""
        return self._fetch(select(func.max(RECORDS.c.number)))[0][0] or 0

    def links(self) -> Iterator[Link]:
        """Yield the chain from its first record."""
        query = select(*_LINK).order_by(RECORDS.c.number).limit(_PAGE_SIZE)
        page = query
        # Between two pages no connection is used, so that a slow reader holds nothing.
        while rows := self._fetch(page):
            yield from map(_link, rows)
            page = query.where(RECORDS.c.number > rows[-1].number)

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite, as (kind, name, content)."""
        for kind, name, content, _ in _CITED:
            with self._database.scanning() as connection:
                for row in connection.execute(_in_pages(select(name, content).order_by(name))):
                    yield kind, row[0], row[1]

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove the records of a consent id, or those that are due. Records that are not intact stay."""
        condition = RECORDS.c.keep_until <= int(now) if consent_id is None else _of(consent_id)
        candidates = select(*_LINK).where(RECORDS.c.document.is_not(None), condition)
        if dry_run:
            return self._would_remove(candidates, condition)
        reason = "retention" if consent_id is None else "erasure"
        # The order must be stable: records that stay come first in the next page, and the offset skips them.
        candidates = candidates.order_by(*([] if consent_id else [RECORDS.c.keep_until]), RECORDS.c.number)
        records = 0
        misfiled = 0
        checked = _PAGE_SIZE
        # A transaction for each page, so that appends wait for one page only.
        while checked == _PAGE_SIZE:
            with self._database.changing() as connection:
                rows = connection.execute(candidates.offset(misfiled).limit(_PAGE_SIZE)).all()
                intact = [row for row in rows if is_intact(_link(row))]
                if intact:
                    self._empty(connection, intact, make_id(), reason, now)
            checked = len(rows)
            records += len(intact)
            misfiled += len(rows) - len(intact)
        with self._database.changing() as connection:
            removed = {
                kind: connection.execute(delete(name.table).where(_uncited(name, citing))).rowcount
                for kind, name, _, citing in _CITED
            }
            # Also if nothing was due: other processes then need not look again today.
            connection.execute(insert(REMOVALS).values(ran_at=int(now), reason=reason, records=records, **removed))
        self._database.empty_journal()
        return Removal(records, **removed, misfiled=misfiled)

    def damages(self) -> Iterator[str]:
        """Yield a description of each damage in the database's own files, such as a corrupt index."""
        yield from self._database.damages()

    def fill_from(self, source: SqlLedger, progress: Callable[[int], object] = lambda number: None) -> Verified:
        """Copy all of another ledger into this empty one, in one transaction, and return what its chain proves.

        Raises:
            ValueError: this ledger has records, the copied chain does not fit, or the other ledger grew meanwhile.
                Nothing was copied.
        """
        with source._database.scanning() as reading, self._database.changing() as writing:
            if writing.execute(select(RECORDS.c.number).limit(1)).first():
                raise ValueError("The ledger to move to has records already. Name an empty one.")
            for table in _COPIED:
                # The database numbers removals itself.
                columns = [column for column in table.c if column is not table.autoincrement_column]
                rows = reading.execute(_in_pages(select(*columns).order_by(*table.primary_key)))
                for page in rows.mappings().partitions():
                    writing.execute(insert(table), [dict(row) for row in page])
            copied = writing.execute(_in_pages(select(*_LINK).order_by(RECORDS.c.number)))
            verified = verify((_link(row) for row in copied), inspect=lambda number, _: progress(number))
            if verified.wrong is not None:
                raise ValueError(
                    f"Record {verified.wrong:,} does not fit: {verified.why}. Nothing was moved. "
                    "Run: cookie-consent verify"
                )
            if source.size() != verified.records:
                raise ValueError("A site writes to the ledger to move from. Stop it, and run this again.")
        return verified

    def last_removal(self, until: float | None = None) -> float | None:
        """Return the Unix time at which due records were last removed, or None."""
        query = select(func.max(REMOVALS.c.ran_at)).where(REMOVALS.c.reason == "retention")
        if until is not None:
            query = query.where(REMOVALS.c.ran_at <= int(until))
        last: float | None = self._fetch(query)[0][0]
        return last

    def close(self) -> None:
        """Write what is waiting, and close all connections."""
        self._committer.close()
        self._database.engine.dispose()

    def _write(self, entries: Sequence[Entry]) -> list[str]:
        """Write records, and retry once if the connection was lost or a cited text was removed meanwhile.

        Records stored by the first try are not stored again, because they have the same repeat key.
        """
        try:
            return self._append(entries)
        except DBAPIError as error:
            self._cited.clear()
            if not (error.connection_invalidated or isinstance(error, IntegrityError)):
                raise
        return self._append(entries)

    def _append(self, entries: Sequence[Entry]) -> list[str]:
        policies: dict[str, str] = {}
        texts: dict[str, str] = {}
        for entry in entries:
            for version in entry.policies.keys() - policies.keys() - self._cited:
                policies[version] = canonical_json(entry.policies[version]).decode()
            for digest in entry.texts.keys() - self._cited:
                texts[digest] = entry.texts[digest]
        with self._database.writing() as connection:
            for statement, documents in ((_ADD_POLICY, policies), (_ADD_TEXT, texts)):
                if documents:
                    # In order, so that two processes cannot wait for each other.
                    named = [{"name": name, "content": documents[name]} for name in sorted(documents)]
                    connection.execute(statement, named)
            stored = _append(connection, entries)
        # Those of this batch alone, so that the set stays small. Most records cite what the one before them does.
        self._cited = {name for entry in entries for name in (*entry.policies, *entry.texts)}
        return stored

    async def _read(self, query: Select[Any], key: str, parse: Callable[[Any], Read], **parameters: int) -> list[Read]:
        """Run a query for one key and parse its results, both in a thread so that the event loop stays free."""
        # The key may come from a client, and PostgreSQL raises on a NUL.
        if not can_be_kept(key):
            return []

        def read() -> list[Read]:
            with self._database.reading() as connection:
                values = list(connection.execute(query, {"key": key, **parameters}).scalars())
            return [parse(value) for value in values]

        return await to_thread.run_sync(read, limiter=self._readers, abandon_on_cancel=True)

    def _fetch(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._database.scanning() as connection:
            return connection.execute(query).all()

    def _empty(self, connection: Connection, rows: Sequence[Row[Any]], record_id: str, reason: str, now: float) -> None:
        """Empty records, and append a record that lists them."""
        numbers = [row.number for row in rows]
        kept_days = shortest_keep_days(row.document for row in rows) if reason == "retention" else None
        connection.execute(update(RECORDS).where(RECORDS.c.number.in_(numbers)).values(_EMPTY))
        entry = Entry(document=removal(record_id, reason, numbers, rfc3339(now), kept_days))
        _append(connection, [entry])

    def _would_remove(self, candidates: Select[Any], condition: ColumnElement[bool]) -> Removal:
        count = 0
        damaged = list[int]()
        with self._database.scanning() as connection:
            for row in connection.execute(_in_pages(candidates)):
                count += 1
                if not is_intact(_link(row)):
                    damaged.append(row.number)
            # Literals, because databases limit the number of bound parameters.
            misfiled = RECORDS.c.number.in_(bindparam("misfiled", damaged, expanding=True, literal_execute=True))
            # A removed record cites nothing, so it may count as one that stays.
            stays = or_(condition.is_not(true()), misfiled)
            removed = {
                kind: connection.execute(
                    select(func.count()).select_from(name.table).where(_uncited(name, citing, stays))
                ).scalar_one()
                for kind, name, _, citing in _CITED
            }
        return Removal(count - len(damaged), **removed, misfiled=len(damaged))


class SqlRequests(Requests):
    """Requests in an SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request: DeskRequest) -> None:
        """Keep a request."""
        with self._database.changing() as connection:
            connection.execute(_ADD_REQUEST, asdict(request))

    def listed(self, consent_id: str | None = None) -> list[DeskRequest]:
        """Return all requests, or those of a consent id."""
        query = select(REQUESTS).order_by(REQUESTS.c.ended_at.is_not(None), REQUESTS.c.due_at, REQUESTS.c.reference)
        if consent_id is not None:
            query = query.where(_of(consent_id, REQUESTS))
        with self._database.scanning() as connection:
            return [DeskRequest(**row) for row in connection.execute(query).mappings()]

    def end(self, reference: str, now: float, answer: str | None = None) -> bool:
        """Answer or close an open request."""
        is_open = update(REQUESTS).where(REQUESTS.c.reference == reference, REQUESTS.c.ended_at.is_(None))
        return self._change(is_open.values(answer=answer, ended_at=int(now))) == [1]

    def erase(self, consent_id: str) -> int:
        """Erase the requests of a consent id."""
        return sum(self._change(delete(REQUESTS).where(_of(consent_id, REQUESTS))))

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> dict[str, int]:
        """Delete what ended too long ago."""
        expired = delete(REQUESTS).where(REQUESTS.c.ended_at <= int(now - rules.keep.total_seconds()))
        is_old = REQUESTS.c.ended_at <= int(now - rules.keep_address.total_seconds())
        addresses = update(REQUESTS).where(is_old, REQUESTS.c.address.is_not(None)).values(address=None)
        return dict(zip(("requests", "addresses"), self._change(expired, addresses, dry_run=dry_run), strict=True))

    def _change(self, *statements: Update | Delete, dry_run: bool = False) -> list[int]:
        """Run statements in one transaction; return how many rows each touches. What is gone leaves no trace."""
        with self._database.changing() as connection:
            touched = [connection.execute(statement).rowcount for statement in statements]
            if dry_run:
                connection.rollback()
        if any(touched) and not dry_run:
            self._database.empty_journal()
        return touched


def _in_pages(query: Select[Any]) -> Select[Any]:
    return query.execution_options(yield_per=_PAGE_SIZE)


def _append(connection: Connection, entries: Sequence[Entry]) -> list[str]:
    """Append records in a transaction that excludes other writers; return the stored one for each, as JSON."""
    number, last = connection.execute(_END).one_or_none() or (0, START)
    keys = sorted({entry.columns["repeat_key"] for entry in entries})
    alike = connection.execute(_WITH_KEYS, {"keys": keys})
    stored, links = extend_chain(number, last, alike, entries)
    if links:
        connection.execute(_ADD, [_row(link) for link in links])
    return stored


def _row(link: Link) -> dict[str, Any]:
    own = {"number": link.number, "record_hash": link.record_hash, "chain_hash": link.chain_hash}
    return {**link.columns, **own, "document": link.document}


def _link(row: Row[Any]) -> Link:
    number, document, hash_, chained, *columns = tuple(row)
    return Link(number, document, hash_, chained, dict(zip(INDEXED_COLUMNS, columns, strict=True)))


def _of(consent_id: str, table: Table = RECORDS) -> ColumnElement[bool]:
    """Return the condition for rows of a consent id."""
    return table.c.consent_id == consent_id if can_be_kept(consent_id) else false()


def _uncited(
    name: ColumnElement[str], citing: Sequence[ColumnElement[str]], *among: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Return the condition for texts or policies that no record cites.

    Args:
        name: the column with their names.
        citing: the columns of records that cite them.
        *among: conditions on the records that count; all count if none is given.
    """
    return not_(exists().where(or_(*(column == name for column in citing)), *among))
