"""Closed files of lines, plain or compressed: read, filtered, sorted and compressed."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import IO, cast

from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of
from cookie_consent.sinks.files.locked_files import for_each_file, replacing
from cookie_consent.sinks.lines import Predicate, matching_lines

_SORTED_AT_ONCE = 16 * 1024 * 1024
"""Bytes."""
_GZIP_LEVEL = 6


def compress_closed(path: Path) -> list[tuple[Source, Exception]]:
    """Compress the closed files of a log; return the files that failed, with their errors.

    Args:
        path: the live file.
    """

    def compress(source: Source, file: BufferedRandom) -> None:
        target = path_of(path, source.date(), source.number, FileFormat.GZIP)
        with replacing(target, source.path) as new, _writing(new, FileFormat.GZIP) as out:
            for block in _in_order(file):
                out.write(block)
        source.path.unlink()

    return for_each_file(path, lambda source: source.file_format is FileFormat.PLAIN, compress)


def _in_order(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of sorted lines. Lines begin with a record's time, followed by random digits.

    Sorting hides the order in which lines were written, which would reveal more than the times of requests do. A large
    file is sorted in parts: hours of a small site, minutes of a large one.
    """
    waiting, size = list[bytes](), 0
    for line in lines:
        waiting.append(line if line.endswith(b"\n") else b"%b\n" % line)
        size += len(line)
        if size >= _SORTED_AT_ONCE:
            waiting.sort()
            half = len(waiting) // 2
            yield b"".join(waiting[:half])
            del waiting[:half]
            size = sum(map(len, waiting))
    yield b"".join(sorted(waiting))


def remove_lines(source: Source, file: BufferedRandom, matches: Predicate, needle: bytes) -> int:
    """Rewrite a closed file without matching lines; return how many. The caller has the lock.

    Args:
        source: the closed file.
        file: the same file, open.
        matches: whether a line matches.
        needle: bytes that every matching line contains.
    """
    count = sum(1 for _ in matching_lines(open_lines(file, source.file_format), matches, needle))
    if count:
        file.seek(0)
        with replacing(source.path, source.path) as new, _writing(new, source.file_format) as out:
            kept = matching_lines(
                open_lines(file, source.file_format), lambda line: needle not in line or not matches(line)
            )
            out.writelines(line for _, line in kept)
    return count


def count_lines(file: IO[bytes], file_format: FileFormat, matches: Predicate) -> int:
    """Return how many lines match."""
    return sum(1 for _ in matching_lines(open_lines(file, file_format), matches))


def open_lines(file: IO[bytes], file_format: FileFormat) -> IO[bytes]:
    """Return the lines of a file that is open at its beginning."""
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb")) if file_format is FileFormat.GZIP else file


@contextmanager
def _writing(path: Path, file_format: FileFormat) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if file_format is FileFormat.GZIP:
            # No name and time in the header, so that the same lines give the same bytes.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as out:
                yield cast("IO[bytes]", out)
        else:
            yield file
