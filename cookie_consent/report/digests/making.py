"""Makes the digests of a log in files: one beside each closed file, and blocks of 64 days that join them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cookie_consent.report.digests.about import About, Part, identity, key_check, overlapping, schema
from cookie_consent.report.digests.blocks import (
    can_extend,
    fill_block,
    fill_firsts,
    find_seen,
    goes_on,
    needed_blocks,
)
from cookie_consent.report.digests.database import (
    DamagedDigestError,
    attached,
    is_undamaged,
    read_about,
    reading_digests,
    write_about,
)
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.file_facts import add_all, find_sessions, read_file
from cookie_consent.report.digests.key import make_key
from cookie_consent.report.engines.duckdb_files import connected
from cookie_consent.report.memory import LEAST, default_memory
from cookie_consent.sinks.files.atomic import replacing
from cookie_consent.sinks.files.closed_files import Source, retry_if_moved, sources
from cookie_consent.sinks.files.digest_files import (
    block_path,
    blocks_of,
    digest_folder,
    digest_path,
    digests_of,
    firsts_path,
    making_digests,
    name_of,
    remove_block,
    remove_leftovers,
    unfinished,
    write_names,
)

_SMALL, _LARGE = 16_384, 262_144
"""The size of a block of a database (bytes): the digest of a small file is small, and large blocks take less time."""
_LARGE_FILE = 2_000_000
"""The bytes of a file whose digest has large blocks."""


@dataclass(frozen=True, slots=True)
class Digested:
    """What was done.

    Args:
        digests: how many digests of files were made.
        blocks: how many blocks of days were made; None for a database, which has none.
        damaged: files that cannot be read, each with the reason; they have no digest.
        busy: True if another process makes digests now; nothing was done.
    """

    digests: int
    blocks: int | None
    damaged: tuple[str, ...] = ()
    busy: bool = False


def digest(
    path: Path,
    zone: str = "UTC",
    memory: int | None = None,
    seen: Callable[[int], object] = lambda number: None,
) -> Digested:
    """Make the digests of all closed files of a log that lack one, and join them; remove those that no longer count.

    It is safe to run while other processes write, read, compact or erase. A kill at any moment leaves nothing wrong.

    Args:
        path: the live file.
        zone: the time zone of the days.
        memory: the bytes that it may take; None for a quarter of the machine's, and at least 512 MB.
        seen: is called with the number of files done so far.

    Raises:
        UnreadableError: memory or disk is too small, or DuckDB is missing.
        OSError: a digest cannot be written.
    """
    closed = [source for source in sources(path) if source.day]
    if not closed:
        remove_leftovers(path)
        return Digested(0, 0)
    like = closed[-1].path.stat()
    _make_folder(path, closed[-1])
    with suppress(BlockingIOError), making_digests(path):
        for file in unfinished(path):
            file.unlink(missing_ok=True)
        memory = memory or default_memory()
        with connected(path, memory) as connection:
            connection.execute("SET threads = 1")  # several wait for one another, and take longer in all
            connection.execute("SET wal_autocheckpoint = '1KB'")  # a new database needs no log of what is written
            maker = Maker(FactsReader(connection, path, memory), path, make_key(path, like), zone)
            return maker.make(seen)
    return Digested(0, 0, busy=True)


class Maker:
    """Makes the digests of a log.

    Args:
        reader: computes facts.
        path: the live file.
        key: the key of the log.
        zone: the time zone of the days.
    """

    def __init__(self, reader: FactsReader, path: Path, key: str, zone: str) -> None:
        self._reader, self._path, self._key, self._zone = reader, path, key, zone
        self._damaged: list[str] = []
        self._made = 0

    def make(self, seen: Callable[[int], object]) -> Digested:
        """Make what is missing for the closed files of the log, also if some are compacted or purged meanwhile."""
        return retry_if_moved(self._path, lambda found: self._try([source for source in found if source.day], seen))

    def _try(self, closed: list[Source], seen: Callable[[int], object]) -> Digested:
        try:
            with reading_digests():
                return self._make(closed, seen)
        except (DamagedDigestError, FileNotFoundError):  # an erasure may have removed a digest that was just found
            for file in (*digests_of(self._path), *blocks_of(self._path).values()):
                if not is_undamaged(self._reader, file):
                    file.unlink(missing_ok=True)
        return self._make(closed, seen)

    def _make(self, closed: list[Source], seen: Callable[[int], object]) -> Digested:
        self._damaged = []
        files = {name_of(source): source for source in closed}
        identities = {name: identity(source) for name, source in files.items()}
        parts: dict[str, Part] = {}
        for number, source in enumerate(closed, 1):
            about = read_about(self._reader, digest_path(self._path, source))
            if about is None or not self._is_valid(about, identities, parts):
                about = self._digest(source, parts, files)
                self._made += about is not None
            if about:
                parts |= about.parts
            seen(number)
        blocks = needed_blocks(parts)
        joined = sum(self._join(number, names, parts, files) for number, names in blocks.items())
        self._join_firsts(parts, files)
        keep = {digest_path(self._path, files[name]) for name in parts}
        keep |= {block_path(self._path, number) for number in blocks}
        _remove_others(self._path, keep | ({firsts_path(self._path)} if parts else set()))
        return Digested(self._made, joined, tuple(self._damaged))

    def _about(self, parts: Mapping[str, Part]) -> About:
        return About(schema(), key_check(self._key), self._zone, parts)

    def _is_valid(self, about: About, identities: Mapping[str, str], parts: Mapping[str, Part]) -> bool:
        if not about.is_valid(self._key, self._zone, identities):
            return False
        ((_, part),) = about.parts.items()
        return dict(part.without) == {name: other.file for name, other in overlapping(part, parts).items()}

    def _digest(self, source: Source, earlier: Mapping[str, Part], files: Mapping[str, Source]) -> About | None:
        """Make the digest of a file; return None if the file is damaged."""
        reader, before = self._reader, identity(source)
        given, damaged = read_file(reader, source, self._zone, self._key)
        if damaged:
            self._damaged += map(str, damaged)
            return None
        oldest, newest = reader.times() or (0, -1)
        part = Part(before, oldest, newest)
        others = overlapping(part, earlier)
        for name, other in others.items():
            reader.drop_known(files[name], max(oldest, other.oldest), min(newest, other.newest))
        find_sessions(reader)
        part = replace(part, days=reader.days(given), without={name: other.file for name, other in others.items()})
        about = self._about({name_of(source): part})
        size = _SMALL if source.path.stat().st_size < _LARGE_FILE else _LARGE
        with self._database(digest_path(self._path, source), source, size):
            reader.script("tables", db="made", is_block=False)
            add_all(reader, given, self._key, "made")
            write_about(reader, "made", about)
        if not _is_still(source, before):  # erased meanwhile: it must not come back
            digest_path(self._path, source).unlink(missing_ok=True)
            return None
        return about

    def _join(self, number: int, names: list[str], parts: Mapping[str, Part], files: Mapping[str, Source]) -> bool:
        """Make a block unless it is there; tell whether it was made."""
        place = block_path(self._path, number)
        about = self._about({name: parts[name] for name in names})
        known = read_about(self._reader, place)
        if known == about or not _are_still(about.parts, files):
            return False
        digests = {name: digest_path(self._path, files[name]) for name in names}
        added = self._added(place, known, about, digests)
        earlier = [name for name in names if name not in added]
        with files[names[-1]].path.open("rb") as like:
            write_names(place, {*names, *(known.parts if known else ())}, like)
        with self._database(place, files[names[-1]], copied=bool(earlier)):
            newest = max(part.newest for part in parts.values())
            add_far_edges = partial(self._add_far_edges, list(added), earlier, parts, files)
            fill_block(self._reader, number, about, added, newest, add_far_edges)
            self._reader.script("drop_block")
        if not _are_still(about.parts, files):
            remove_block(place)
        return True

    def _added(self, place: Path, known: About | None, wanted: About, digests: dict[str, Path]) -> dict[str, Path]:
        """Return the digests to add to a block that is there: all of them if it has to be made at once."""
        if not known or not can_extend(known, wanted):
            return digests
        later = {name: file for name, file in digests.items() if name not in known.parts}
        with attached(self._reader, place, "known"):
            return digests if goes_on(self._reader, list(later.values())) else later

    def _join_firsts(self, parts: Mapping[str, Part], files: Mapping[str, Source]) -> None:
        """Write on which day each visitor was first seen, unless that is there."""
        place, about = firsts_path(self._path), self._about(parts)
        if not parts or read_about(self._reader, place) == about or not _are_still(parts, files):
            return
        find_seen(self._reader, [digest_path(self._path, files[name]) for name in parts])
        with self._database(place, files[list(parts)[-1]]):
            fill_firsts(self._reader, about)
        if not _are_still(parts, files):
            place.unlink(missing_ok=True)

    def _add_far_edges(
        self, added: list[str], earlier: list[str], parts: Mapping[str, Part], files: Mapping[str, Source]
    ) -> None:
        reader = self._reader
        for number, oldest, newest in reader.read_script("far_stays"):
            of_time = overlapping(Part("", oldest, newest), {name: parts[name] for name in earlier})
            for name in of_time if number < 0 else [added[number]]:
                reader.load_whole(files[name], self._zone, self._key)
                reader.drop_repeated(parts[name], parts, files)
                reader.script("far_edges", file=number)

    @contextmanager
    def _database(
        self, place: Path, source: Source, block_size: int = _LARGE, *, copied: bool = False
    ) -> Iterator[None]:
        """Attach a database as "made", which replaces a file after the block: a copy of it, or a new one."""
        with source.path.open("rb") as like, replacing(place, like) as new:
            if copied:
                shutil.copyfile(place, new)
            else:
                new.unlink()  # DuckDB takes no empty file
            with (
                _without(new.with_name(f"{new.name}.wal")),
                attached(self._reader, new, "made", block_size=block_size),
            ):
                self._reader.execute("BEGIN")  # one write to the disk for all statements
                yield
                self._reader.execute("COMMIT")


@contextmanager
def _without(file: Path) -> Iterator[None]:
    """Remove a file before and after the block.

    DuckDB leaves its log of what it writes if the disk is full, and would write that into the next of the name.
    """
    file.unlink(missing_ok=True)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def zone_of(path: Path) -> str | None:
    """Return the time zone of the digests of a log; None if it has none.

    Args:
        path: the live file.
    """
    files = [file for file in (firsts_path(path), *digests_of(path)) if file.is_file()]
    if not files:
        return None
    with connected(path, LEAST) as connection:
        reader = FactsReader(connection, path, LEAST)
        found = (read_about(reader, file) for file in files)
        return next((about.zone for about in found if about), None)


def _is_still(source: Source, known: str) -> bool:
    """Tell whether a file is there and as it was."""
    try:
        return identity(source) == known
    except FileNotFoundError:
        return False


def _are_still(parts: Mapping[str, Part], files: Mapping[str, Source]) -> bool:
    return all(_is_still(files[name], part.file) for name, part in parts.items())


def _make_folder(path: Path, source: Source) -> None:
    folder = digest_folder(path)
    if not folder.is_dir():
        with source.path.open("rb") as like, replacing(folder / ".lock", like):
            pass


def _remove_others(path: Path, keep: set[Path]) -> None:
    for file in (*digests_of(path), firsts_path(path)):
        if file not in keep:
            file.unlink(missing_ok=True)
    for block in blocks_of(path).values():
        if block not in keep:
            remove_block(block)
