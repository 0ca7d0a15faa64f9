"""Tests of the tables of an SQL ledger: how they are made, and for which version."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, inspect, select, text, update

from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers.tables import METADATA, VERSION
from tests.support.asgi import run
from tests.support.ledger_writer import entry, run_writers


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    yield engine
    engine.dispose()


def opened(url: str) -> closing[Ledger]:
    return closing(open_ledger(url))


def versions(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(select(VERSION.c.version)).scalars())


def test_ledger_tables_coexist_with_site_tables(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE records (document TEXT)"))
    with opened(url) as ledger:
        run(ledger.append(entry()))
    with engine.connect() as connection:
        own = {*inspect(connection).get_table_names()} - {"records"}
    assert own == {*METADATA.tables}
    assert all(name.startswith("consent_") for name in own)


def test_opening_ledger_again_changes_nothing(url: str, engine: Engine) -> None:
    with opened(url) as ledger:
        run(ledger.append(entry()))
    for _ in range(2):
        with opened(url) as ledger:
            assert len(run(ledger.records("a"))) == 1
    assert versions(engine) == [1]


@pytest.mark.each_value(all_of="postgresql", at_most=0)
@pytest.mark.slow
def test_several_processes_can_create_tables_at_once(url: str, engine: Engine) -> None:
    run_writers(*(["open", url] for _ in range(3)))
    assert versions(engine) == [1]
    with opened(url) as ledger:
        run(ledger.append(entry()))
        assert verify(ledger.links()).records == 1


def test_ledger_of_another_version_is_rejected_unchanged(url: str, engine: Engine) -> None:
    open_ledger(url).close()
    with engine.begin() as connection:
        connection.execute(update(VERSION).values(version=9999))
    with pytest.raises(ValueError, match=r"^ledger: the tables are not those of this version of cookie-consent.*9999"):
        open_ledger(url)
    assert versions(engine) == [9999]


def test_tables_without_a_version_are_rejected_unchanged(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE consent_removals (id INTEGER)"))
    with pytest.raises(ValueError, match=r"^ledger: the tables are not those of this version.*without a number"):
        open_ledger(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["consent_removals"]


def test_failure_while_tables_are_made_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE visits (id)")
        connection.execute("CREATE INDEX consent_requests_of ON visits (id)")
    with pytest.raises(ValueError, match="index consent_requests_of already exists"):
        open_ledger(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("visits",)]
