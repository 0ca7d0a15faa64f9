"""The tables of a ledger in an SQL database. Their prefix lets them share a database with the site's own."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

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

Cited = Mapping[str, list[dict[str, str]]]
"""What records cite: kind ("policies", "texts") -> rows of its table."""
