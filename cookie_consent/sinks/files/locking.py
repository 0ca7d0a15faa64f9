"""How files of a log are changed: by one process at a time, and replaced atomically, even if the machine stops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedRandom
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.files import open_file, set_mode_and_owner, sync_folder
from cookie_consent.sinks.files.closed_files import FileFormat, Source, key_of, path_of, sources
from cookie_consent.sinks.optional import is_interruption

Work = Callable[[Source, BufferedRandom], object]
Trouble = tuple[Source, Exception]


@contextmanager
def replacing(target: Path, like: BufferedIOBase) -> Iterator[Path]:
    """Yield the path of a new, empty file, which replaces the target after the block.

    Args:
        target: the file to create or replace. Its folder is created.
        like: an open file whose owner and mode the new file gets. So the server can still change files after a command
            that root ran.
    """
    original = os.fstat(like.fileno())
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


def is_open_at(descriptor: int, path: Path) -> bool:
    """Return whether a path names this open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def remove(path: Path, source: Source, before: FileFormat | None = None) -> None:
    """Remove all formats of a closed file. The caller has the lock.

    The format that counts is removed last, so that a kill leaves a whole file.

    Args:
        path: the live file of the log.
        source: the closed file in the format that counts.
        before: its new format, which stays, as do later ones; None to remove all.
    """
    for file_format in sorted(FileFormat, reverse=True):
        if source.file_format <= file_format and (before is None or file_format < before):
            path_of(path, *key_of(source), file_format).unlink(missing_ok=True)


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
