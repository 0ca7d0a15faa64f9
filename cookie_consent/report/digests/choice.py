"""Says whether a report is computed from digests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cookie_consent.report.engines.engine import Engine
from cookie_consent.report.files import live_file
from cookie_consent.sinks.files.digest_files import digest_folder

if TYPE_CHECKING:
    from cookie_consent.report.digests.advice import Scanned
    from cookie_consent.report.question import Question

_CLICKHOUSE = ("clickhouse", "clickhouses")
SERVERS = ("postgresql", "postgres", *_CLICKHOUSE)
"""The URL schemes of databases that keep digests."""


def with_digests(access_log: str | os.PathLike[str], engine: Engine) -> Engine:
    """Return the engine that uses the digests of an access log, or the given one if there are none.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        engine: the engine of the log.
    """
    path = live_file(access_log)
    if path is None:
        return _with_digests_of_server(os.fspath(access_log).partition("://")[0], engine)
    if not digest_folder(path).is_dir():
        return engine
    from cookie_consent.report.digests.engine import DigestedFiles  # only now: others do without
    from cookie_consent.report.engines.duckdb_files import DuckDBFiles

    return DigestedFiles(engine) if isinstance(engine, DuckDBFiles) else engine


def why_scanned(access_log: str | os.PathLike[str], engine: Engine, question: Question) -> Scanned | None:
    """Return why many records of a log in files were scanned for a report; None if few were, or for a database.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        engine: has answered the question.
        question: the question.
    """
    path = live_file(access_log)
    if path is None:
        return None
    from cookie_consent.report.digests.advice import why_scanned as why
    from cookie_consent.report.engines.duckdb_files import DuckDBFiles

    return why(engine, path, question) if isinstance(engine, DuckDBFiles) else None


def _with_digests_of_server(scheme: str, engine: Engine) -> Engine:
    from cookie_consent.report.digests.server import DigestedServer

    if scheme in _CLICKHOUSE:
        from cookie_consent.report.digests.clickhouse import ClickHouseDigests
        from cookie_consent.report.engines.clickhouse import ClickHouseServer

        return DigestedServer(ClickHouseDigests(engine)) if isinstance(engine, ClickHouseServer) else engine
    from cookie_consent.report.digests.postgresql import PostgreSQLDigests
    from cookie_consent.report.engines.postgresql import PostgreSQLServer

    return DigestedServer(PostgreSQLDigests(engine.connection)) if isinstance(engine, PostgreSQLServer) else engine
