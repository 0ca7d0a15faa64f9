"""Where the digests of an access log are, and how they are removed.

A digest holds what a report needs of one closed file, a block what it needs of 64 days. `report.digests` makes and
reads them. They are in a folder beside the log:

    logs/access.jsonl.digests/key                              the key of the visitors' numbers
    logs/access.jsonl.digests/2026-11-25-0001.db               the digest of a closed file
    logs/access.jsonl.digests/days-648.db                      a block of days
    logs/access.jsonl.digests/firsts.db                        on which day each visitor was first seen

Whoever removes records from a closed file removes its digest and all that joins digests as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cookie_consent.base.process import locking
from cookie_consent.sinks.files.closed_files import Source, sources

_DIGEST = re.compile(r"\d{4}-\d\d-\d\d-\d{4,}[.]db", re.ASCII)
_BLOCK = re.compile(r"days-(\d+)[.]db", re.ASCII)
_UNFINISHED = re.compile(r"[.].+[.]part(?:[.]wal)?", re.ASCII)


def digest_folder(path: Path) -> Path:
    """Return the folder of a log's digests.

    Args:
        path: the live file.
    """
    return path.with_name(f"{path.name}.digests")


def digest_path(path: Path, source: Source) -> Path:
    """Return the path of the digest of a closed file."""
    return digest_folder(path) / f"{source.date()}-{source.number:04}.db"


def block_path(path: Path, number: int) -> Path:
    """Return the path of a block."""
    return digest_folder(path) / f"days-{number}.db"


def firsts_path(path: Path) -> Path:
    """Return the path of the file with the first day of each visitor."""
    return digest_folder(path) / "firsts.db"


def digests_of(path: Path) -> list[Path]:
    """Return the digests of closed files that exist."""
    return sorted(file for file in _files(path) if _DIGEST.fullmatch(file.name))


def blocks_of(path: Path) -> dict[int, Path]:
    """Return the blocks that exist, by number."""
    return {int(match[1]): file for file in _files(path) if (match := _BLOCK.fullmatch(file.name))}


def unfinished(path: Path) -> list[Path]:
    """Return what a killed process may have left."""
    return [file for file in _files(path) if _UNFINISHED.fullmatch(file.name)]


def remove_digests(path: Path, source: Source) -> None:
    """Remove the digest of a closed file, and all that joins digests: records of the file are being removed.

    Raises:
        OSError: a file cannot be removed.
    """
    for file in (digest_path(path, source), firsts_path(path), *blocks_of(path).values()):
        file.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove digests of files that are gone, and what a killed process left half-made: both may have erased visitors.

    A process that makes digests now keeps what it is making. It looks at the records again when it is done.

    Args:
        path: the live file.

    Raises:
        OSError: a file cannot be removed.
    """
    closed = {digest_path(path, source) for source in sources(path) if source.day}
    lost = [file for file in digests_of(path) if file not in closed]
    for file in (*lost, firsts_path(path), *blocks_of(path).values()) if lost or not closed else ():
        file.unlink(missing_ok=True)
    if left := unfinished(path):
        with suppress(BlockingIOError), making_digests(path):
            for file in left:
                file.unlink(missing_ok=True)


@contextmanager
def making_digests(path: Path) -> Iterator[None]:
    """Hold the lock of who makes the digests of a log.

    Raises:
        BlockingIOError: another process has it.
    """
    with locking.opened(digest_folder(path) / ".lock", os.O_RDWR | os.O_CREAT, 0o600):
        yield


def _files(path: Path) -> list[Path]:
    folder = digest_folder(path)
    return list(folder.iterdir()) if folder.is_dir() else []
