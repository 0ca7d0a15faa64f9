"""The tables of a ledger in an SQL database, and the triggers that keep its records append-only.

Their prefix lets them share a database with the site's own.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
)

from cookie_consent.ledgers.chain import INDEXED_COLUMNS

METADATA = MetaData()
# SQLite assigns row numbers only to columns of the type "INTEGER".
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

POLICIES = Table(
    "consent_policies",
    METADATA,
    Column("version", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

TEXTS = Table(
    "consent_texts",
    METADATA,
    Column("sha256", Text, primary_key=True),
    Column("content", Text, nullable=False),
)

RECORDS = Table(
    "consent_records",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    # The record as canonical JSON. If the record was removed, this and the columns derived from it are NULL.
    Column("document", Text),
    Column("record_id", Text),
    Column("consent_id", Text),
    Column("policy", Text, ForeignKey("consent_policies.version")),
    Column("text", Text, ForeignKey("consent_texts.sha256")),
    Column("prevailing_text", Text, ForeignKey("consent_texts.sha256")),
    Column("decided_at", BigInteger),
    Column("keep_until", BigInteger),
    Column("repeat_key", Text),
    Column("record_hash", LargeBinary, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    # Queries sort by number. Without it in the index, PostgreSQL without statistics would scan the whole table.
    Index("consent_records_of", "consent_id", "number"),
    Index("consent_records_repeated", "repeat_key", "number"),
    Index("consent_records_due", "keep_until"),
    Index("consent_records_citing_policy", "policy"),
    Index("consent_records_citing_text", "text"),
    Index("consent_records_citing_prevailing_text", "prevailing_text"),
)

REMOVALS = Table(
    "consent_removals",
    METADATA,
    Column("id", _NUMBER, primary_key=True),
    Column("ran_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("texts", Integer, nullable=False),
    Column("policies", Integer, nullable=False),
)

REQUESTS = Table(
    "consent_requests",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("address", Text),
    Column("language", Text, nullable=False),
    Column("consent_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("answer", Text),
    Column("ended_at", BigInteger),
    Index("consent_requests_of", "consent_id"),
)

VERSION = Table("consent_schema", METADATA, Column("version", Integer, primary_key=True, autoincrement=False))
_VERSION = 1
"""The version of these tables."""

_REFUSED = "consent records are append-only"
_CHANGED_ONLY_BY_REMOVAL = " AND ".join(
    [
        *(f"NEW.{name} IS NULL" for name in ("document", *INDEXED_COLUMNS)),
        *(f"NEW.{name} = OLD.{name}" for name in ("number", "record_hash", "chain_hash")),
    ]
)
_IN_SQLITE = tuple(
    f"CREATE TRIGGER {trigger} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
    for trigger in (
        f"consent_records_stay BEFORE UPDATE ON consent_records WHEN NOT coalesce({_CHANGED_ONLY_BY_REMOVAL}, 0)",
        "consent_policies_stay BEFORE UPDATE ON consent_policies",
        "consent_texts_stay BEFORE UPDATE ON consent_texts",
        "consent_records_remain BEFORE DELETE ON consent_records",
        # SQLite checks foreign keys only if a connection asks for it, and other programs may not.
        "consent_policies_remain BEFORE DELETE ON consent_policies "
        "WHEN EXISTS (SELECT 1 FROM consent_records WHERE policy = OLD.version)",
        "consent_texts_remain BEFORE DELETE ON consent_texts "
        "WHEN EXISTS (SELECT 1 FROM consent_records WHERE text = OLD.sha256 OR prevailing_text = OLD.sha256)",
        # INSERT OR REPLACE deletes rows without firing the triggers above.
        "consent_records_are_new BEFORE INSERT ON consent_records "
        "WHEN EXISTS (SELECT 1 FROM consent_records WHERE number = NEW.number)",
        "consent_policies_are_new BEFORE INSERT ON consent_policies "
        "WHEN EXISTS (SELECT 1 FROM consent_policies WHERE version = NEW.version AND document <> NEW.document)",
        "consent_texts_are_new BEFORE INSERT ON consent_texts "
        "WHEN EXISTS (SELECT 1 FROM consent_texts WHERE sha256 = NEW.sha256 AND content <> NEW.content)",
    )
)
_REFUSE_IN_POSTGRESQL = f"""
CREATE FUNCTION consent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('cookie_consent.removing', true), '') = 'on' THEN
        IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'consent_records' THEN
            RETURN OLD;
        END IF;
        IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'consent_records' THEN
            IF {_CHANGED_ONLY_BY_REMOVAL} THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'restrict_violation';
END $$
"""
_IN_POSTGRESQL = (
    _REFUSE_IN_POSTGRESQL,
    *(
        f"CREATE TRIGGER {table}_{name} BEFORE {event} ON {table} FOR EACH {each} EXECUTE FUNCTION consent_refuse()"
        for table in ("consent_records", "consent_policies", "consent_texts")
        for name, event, each in (("stay", "UPDATE OR DELETE", "ROW"), ("remain", "TRUNCATE", "STATEMENT"))
    ),
)


def make_tables(connection: Connection, *, must_exist: bool = False) -> None:
    """Make the tables in the connection's open transaction, unless they are there.

    Raises:
        ValueError: the tables are from another version of this package, or must exist and do not.
    """
    found = METADATA.tables.keys() & inspect(connection).get_table_names()
    version = connection.execute(select(VERSION.c.version)).scalar() if VERSION.name in found else None
    if version == _VERSION:
        return
    if found:
        which = "without a number" if version is None else f"no. {version}"
        raise ValueError(
            f"ledger: the tables are not those of this version of cookie-consent: they are {which}, not "
            f"no. {_VERSION}. Install the version that made them, or a newer one, or name another database."
        )
    if must_exist:
        raise ValueError("ledger: this database has never kept consent records. Name the one that the site uses.")
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(insert(VERSION), {"version": _VERSION})
    for statement in _IN_SQLITE if connection.dialect.name == "sqlite" else _IN_POSTGRESQL:
        connection.exec_driver_sql(statement)
