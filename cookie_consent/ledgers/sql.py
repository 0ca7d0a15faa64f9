"""Consent records in an SQL database: SQLite for sites on one machine, PostgreSQL for those on several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from cookie_consent.base.dates import rfc3339
from cookie_consent.base.process.forking import call_after_fork, leave_to_parent
from cookie_consent.base.process.workers import Workers
from cookie_consent.ledgers.chain import INDEXED_COLUMNS, Link, agrees, removal
from cookie_consent.ledgers.chronology import shortest_keep_days
from cookie_consent.ledgers.committer import Committer
from cookie_consent.ledgers.entry import Entry, Removal, can_be_kept
from cookie_consent.ledgers.sql_requests import SqlRequests
from cookie_consent.ledgers.tables import POLICIES, RECORDS, REMOVALS, TEXTS
from cookie_consent.policy.policy import canonical_json

_PAGE = 5000
"""So many records are read or removed with one statement: none holds the others up for long."""
_READERS = 4
_NO_RECORDS_FAULT = (OSError, OperationalError, InterfaceError, NoConnectionError)
_CITED = (
    ("policies", POLICIES.c.version, POLICIES.c.document, (RECORDS.c.policy,)),
    ("texts", TEXTS.c.sha256, TEXTS.c.content, (RECORDS.c.text, RECORDS.c.prevailing_text)),
)
"""What records cite: its kind, where its name and its content are, and which columns cite it."""
_LINK = [RECORDS.c[name] for name in ("number", "document", "record_hash", "chain_hash", *INDEXED_COLUMNS)]
# What is asked for while visitors wait is built once: that takes longer than to find it.
_KEY: ColumnElement[str] = bindparam("key")
_RECORDS_OF = select(RECORDS.c.document).where(RECORDS.c.consent_id == _KEY).order_by(RECORDS.c.number)
_NEWEST_OF = _RECORDS_OF.order_by(None).order_by(RECORDS.c.number.desc()).limit(bindparam("most"))
# In canonical JSON, where a quotation mark inside of a text has a backslash before it.
_IS_NOTE = RECORDS.c.document.like('%"event":"note"%')
_COUNT_OF = select(func.count()).where(RECORDS.c.consent_id == _KEY, not_(_IS_NOTE))
_POLICY = select(POLICIES.c.document).where(POLICIES.c.version == _KEY)
_TEXT = select(TEXTS.c.content).where(TEXTS.c.sha256 == _KEY)

Read = TypeVar("Read")


class Database(Protocol):
    """What differs between databases."""

    engine: Engine

    def migrate(self) -> None:
        """Bring the tables up to date."""

    def ready(self, connection: Connection | None) -> Connection:
        """Return a connection to append with: that of the last time, if it still will do, or a new one."""

    def append(
        self, connection: Connection, entries: Sequence[Entry], new: dict[str, list[dict[str, str]]]
    ) -> list[str]:
        """Keep what is new of what is cited, and the records, in a transaction; return the record kept for each."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Begin to read for a visitor who waits: a statement that takes long fails."""

    def looking_through(self) -> AbstractContextManager[Connection]:
        """Begin to read much, however long it takes."""

    def changing(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may remove records, and that nobody else appends or removes in."""

    def empty_journal(self) -> None:
        """Drop what was removed from the files that are ours to empty."""

    def damages(self) -> Iterator[str]:
        """Yield what the database finds damaged in its own files."""


class SqlLedger:
    """Keeps records in an SQL database; each is on the disk before `append` returns.

    Args:
        database: how that kind of database is spoken to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._cited: set[str] = set()
        self._committer = Committer(self._write, for_all=_NO_RECORDS_FAULT, let_go=self._let_go)
        # Threads of its own: while a database does not answer, the app's own work in threads goes on.
        self._readers = Workers(_READERS, "consent-ledger-reader")
        self.requests = SqlRequests(database.engine, database.migrate, database.empty_journal)
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no connection: those of the parent are the parent's, also to close."""
        engine = self._database.engine
        leave_to_parent(self._connection, engine.pool)
        engine.dispose(close=False)
        self._connection = None
        self._cited.clear()

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Keep a record, and return the one that is kept.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: it could not be kept.
            ValueError: JSON cannot say it.
            queue.Full: too many wait for the database.
        """
        return dict(json.loads(await self._committer.put(entry)))

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of one consent id, oldest first: all, or the newest so many."""
        if most is None:
            return await self._read(_RECORDS_OF, consent_id, json.loads)
        newest = await self._read(_NEWEST_OF, consent_id, json.loads, most=most)
        return newest[::-1]

    async def count(self, consent_id: str) -> int:
        """Return how many records one consent id has; notes to them do not count."""
        return sum(await self._read(_COUNT_OF, consent_id, int))

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id."""
        return next(iter(await self.records(consent_id, 1)), None)

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return a policy that somebody answered to."""
        return next(iter(await self._read(_POLICY, version, json.loads)), None)

    async def text(self, digest: str) -> str | None:
        """Return a text that somebody was shown."""
        return next(iter(await self._read(_TEXT, digest, str)), None)

    def size(self) -> int:
        """Return how many records the chain has."""
        with self._database.looking_through() as connection:
            return connection.execute(select(func.max(RECORDS.c.number))).scalar() or 0

    def links(self) -> Iterator[Link]:
        """Yield the chain, from its first record."""
        wanted = select(*_LINK).order_by(RECORDS.c.number).limit(_PAGE)
        rows = self._page(wanted)
        while rows:
            for row in rows:
                yield _link(row)
            rows = self._page(wanted.where(RECORDS.c.number > row.number))

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite: kind, name, content."""
        for kind, name, content, _ in _CITED:
            with self._database.looking_through() as connection:
                for row in connection.execute(select(name, content).order_by(name)):
                    yield kind, row[0], row[1]

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove the records of a consent id, or those that are due; none that is not as it was recorded."""
        which = RECORDS.c.keep_until <= int(now) if consent_id is None else _of(consent_id)
        # In the order of the index that finds them: those that stay are passed over in front of the others.
        order = [RECORDS.c.keep_until, RECORDS.c.number] if consent_id is None else [RECORDS.c.number]
        going = select(*_LINK).where(RECORDS.c.document.is_not(None), which).order_by(*order)
        if dry_run:
            return self._would_remove(going)
        reason = "retention" if consent_id is None else "erasure"
        records = misfiled = 0
        looked_at = _PAGE
        while looked_at == _PAGE:
            with self._database.changing() as connection:
                rows = connection.execute(going.offset(misfiled).limit(_PAGE)).all()
                agreeing, others = _parted(rows)
                if agreeing:
                    kept_days = None if consent_id else _kept_days(rows, others)
                    self._empty(connection, agreeing, removal(make_id(), reason, agreeing, rfc3339(now), kept_days))
            looked_at = len(agreeing) + len(others)
            records, misfiled = records + len(agreeing), misfiled + len(others)
        with self._database.changing() as connection:
            found = {
                kind: connection.execute(delete(name.table).where(_uncited(name, citing))).rowcount
                for kind, name, _, citing in _CITED
            }
            connection.execute(insert(REMOVALS).values(ran_at=int(now), reason=reason, records=records, **found))
        self._database.empty_journal()
        return Removal(records, **found, misfiled=misfiled)

    def damages(self) -> Iterator[str]:
        """Yield what the database finds damaged in its own files: an index, for example, that leads nowhere."""
        yield from self._database.damages()

    def last_removal(self, until: float | None = None) -> float | None:
        """Return when records were last looked through for those that are due (seconds since 1970), or None."""
        with self._database.looking_through() as connection:
            last = select(func.max(REMOVALS.c.ran_at)).where(REMOVALS.c.reason == "retention")
            earlier = last if until is None else last.where(REMOVALS.c.ran_at <= int(until))
            return connection.execute(earlier).scalar()

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        self._committer.close()
        self._database.engine.dispose()

    def _write(self, entries: Sequence[Entry]) -> list[str]:
        """Write records; once more where the connection was lost, or a text removed that was there before.

        Records that were kept at the first try are found there again by their repeat key.
        """
        try:
            return self._append(entries)
        except DBAPIError as error:
            if not (error.connection_invalidated or isinstance(error, IntegrityError)):
                raise
        return self._append(entries)

    def _append(self, entries: Sequence[Entry]) -> list[str]:
        try:
            return self._append_to(entries)
        except SQLAlchemyError:
            if self._connection is not None:
                self._connection.invalidate()  # whatever state it is in: the next time begins anew
            self._let_go()
            raise

    def _append_to(self, entries: Sequence[Entry]) -> list[str]:
        new: dict[str, dict[str, str]] = {"policies": {}, "texts": {}}
        for entry in entries:
            for version in entry.policies.keys() - self._cited:
                new["policies"][version] = canonical_json(entry.policies[version]).decode()
            for digest in entry.texts.keys() - self._cited:
                new["texts"][digest] = entry.texts[digest]
        rows = {
            kind: [{name.key: key, content.key: text} for key, text in sorted(new[kind].items())]
            for kind, name, content, _ in _CITED
        }
        last, self._connection = self._connection, None
        self._connection = self._database.ready(last)
        kept = self._database.append(self._connection, entries, rows)
        self._cited.update(*new.values())
        return kept

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._cited.clear()

    async def _read(self, wanted: Select[Any], key: str, understand: Callable[[Any], Read], **more: int) -> list[Read]:
        """Return what is found, understood where it is read: much of it would keep the event loop waiting."""
        if not can_be_kept(key):
            return []

        def read() -> list[Read]:
            with self._database.reading() as connection:
                found = list(connection.execute(wanted, {"key": key, **more}).scalars())
            return [understand(one) for one in found]

        return await self._readers.run(read)

    def _page(self, wanted: Select[Any]) -> list[Any]:
        with self._database.looking_through() as connection:
            return list(connection.execute(wanted))

    def _empty(self, connection: Connection, numbers: list[int], said: dict[str, Any]) -> None:
        emptied = dict.fromkeys((*INDEXED_COLUMNS, "document"))
        connection.execute(update(RECORDS).where(RECORDS.c.number.in_(numbers)).values(emptied))
        self._database.append(connection, [Entry(document=said)], {})

    def _would_remove(self, going: Select[Any]) -> Removal:
        with self._database.looking_through() as connection:
            agreeing, others = _parted(connection.execute(going.execution_options(yield_per=_PAGE)))
            # Written into the statement: databases take only so many arguments.
            misfiled = RECORDS.c.number.in_(bindparam("misfiled", others, expanding=True, literal_execute=True))
            assert going.whereclause is not None  # noqa: S101 (made here)
            stays = or_(going.whereclause.is_not(true()), misfiled)
            found = {
                kind: connection.execute(
                    select(func.count()).select_from(name.table).where(_uncited(name, citing, stays))
                ).scalar_one()
                for kind, name, _, citing in _CITED
            }
        return Removal(len(agreeing), **found, misfiled=len(others))


def _link(row: Row[Any]) -> Link:
    number, document, own, tied, *said = tuple(row)
    return Link(number, document, own, tied, dict(zip(INDEXED_COLUMNS, said, strict=True)))


def _parted(rows: Iterable[Row[Any]]) -> tuple[list[int], list[int]]:
    """Return the numbers of the records that are as they were recorded, and those of the others."""
    agreeing, others = list[int](), list[int]()
    for row in rows:
        (agreeing if agrees(_link(row)) else others).append(row.number)
    return agreeing, others


def _kept_days(rows: Iterable[Row[Any]], misfiled: Iterable[int]) -> int | None:
    """Return the shortest time for which records are kept after the end of a consent, of those that are to go."""
    staying = frozenset(misfiled)
    return shortest_keep_days(row.document for row in rows if row.number not in staying)


def _of(consent_id: str) -> ColumnElement[bool]:
    """Return the condition that a record is of a consent id."""
    return RECORDS.c.consent_id == consent_id if can_be_kept(consent_id) else false()


def _uncited(
    name: ColumnElement[str], citing: Sequence[ColumnElement[str]], *among: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Return the condition that no record cites something; of all records, or of some."""
    return not_(exists().where(or_(*(column == name for column in citing)), *among))
