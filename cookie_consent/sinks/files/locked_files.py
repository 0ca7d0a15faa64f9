"""How files of an access log are written, compressed and changed: by one process at a time.

Processes append to the live file in turn. It is closed when its day is over or it is large. Only who has the lock of a
file writes, blanks, rewrites or renames it, and nobody holds that of a live file for longer than that takes. If
somebody is stopped meanwhile, the others take another live file: "access.jsonl", "access.2.jsonl" and so on.

A closed file is replaced atomically, even if the machine stops.
"""

from __future__ import annotations

import gzip
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import IO, cast

from cookie_consent.base import locking
from cookie_consent.base.clock import day_of, is_future
from cookie_consent.base.files import NONBLOCKING, open_file, set_mode_and_owner, sync_folder
from cookie_consent.base.messages import warn_once
from cookie_consent.sinks.files.closed_files import (
    FileFormat,
    Source,
    key_of,
    live_path,
    live_paths,
    next_path,
    path_of,
    sources,
)
from cookie_consent.sinks.lines import Predicate, append, is_open_at, matching_lines
from cookie_consent.sinks.optional import is_interruption

ROTATE_SIZE = 128 * 1024 * 1024
_TRIES = 100
_MOST_LIVE = 100
_SORTED_AT_ONCE = 16 * 1024 * 1024
"""Bytes."""
_GZIP_LEVEL = 6
_TURN = 0.5
"""How long to wait for a live file (seconds). Its holder needs milliseconds unless it was stopped."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    """Appends to a log, and closes its live file: "access.jsonl" is renamed "access-2026-11-25-0001.jsonl".

    On Windows no file is closed, because an open file cannot be renamed there.

    Args:
        path: the live file. It and its parent folders are created with the first line.
        size: the maximum size of the live file (bytes).
        clock: returns Unix time in seconds.
        closed: is called after a file was closed and its lock released.
    """

    path: Path
    size: int = ROTATE_SIZE
    clock: Callable[[], float] = time.time
    closed: Callable[[], object] = lambda: None

    def append(self, lines: Sequence[bytes], select: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
        """Append lines, all or none.

        Args:
            lines: the lines.
            select: returns those to append, and is called with the lock held.

        Raises:
            OSError: nothing is written.
        """
        file = self._open(sum(map(len, lines)))
        try:
            append(file, select(lines))
        finally:
            os.close(file)

    def close_due(self) -> None:
        """Close the live files whose day is over."""
        for place in live_paths(self.path):
            is_closed = False
            with suppress(OSError), locking.hold_lock(place, os.O_RDWR | NONBLOCKING) as file:
                is_closed = is_open_at(file, place) and self._close_if_due(file, place, 0)
            if is_closed:
                self.closed()

    def _open(self, more: int) -> int:
        """Open a live file that nobody holds, lock it, and return it. It is closed before if that is due.

        Args:
            more: the size of the lines to append (bytes).
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, _MOST_LIVE):
            with suppress(BlockingIOError):
                return self._open_place(live_path(self.path, number), more)
        raise BlockingIOError(f"{self.path} is locked by another program.")

    def _open_place(self, place: Path, more: int) -> int:
        # A pipe or a device may allow writing only.
        access = os.O_WRONLY if place.exists() and not place.is_file() else os.O_RDWR
        for _ in range(_TRIES):
            file = locking.open_locked(place, access | os.O_APPEND | os.O_CREAT | NONBLOCKING, 0o640, wait=_TURN)
            if is_open_at(file, place) and not self._close_if_due(file, place, more):
                return file
            os.close(file)
            self.closed()
        raise BlockingIOError(f"{place} is renamed again and again.")

    def _close_if_due(self, file: int, place: Path, more: int) -> bool:
        """Close a locked live file if that is due; return whether it was closed.

        If it cannot be renamed, it grows on.
        """
        now, state = self.clock(), os.fstat(file)
        if not stat.S_ISREG(state.st_mode) or state.st_size == 0 or not locking.is_posix():
            return False
        day = day_of(min(state.st_mtime, now))  # no record is later, since each is written after its request came
        is_over = day < day_of(now) or is_future(state.st_mtime, now)
        if not is_over and state.st_size + more <= self.size:
            return False
        try:
            if place.is_symlink():  # the link would be renamed, not the file
                raise OSError("it is a symbolic link; name the file itself")
            with naming(self.path):
                os.rename(place, next_path(self.path, day, FileFormat.PLAIN))
        except BlockingIOError:  # another process was stopped while it had the lock
            return False
        except OSError as error:
            warn_once("logs that grow", str(place), f"{place} cannot be closed and grows on: {error}")
            return False
        return True


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Hold the lock for naming the closed files of a log, so that no two get one name; raise OSError if it is taken."""
    with locking.hold_lock(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o640, wait=_TURN):
        yield


Work = Callable[[Source, BufferedRandom], object]
Trouble = tuple[Source, Exception]


@contextmanager
def replacing(target: Path, like: Path) -> Iterator[Path]:
    """Yield the path of a new, empty file, which replaces the target after the block.

    Args:
        target: the file to create or replace. Its folder is created.
        like: a file whose owner and mode the new file gets. So the server can still change files after a command that
            root ran.
    """
    original = like.stat()
    make_folder(target.parent, original)
    new = temporary_path(target)
    new.unlink(missing_ok=True)  # a killed process may have left it
    os.close(open_file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    try:
        yield new
        descriptor = open_file(new, os.O_RDWR)
        try:
            set_mode_and_owner(descriptor, original.st_mode & 0o777, original)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(new, target)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(target.parent)  # only then does the rename survive a power cut


def temporary_path(target: Path) -> Path:
    """Return the temporary path of a file. No reader takes it for one of the log's files."""
    return target.with_name(f".{target.name}.part")


def make_folder(folder: Path, original: os.stat_result) -> None:
    """Make a folder, if it is missing, with the owner and the readers of a file."""
    if folder.is_dir():
        return
    make_folder(folder.parent, original)
    folder.mkdir(exist_ok=True)
    readable = original.st_mode & 0o444
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        set_mode_and_owner(descriptor, 0o700 | readable | readable >> 2, original)
    finally:
        os.close(descriptor)
    sync_folder(folder.parent)


@contextmanager
def exclusive(path: Path, source: Source, wait: float = 0.0) -> Iterator[BufferedRandom | None]:
    """Lock a file of a log, so that no other process writes, rewrites or compresses it.

    Also removes what a killed process left behind: unfinished files, and later formats that do not count yet.

    Args:
        path: the live file of the log.
        source: the file.
        wait: how long to wait for the lock (seconds).

    Yields:
        The open file; None if it no longer exists in this format.

    Raises:
        TimeoutError: another process has the lock.
        OSError: the file cannot be opened, or the system is Windows, which cannot replace or remove an open file.
    """
    if source.day and not locking.is_posix():
        raise OSError("on Windows closed files cannot be changed; do it on Linux or macOS")
    try:
        file = source.path.open("r+b")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            locking.lock(file.fileno(), wait=wait)
        except BlockingIOError:
            raise TimeoutError("It is in use by another process.") from None
        # Another process may have replaced the file before this one had the lock.
        if is_open_at(file.fileno(), source.path):
            if source.day:
                _remove_leftovers(path, source)
            yield file
        else:
            yield None


def for_each_file(path: Path, selects: Callable[[Source], object], work: Work, wait: float = 0.0) -> list[Trouble]:
    """Lock and process each file of a log once, in its current format; return the files that failed, with their errors.

    Live files come first: what is closed meanwhile is processed with the closed files.

    Args:
        path: the live file of the log.
        selects: selects the files.
        work: is called with each selected file, open and locked.
        wait: how long to wait for each lock (seconds).
    """
    done: set[object] = set()
    troubles: list[Trouble] = []
    while todo := [source for source in sources(path) if selects(source) and _identity(source) not in done]:
        for source in sorted(todo, key=lambda source: source.day is not None):
            try:
                with exclusive(path, source, wait) as file:
                    if file is not None:
                        work(source, file)
                    elif source.day:
                        continue  # it has another format by now
            except Exception as error:
                if is_interruption(error):
                    raise
                troubles.append((source, error))
            done.add(_identity(source))
    return troubles


def _identity(source: Source) -> object:
    """Return what identifies a file in all its formats."""
    return key_of(source) if source.day else source.path


def _remove_leftovers(path: Path, source: Source) -> None:
    temporary_path(source.path).unlink(missing_ok=True)
    for file_format in FileFormat:
        if file_format > source.file_format:
            place = path_of(path, *key_of(source), file_format)
            temporary_path(place).unlink(missing_ok=True)
            place.unlink(missing_ok=True)


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
