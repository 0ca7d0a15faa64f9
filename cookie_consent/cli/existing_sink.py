"""Opens an access log that exists, for the commands that work on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cookie_consent.cli.command import UnusableError, first_line
from cookie_consent.sinks import CannotEraseError, JsonLinesSink, Sink, open_sink
from cookie_consent.sinks.files.closed_files import sources
from cookie_consent.sinks.optional import NotInstalledError


@contextmanager
def existing_sink(target: str) -> Iterator[Sink]:
    """Open an access log that exists.

    Args:
        target: its path or URL.

    Raises:
        UnusableError: it does not exist, or cannot be used.
    """
    path = target.removeprefix("file://")
    try:
        sink = open_sink(target)
        if isinstance(sink, JsonLinesSink) and not sources(path):
            raise UnusableError(f"access_log: there is no file {path}.")
        yield sink
        sink.close()
    except UnusableError:
        raise
    except (ValueError, CannotEraseError, NotInstalledError) as error:
        raise UnusableError(str(error)) from None
    except OSError as error:
        raise UnusableError(f"access_log: {path} cannot be used: {error.strerror or error}.") from None
    except Exception as error:  # noqa: BLE001 (each database client has errors of its own)
        raise UnusableError(f"access_log: the database cannot be used: {first_line(error)}") from None
