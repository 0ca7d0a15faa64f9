"""Finds the access log in files that a command works on."""

from __future__ import annotations

from pathlib import Path

from cookie_consent.cli.command import UnusableError
from cookie_consent.sinks import JsonLinesSink, open_sink
from cookie_consent.sinks.files.closed_files import sources


def closed_log(target: str | None) -> Path:
    """Return the live file of the access log.

    Raises:
        UnusableError: no access log is named, it is not in files, or there are no files.
    """
    if target is None:
        raise UnusableError("Name the access log: --access-log FILE, or the environment variable CONSENT_ACCESS_LOG.")
    try:
        sink = open_sink(target)
    except ValueError as error:
        raise UnusableError(str(error)) from None
    if not isinstance(sink, JsonLinesSink):
        raise UnusableError(
            "access_log: only a log in files or in PostgreSQL can be digested, and only one in files compacted."
        )
    if not sources(sink.path):
        raise UnusableError(f"access_log: there is no file {sink.path}, and none that was closed.")
    return sink.path
