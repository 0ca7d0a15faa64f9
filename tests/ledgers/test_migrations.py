"""Tests of the migrations of an SQL ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, inspect, text

from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers.tables import METADATA
from tests.support.asgi import run
from tests.support.ledger_writer import entry, run_writers

VERSIONS = "consent_schema_version"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)
    yield engine
    engine.dispose()


def opened(url: str) -> closing[Ledger]:
    return closing(open_ledger(url))


def version(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).scalars())  # noqa: S608


def upgrade(engine: Engine, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", "cookie_consent.ledgers:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def test_migrations_create_the_declared_tables(url: str, engine: Engine) -> None:
    open_ledger(url).close()
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSIONS, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []


def test_ledger_tables_coexist_with_site_tables(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE records (document TEXT)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of the site')"))
    with opened(url) as ledger:
        run(ledger.append(entry()))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["of the site"]
        own = {*inspect(connection).get_table_names()} - {"records", "alembic_version"}
    assert own == {*METADATA.tables, VERSIONS}
    assert all(name.startswith("consent_") for name in own)


def test_opening_ledger_again_changes_nothing(url: str, engine: Engine) -> None:
    with opened(url) as ledger:
        run(ledger.append(entry()))
    before = version(engine)
    for _ in range(2):
        with opened(url) as ledger:
            assert len(run(ledger.records("a"))) == 1
    assert version(engine) == before
    assert len(before) == 1


@pytest.mark.each_value(all_of="postgresql", at_most=0)
@pytest.mark.slow
def test_several_processes_can_create_tables_at_once(url: str, engine: Engine) -> None:
    run_writers(*(["open", url] for _ in range(3)))
    assert len(version(engine)) == 1
    with opened(url) as ledger:
        run(ledger.append(entry()))
        assert verify(ledger.links()).records == 1


@pytest.mark.slow
def test_ledger_of_earlier_version_is_migrated(url: str, engine: Engine) -> None:
    upgrade(engine, "0001")
    assert version(engine) == ["0001"]
    with opened(url) as ledger:
        run(ledger.append(entry()))
    assert version(engine) != ["0001"]


def test_ledger_of_later_version_is_rejected_unchanged(url: str, engine: Engine) -> None:
    open_ledger(url).close()
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSIONS} SET version_num = '9999'"))  # noqa: S608
    with pytest.raises(ValueError, match=r"^ledger: the tables are not those of this version of cookie-consent .*9999"):
        open_ledger(url)
    assert version(engine) == ["9999"]


def test_failed_migration_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE consent_removals (id)")
    with pytest.raises(ValueError, match="table consent_removals already exists"):
        open_ledger(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("consent_removals",)]
