"""What a digest, or a block of days, is made of. It counts only while all of that is as it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from cookie_consent.report.digests.kinds import KINDS
from cookie_consent.sinks.files.closed_files import Source
from cookie_consent.sinks.optional import duckdb

_SQL = Path(__file__).parents[1] / "sql"


def identity(source: Source) -> str:
    """Return what changes when somebody writes a file anew.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(source.path)
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


@cache
def schema() -> str:
    """Return what changes when digests are computed in another way."""
    return schema_of(f"{duckdb().__version__} {KINDS}")


def schema_of(kinds: str) -> str:
    """Return what changes with a description of the kinds of facts, or with any SQL text."""
    digest = hashlib.sha256(kinds.encode())
    for file in sorted(_SQL.rglob("*.sql")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def key_check(key: str) -> str:
    """Return what tells a key from others, and does not reveal it."""
    return hashlib.sha256(f"check {key}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Part:
    """One closed file in a digest.

    Args:
        file: the identity of the file.
        oldest: the time of its oldest record, in milliseconds since 1970.
        newest: the time of its newest record.
        days: the days with activity, as days since 1970.
        without: the identities of the files, by name, whose records it does not repeat.
    """

    file: str
    oldest: int
    newest: int
    days: Sequence[int] = ()
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class About:
    """What a digest or a block is made of.

    Args:
        schema: how it was computed.
        key: the check of the key of its visitors.
        zone: the time zone of its days.
        parts: the files, by name.
    """

    schema: str
    key: str
    zone: str
    parts: Mapping[str, Part]

    def as_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> About:
        """Return what `as_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "parts": {name: Part(**part) for name, part in values["parts"].items()}})

    def is_valid(self, key: str, zone: str, identities: Mapping[str, str]) -> bool:
        """Tell whether it counts.

        Args:
            key: the key of the log.
            zone: the wanted time zone.
            identities: the identities of all closed files, by name.
        """
        return (self.schema, self.key, self.zone) == (schema(), key_check(key), zone) and all(
            identities.get(name) == part.file
            and all(identities.get(other) == known for other, known in part.without.items())
            for name, part in self.parts.items()
        )


def overlapping(part: Part, others: Mapping[str, Part]) -> dict[str, Part]:
    """Return the files with records from the same time as another's. Only they may repeat its records."""
    return {
        name: other
        for name, other in others.items()
        if other is not part and other.oldest <= part.newest and part.oldest <= other.newest
    }
