"""Requests and complaints in an SQL database, the same for SQLite and PostgreSQL."""

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
from cookie_consent.ledgers.desk_request import DeskRequest, NotKept
from cookie_consent.ledgers.entry import can_be_kept
from cookie_consent.ledgers.requests import Purged, seconds_to_wait
from cookie_consent.ledgers.tables import REQUESTS
from cookie_consent.policy.declarations import RequestRules

_AT_A_TIME = 2
_KEPT = REQUESTS.c
_IS_OPEN = and_(_KEPT.answered_at.is_(None), _KEPT.closed_at.is_(None))

Found = TypeVar("Found")


class SqlRequests:
    """Keeps requests in an SQL database.

    Args:
        engine: how the database is spoken to.
        migrate: brings its tables up to date.
        empty_journal: is called when something was erased.
    """

    def __init__(self, engine: Engine, migrate: Callable[[], None], empty_journal: Callable[[], None]) -> None:
        self._engine, self._migrate, self._empty_journal = engine, migrate, empty_journal
        self._workers = Workers(_AT_A_TIME, "consent-requests")

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotKept | None:
        """Keep a new request, or say why not."""
        return await self._workers.run(lambda: self._with_tables(lambda: self._add(request, age=age)))

    async def find(self, reference: str) -> DeskRequest | None:
        """Return a request by its number."""
        found = await self._workers.run(lambda: self._find(_KEPT.reference == reference))
        return found[0] if found else None

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of one consent id, newest first."""
        return await self._workers.run(lambda: self._of(consent_id))

    def listed(self) -> list[DeskRequest]:
        """Return all requests, open ones first."""
        order = case((_IS_OPEN, 0), (_KEPT.closed_at.is_(None), 1), else_=2)
        return self._find(true(), order, _KEPT.due_at, _KEPT.reference)

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request."""
        answered = update(REQUESTS).where(_KEPT.reference == reference, _IS_OPEN)
        return self._change(answered.values(answer=text, answered_at=int(now))) == [1]

    def close(self, reference: str, now: float) -> bool:
        """Close a request."""
        closed = update(REQUESTS).where(_KEPT.reference == reference, _KEPT.closed_at.is_(None))
        return self._change(closed.values(closed_at=int(now))) == [1]

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return all that is kept of the requests of one consent id."""
        return [kept.document() for kept in self._of(consent_id)]

    def erase(self, consent_id: str) -> int:
        """Erase the requests of one consent id."""
        gone = [kept.reference for kept in self._of(consent_id)]
        return sum(self._erase(delete(REQUESTS).where(_KEPT.reference.in_(gone))))

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and the mail addresses whose time has come."""
        gone = _ended_by(now - rules.keep.total_seconds())
        ended = _ended_by(now - rules.keep_address.total_seconds())
        nameless = and_(ended, _KEPT.address.is_not(None), not_(gone))
        if dry_run:
            return Purged(*(len(self._find(which)) for which in (gone, nameless)))
        emptied = update(REQUESTS).where(nameless).values(address=None)
        return Purged(*self._erase(delete(REQUESTS).where(gone), emptied))

    def _add(self, request: DeskRequest, *, age: float) -> NotKept | None:
        with self._changing() as connection:
            if connection.dialect.name == "postgresql":
                # Two that come at once must not both be the last one that may come. SQLite has one writer anyway.
                connection.execute(text("LOCK TABLE consent_requests IN SHARE ROW EXCLUSIVE MODE"))
            if _count(connection, _KEPT.form == request.form):
                return NotKept(0)
            own = _KEPT.consent_id == request.consent_id
            wait = seconds_to_wait(
                request,
                age=age,
                came=lambda after: _times(connection, _KEPT.created_at > after),
                came_of_own=lambda after: _times(connection, and_(own, _KEPT.created_at > after)),
                waiting=lambda: _count(connection, and_(own, _IS_OPEN)),
            )
            if wait:
                return NotKept(wait)
            connection.execute(insert(REQUESTS), {column.name: getattr(request, column.name) for column in _KEPT})
        return None

    def _of(self, consent_id: str) -> list[DeskRequest]:
        if not can_be_kept(consent_id):
            return []
        return self._find(_KEPT.consent_id == consent_id, _KEPT.created_at.desc(), _KEPT.reference)

    def _find(self, wanted: ColumnElement[bool], *order: ColumnElement[Any]) -> list[DeskRequest]:
        def rows() -> list[DeskRequest]:
            with self._engine.connect() as connection:
                found = connection.execute(select(REQUESTS).where(wanted).order_by(*order)).mappings()
                return [DeskRequest(**row) for row in found]

        return self._with_tables(rows)

    def _erase(self, *statements: Update | Delete) -> list[int]:
        """Do it all or nothing, so that nothing of it stays; return how many requests each touched."""
        touched = self._change(*statements)
        if any(touched):
            self._empty_journal()
        return touched

    def _change(self, *statements: Update | Delete) -> list[int]:
        """Do it all or nothing; return how many requests each touched."""

        def change() -> list[int]:
            with self._changing() as connection:
                return [connection.execute(statement).rowcount for statement in statements]

        return self._with_tables(change)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def _with_tables(self, work: Callable[[], Found]) -> Found:
        """Do something; where the tables are missing, because the server was not there at the start, once more."""
        try:
            return work()
        except ProgrammingError:
            self._migrate()
        return work()


def _ended_by(then: float) -> ColumnElement[bool]:
    return func.coalesce(_KEPT.answered_at, _KEPT.closed_at) <= int(then)


def _count(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(REQUESTS).where(which)).scalar_one()


def _times(connection: Connection, which: ColumnElement[bool]) -> list[int]:
    """Return when requests came, oldest first."""
    return list(connection.execute(select(_KEPT.created_at).where(which).order_by(_KEPT.created_at)).scalars())
