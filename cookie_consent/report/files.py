"""The files of an access log that is kept in files: whether they are there, and what must not be written over them."""

from __future__ import annotations

import os
from pathlib import Path

from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.sinks.files.closed_files import counts_path, sources


def require_files(access_log: str | os.PathLike[str], *, may_be_new: bool = False) -> None:
    """Raise an UnreadableError where the files of an access log are not there: a name was mistyped.

    Args:
        access_log: the path of a JSON Lines file, or a URL; what is no file is not looked for.
        may_be_new: whether its folder is enough: no record has come to a site that has just started.
    """
    path = _live_file(access_log)
    if path is None or sources(path) or (may_be_new and path.parent.is_dir()):
        return
    raise UnreadableError(f"access_log: there is no file {path}, and none that was closed beside it.")


def is_of_log(access_log: str | os.PathLike[str], file: Path) -> bool:
    """Tell whether a file is one of an access log's own, under whatever name: written anew, it would be lost.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        file: what is to be written.
    """
    path = _live_file(access_log)
    if path is None:
        return False
    logs = (path, counts_path(path))
    own = {*logs, *(source.path for log in logs for source in sources(log))}
    return any(file.resolve() == one.resolve() or _is_same(file, one) for one in own)


def _live_file(access_log: str | os.PathLike[str]) -> Path | None:
    scheme, colon, rest = os.fspath(access_log).partition("://")
    if colon and scheme != "file":
        return None
    return Path(rest if colon else scheme)


def _is_same(file: Path, one: Path) -> bool:
    return file.exists() and one.exists() and file.samefile(one)
