"""Access records in PostgreSQL."""

from cookie_consent.sinks.postgresql.store import PostgresqlSink

__all__ = ["PostgresqlSink"]
