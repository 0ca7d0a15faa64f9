"""The ClickHouse sink."""

from cookie_consent.sinks.clickhouse.store import ClickHouseSink

__all__ = ["ClickHouseSink"]
