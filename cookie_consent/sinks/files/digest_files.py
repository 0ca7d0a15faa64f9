"""Where the digests of an access log are, and how they are removed.

A digest holds what a report needs of one closed file, a block what it needs of 64 days. `report.digests` makes and
reads them. They are in a folder beside the log:

    logs/access.jsonl.digests/key                              the key of the visitors' numbers
    logs/access.jsonl.digests/2026-11-25-0001.db               the digest of a closed file
    logs/access.jsonl.digests/days-648.db                      a block of days
    logs/access.jsonl.digests/days-648.files                   the names of the files that it is made of
    logs/access.jsonl.digests/firsts.db                        on which day each visitor was first seen

Whoever removes records from a closed file removes its digest and all that was joined from it as well.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path

from cookie_consent.base.process import locking
from cookie_consent.sinks.files.atomic import replacing
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


def name_of(source: Source) -> str:
    """Return the name of a closed file in digests; it stays the same when the file changes its format."""
    return f"{source.date()}-{source.number:04}"


def digest_path(path: Path, source: Source) -> Path:
    """Return the path of the digest of a closed file."""
    return digest_folder(path) / f"{name_of(source)}.db"


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


def write_names(block: Path, names: Iterable[str], like: BufferedIOBase) -> None:
    """Write which files a block is made of, before the block itself is written.

    Args:
        block: the path of the block.
        names: the names of the files: those of the block that is there now, too.
        like: an open file whose owner and mode it gets.
    """
    text = "\n".join(sorted(names))
    with replacing(_names_path(block), like) as new:
        new.write_text(f"{_checksum(text)}\n{text}", "ascii")


def remove_block(block: Path) -> None:
    """Remove a block, if it exists."""
    block.unlink(missing_ok=True)
    _names_path(block).unlink(missing_ok=True)


def remove_digests(path: Path, source: Source) -> None:
    """Remove the digest of a closed file, and all that was joined from it: records of the file are being removed.

    Raises:
        OSError: a file cannot be removed.
    """
    for file in (digest_path(path, source), firsts_path(path)):
        file.unlink(missing_ok=True)
    for block in blocks_of(path).values():
        if _may_have(block, name_of(source)):
            remove_block(block)


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
    if lost or not closed:
        for file in (*lost, firsts_path(path)):
            file.unlink(missing_ok=True)
        for block in blocks_of(path).values():
            remove_block(block)
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


def _names_path(block: Path) -> Path:
    return block.with_suffix(".files")


def _may_have(block: Path, name: str) -> bool:
    """Tell whether a block is made of a file. One of an earlier version, or with a damaged list, may be of any."""
    try:
        checksum, _, text = _names_path(block).read_text("ascii").partition("\n")
    except (OSError, ValueError):
        return True
    return checksum != _checksum(text) or name in text.split()


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    folder = digest_folder(path)
    return list(folder.iterdir()) if folder.is_dir() else []
