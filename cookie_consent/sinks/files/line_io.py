"""Reads, filters and compresses files of lines."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import IO, cast

from cookie_consent.base.files import write_at
from cookie_consent.sinks.files.atomic import replacing
from cookie_consent.sinks.files.closed_files import Form, Source, path_of
from cookie_consent.sinks.files.locking import for_each_closed, remove

Which = Callable[[bytes], object]
"""Whether a line, without its line feed, matches."""

_BLOCK = 1024 * 1024
_SORTED_AT_ONCE = 16 * 1024 * 1024
"""Bytes."""
_GZIP_LEVEL = 6


def compress_closed(path: Path, form: Form) -> list[tuple[Source, Exception]]:
    """Compress the closed files of a log; return the files that failed, with their errors.

    Args:
        path: the live file.
        form: the form of compressed files; nothing is done for Form.PLAIN.
    """

    def compress(source: Source, file: BufferedRandom) -> None:
        target = path_of(path, source.date(), source.number, form)
        with replacing(target, file) as new, _writing(new, form) as out:
            for block in _in_order(file):
                out.write(block)
        remove(path, source, before=form)

    return for_each_closed(path, lambda source: source.form is Form.PLAIN is not form, compress)


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


def found_in(file: IO[bytes], form: Form, which: Which, needle: bytes = b"") -> Iterator[bytes]:
    """Yield matching lines without their line feeds.

    Args:
        file: open at its beginning.
        form: its form.
        which: whether a line matches.
        needle: bytes that every matching line contains; it speeds up the search.
    """
    with _reading(file, form) as lines:
        for block in _blocks(lines):
            if needle in block:
                yield from (line for line in block.split(b"\n") if which(line))


def without(source: Source, file: BufferedRandom, which: Which, needle: bytes = b"") -> int:
    """Rewrite a closed file without matching lines; return how many. The caller has the lock.

    Args:
        source: the closed file.
        file: the same file, open.
        which: whether a line matches.
        needle: bytes that every matching line contains.
    """
    count = sum(1 for _ in found_in(file, source.form, which, needle))
    if count:
        file.seek(0)
        with (
            replacing(source.path, file) as new,
            _writing(new, source.form) as out,
            _reading(file, source.form) as lines,
        ):
            for block in _blocks(lines):
                remaining = (line for line in block.split(b"\n") if not which(line)) if needle in block else (block,)
                out.write(b"\n".join(remaining))
    return count


def blank(file: BufferedRandom, which: Which, needle: bytes = b"") -> int:
    """Overwrite matching lines of the live file with spaces, in place; return how many.

    Appending processes are not disturbed, and readers skip lines of spaces. A last line without a line feed is left
    alone, because it may still be growing.

    Args:
        file: open for reading and writing, at its beginning.
        which: whether a line matches.
        needle: bytes that every matching line contains.
    """
    blanked, start = 0, 0
    for block in _blocks(file):
        if needle in block:
            for place, line in _placed(block, start):
                if which(line):
                    write_at(file.fileno(), b" " * len(line), place)
                    blanked += 1
        start += len(block)
    os.fsync(file.fileno())
    return blanked


def count_lines(file: IO[bytes], form: Form) -> int:
    """Return how many lines are not blank."""
    return sum(1 for _ in found_in(file, form, lambda line: line and not line.isspace()))


def _placed(block: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    for line in block.split(b"\n")[:-1]:
        yield start, line
        start += len(line) + 1


def _blocks(lines: IO[bytes]) -> Iterator[bytes]:
    """Yield a file in blocks of whole lines. Only the last block may end without a line feed."""
    while block := lines.read(_BLOCK):
        yield block + lines.readline()


@contextmanager
def _reading(file: IO[bytes], form: Form) -> Iterator[IO[bytes]]:
    if form is Form.GZIP:
        with gzip.GzipFile(fileobj=file, mode="rb") as lines:
            yield cast("IO[bytes]", lines)
    elif form is Form.ZSTD:
        raise OSError('it is compressed by zstd, which only "cookie-consent compact" reads: run it, once')
    else:
        yield file


@contextmanager
def _writing(path: Path, form: Form) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if form is Form.GZIP:
            # No name and time in the header, so that the same lines give the same bytes.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as out:
                yield cast("IO[bytes]", out)
        else:
            yield file
