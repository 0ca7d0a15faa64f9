"""Requests to the help desk in an SQL database, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Update,
    and_,
    case,
    delete,
    func,
    insert,
    not_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.exc import ProgrammingError

from cookie_consent.base.process.workers import Workers
from cookie_consent.ledgers.desk_request import DeskRequest, NotStored
from cookie_consent.ledgers.entry import can_be_kept
from cookie_consent.ledgers.requests import Purged, seconds_to_wait
from cookie_consent.ledgers.tables import REQUESTS
from cookie_consent.policy.declarations import RequestRules

_AT_A_TIME = 2
_COLUMNS = REQUESTS.c
_IS_OPEN = and_(_COLUMNS.answered_at.is_(None), _COLUMNS.closed_at.is_(None))

Result = TypeVar("Result")


class SqlRequests:
    """A store of requests in an SQL database.

    Args:
        engine: connects to the database.
        migrate: runs pending migrations.
        empty_journal: is called after data was erased.
    """

    def __init__(self, engine: Engine, migrate: Callable[[], None], empty_journal: Callable[[], None]) -> None:
        self._engine, self._migrate, self._empty_journal = engine, migrate, empty_journal
        self._workers = Workers(_AT_A_TIME, "consent-requests")

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotStored | None:
        """Store a new request, or return the reason if it was not stored."""
        return await self._workers.run(lambda: self._with_tables(lambda: self._add(request, age=age)))

    async def find(self, reference: str) -> DeskRequest | None:
        """Return the request with this reference, or None."""
        requests = await self._workers.run(lambda: self._find(_COLUMNS.reference == reference))
        return requests[0] if requests else None

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of a consent id, newest first."""
        return await self._workers.run(lambda: self._of(consent_id))

    def listed(self) -> list[DeskRequest]:
        """Return all requests, open ones first."""
        order = case((_IS_OPEN, 0), (_COLUMNS.closed_at.is_(None), 1), else_=2)
        return self._find(true(), order, _COLUMNS.due_at, _COLUMNS.reference)

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request; return whether there was one."""
        statement = update(REQUESTS).where(_COLUMNS.reference == reference, _IS_OPEN)
        return self._change(statement.values(answer=text, answered_at=int(now))) == [1]

    def close(self, reference: str, now: float) -> bool:
        """Close a request; return whether it was not closed yet."""
        statement = update(REQUESTS).where(_COLUMNS.reference == reference, _COLUMNS.closed_at.is_(None))
        return self._change(statement.values(closed_at=int(now))) == [1]

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return everything stored about the requests of a consent id."""
        return [request.document() for request in self._of(consent_id)]

    def erase(self, consent_id: str) -> int:
        """Erase the requests of a consent id; return how many."""
        references = [request.reference for request in self._of(consent_id)]
        return sum(self._erase(delete(REQUESTS).where(_COLUMNS.reference.in_(references))))

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and mail addresses whose retention has ended."""
        expired = _ended_by(now - rules.keep.total_seconds())
        address_expired = _ended_by(now - rules.keep_address.total_seconds())
        with_old_address = and_(address_expired, _COLUMNS.address.is_not(None), not_(expired))
        if dry_run:
            return Purged(*(len(self._find(condition)) for condition in (expired, with_old_address)))
        drop_addresses = update(REQUESTS).where(with_old_address).values(address=None)
        return Purged(*self._erase(delete(REQUESTS).where(expired), drop_addresses))

    def _add(self, request: DeskRequest, *, age: float) -> NotStored | None:
        with self._changing() as connection:
            if connection.dialect.name == "postgresql":
                # Without the lock, two concurrent requests could both pass the limit. SQLite has one writer anyway.
                connection.execute(text("LOCK TABLE consent_requests IN SHARE ROW EXCLUSIVE MODE"))
            if _count(connection, _COLUMNS.form == request.form):
                return NotStored(0)
            of_visitor = _COLUMNS.consent_id == request.consent_id
            wait = seconds_to_wait(
                request,
                age=age,
                times_after=lambda after: _times(connection, _COLUMNS.created_at > after),
                own_times_after=lambda after: _times(connection, and_(of_visitor, _COLUMNS.created_at > after)),
                waiting=lambda: _count(connection, and_(of_visitor, _IS_OPEN)),
            )
            if wait:
                return NotStored(wait)
            connection.execute(insert(REQUESTS), {column.name: getattr(request, column.name) for column in _COLUMNS})
        return None

    def _of(self, consent_id: str) -> list[DeskRequest]:
        if not can_be_kept(consent_id):
            return []
        return self._find(_COLUMNS.consent_id == consent_id, _COLUMNS.created_at.desc(), _COLUMNS.reference)

    def _find(self, condition: ColumnElement[bool], *order: ColumnElement[Any]) -> list[DeskRequest]:
        def run() -> list[DeskRequest]:
            with self._engine.connect() as connection:
                rows = connection.execute(select(REQUESTS).where(condition).order_by(*order)).mappings()
                return [DeskRequest(**row) for row in rows]

        return self._with_tables(run)

    def _erase(self, *statements: Update | Delete) -> list[int]:
        """Run statements in one transaction and erase traces in the journal; return how many rows each touched."""
        touched = self._change(*statements)
        if any(touched):
            self._empty_journal()
        return touched

    def _change(self, *statements: Update | Delete) -> list[int]:
        """Run statements in one transaction; return how many rows each touched."""

        def change() -> list[int]:
            with self._changing() as connection:
                return [connection.execute(statement).rowcount for statement in statements]

        return self._with_tables(change)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def _with_tables(self, work: Callable[[], Result]) -> Result:
        """Run `work`; if the tables are missing, since the server was down at the start, create them and retry."""
        try:
            return work()
        except ProgrammingError:
            self._migrate()
        return work()


def _ended_by(time: float) -> ColumnElement[bool]:
    return func.coalesce(_COLUMNS.answered_at, _COLUMNS.closed_at) <= int(time)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(REQUESTS).where(condition)).scalar_one()


def _times(connection: Connection, condition: ColumnElement[bool]) -> list[int]:
    """Return when the matching requests came, oldest first."""
    return list(
        connection.execute(select(_COLUMNS.created_at).where(condition).order_by(_COLUMNS.created_at)).scalars()
    )
