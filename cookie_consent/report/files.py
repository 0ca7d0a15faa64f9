"""Checks on the files of a file-based access log."""

from __future__ import annotations

import os
from pathlib import Path

from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.sinks.files.closed_files import counts_path, sources


def require_files(access_log: str | os.PathLike[str], *, may_be_new: bool = False) -> None:
    """Raise if an access log has no files, as after a typing error in its name.

    Args:
        access_log: the path of a JSON Lines file, or a URL. URLs of databases are not checked.
        may_be_new: accept missing files if their folder exists, for a site that has just started.

    Raises:
        UnreadableError: there are no files.
    """
    path = live_file(access_log)
    if path is None or sources(path) or (may_be_new and path.parent.is_dir()):
        return
    raise UnreadableError(f"access_log: there is no file {path}, and none that was closed beside it.")


def is_of_log(access_log: str | os.PathLike[str], file: Path) -> bool:
    """Tell whether a file belongs to an access log, so that writing to it would destroy records.

    Links to the log's files count too.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        file: the file to be written.
    """
    path = live_file(access_log)
    if path is None:
        return False
    logs = (path, counts_path(path))
    log_files = {*logs, *(source.path for log in logs for source in sources(log))}
    return any(file.resolve() == one.resolve() or _is_same(file, one) for one in log_files)


def live_file(access_log: str | os.PathLike[str]) -> Path | None:
    """Return the live file of an access log in files; None if it is a URL of a database."""
    scheme, colon, rest = os.fspath(access_log).partition("://")
    if colon and scheme != "file":
        return None
    return Path(rest if colon else scheme)


def _is_same(file: Path, one: Path) -> bool:
    # A hard link has a path of its own, and the same content.
    return file.exists() and one.exists() and file.samefile(one)
