"""The PostgreSQL sink."""

from cookie_consent.sinks.postgresql.store import PostgresqlSink

__all__ = ["PostgresqlSink"]
