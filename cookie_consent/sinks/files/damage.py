"""Finds files of an access log that are damaged: cut off, changed on the disk, or never in their format."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from cookie_consent.sinks.files.closed_files import FileFormat, Source, one_file
from cookie_consent.sinks.optional import duckdb, is_interruption
from cookie_consent.sinks.store import IncompleteError

_BLOCK = 1024 * 1024
_MAGIC = b"PAR1"
_REMEMBERED = 10_000
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
"""The errors of reading a damaged compressed file."""
PROBE = "SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet($file, hive_partitioning = false)"
"""A statement that reads a whole Parquet file."""
_PROBES = {
    FileFormat.PARQUET: PROBE,
    FileFormat.LIVE: """SELECT count(time) FROM read_json($file, format = 'newline_delimited',
        columns = {'time': 'VARCHAR'}, ignore_errors = true)""",
}
"""Statements that read a whole file. All other formats are read as the live file is."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that cannot be read.

    Args:
        path: the path.
        problem: what is wrong, in one line.
    """

    path: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def incomplete(damaged: Sequence[Damaged]) -> IncompleteError:
    """Return the error for records that are missing, after all others were yielded."""
    names = "; ".join(map(str, damaged))
    return IncompleteError(f"{len(damaged)} of the files cannot be read, and their records are missing: {names}")


def read_undamaged(
    connection: Any, files: Sequence[Source], read: Callable[[list[Source]], T]
) -> tuple[T, list[Damaged]]:
    """Call `read` with all files but the damaged ones; return its result, and the damaged files.

    A compressed file is compared with its checksum first, because DuckDB would read changed bytes without noticing.
    Other formats have none: what DuckDB can read counts as undamaged.

    Args:
        connection: a DuckDB connection.
        files: files of a log.
        read: reads files with DuckDB. If it fails, each file is tried alone, and `read` is called once more.

    Raises:
        Exception: an error of `read` that no damaged file explains, or of a file that may not be opened.
    """
    damaged = [found for source in files if (found := failed_checksum(source))]
    rest = _without(files, damaged)
    try:
        return read(rest), damaged
    except duckdb().Error as error:
        if is_interruption(error) or isinstance(error, duckdb().OutOfMemoryException):
            raise
        unreadable = [one for source in rest if (one := _unreadable(connection, source))]
        if not unreadable:
            raise
    return read(_without(rest, unreadable)), [*damaged, *unreadable]


def failed_checksum(source: Source) -> Damaged | None:
    """Return a file that cannot be opened, whose compressed lines fail their checksum, or whose Parquet is cut off."""
    problem = ""
    try:
        if source.file_format is FileFormat.GZIP:
            state = source.path.stat()
            problem = _problem_of_gzip(source.path, state.st_ino, state.st_size, state.st_mtime_ns)
        else:
            with source.path.open("rb") as file:
                if source.file_format is FileFormat.PARQUET:
                    problem = _problem_of_parquet(file)
    except FileNotFoundError:
        return None  # it was closed or compacted, and the caller looks for it again
    except OSError as error:
        problem = error.strerror or str(error)
    return Damaged(source.path, problem) if problem else None


def _problem_of_parquet(file: BinaryIO) -> str:
    """Return "" if a file begins and ends as Parquet does: the list of its parts is at its end."""
    begins = file.read(len(_MAGIC))
    file.seek(max(0, os.fstat(file.fileno()).st_size - len(_MAGIC)))
    return "" if begins == file.read() == _MAGIC else "it is cut off, or no Parquet"


@lru_cache(_REMEMBERED)
def _problem_of_gzip(path: Path, inode: int, size: int, changed: int) -> str:
    """Return what is wrong with a file; "" for nothing. A live report asks again and again about the same files."""
    if not size:
        return "it is empty"
    try:
        with gzip.open(path) as file:
            while file.read(_BLOCK):
                pass
    except DAMAGE as error:
        return str(error)
    return ""


def _unreadable(connection: Any, source: Source) -> Damaged | None:
    """Return a file that DuckDB cannot read; None if it can, or if the file is gone."""
    if not source.path.is_file():
        return None  # it was closed or compacted, and the caller looks for it again
    probe = _PROBES.get(source.file_format, _PROBES[FileFormat.LIVE])
    try:
        connection.execute(probe, {"file": one_file(source.path)})
    except duckdb().Error as error:
        return Damaged(source.path, str(error).strip().partition("\n")[0][:300])
    return None


def _without(files: Sequence[Source], damaged: Sequence[Damaged]) -> list[Source]:
    paths = {one.path for one in damaged}
    return [source for source in files if source.path not in paths]
