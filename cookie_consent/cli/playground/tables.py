"""The tables of a TOML text, with their lines, so that an edit can leave all other lines as they are."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_TOKENS = re.compile(
    r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*|\n|[^"\'#\n]+|["\']', re.DOTALL
)
_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)(\]\]?)\s*(#.*)?")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML text.

    Args:
        path: the keys in its header: ("purposes", "media").
        first: the index of the line with the header.
        last: the index after its last line. Comments that follow after a blank line are not part of it.
        values: its keys and values.
    """

    path: tuple[str, ...]
    first: int
    last: int
    values: Mapping[str, Any]


def tables(lines: list[str]) -> list[Table]:
    """Return the tables of a TOML text, without what stands before the first one.

    Args:
        lines: the lines of the text, without their line ends.
    """
    in_text = set(_lines_in_texts("\n".join(lines)))
    headers = [number for number, line in enumerate(lines) if number not in in_text and _path(line)]
    return [_table(lines, first, end, in_text) for first, end in pairwise([*headers, len(lines)])]


def _table(lines: list[str], first: int, end: int, in_text: set[int]) -> Table:
    last = first + 1
    for number in range(first + 1, end):
        if number in in_text or (lines[number].strip() and not _is_comment(lines[number])):
            last = number + 1
    comments = last
    while comments < end and _is_comment(lines[comments]):
        comments += 1
    # A comment that touches the next header is about that table.
    if comments < end or end == len(lines):
        last = comments
    path = _path(lines[first])
    return Table(path, first, last, _values("\n".join(lines[first:last]), path))


def _values(text: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    found: Any = tomllib.loads(text)
    for key in path:
        found = found[key]
    values: Mapping[str, Any] = found[0] if isinstance(found, list) else found
    return values


def _path(line: str) -> tuple[str, ...]:
    """Return the keys in a header, or () if the line is none."""
    match = _HEADER.fullmatch(line)
    if match is None or len(match[1]) != len(match[3]):
        return ()
    try:
        found: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while found:
        ((key, found),) = found.items()
        path.append(key)
        if isinstance(found, list):
            (found,) = found
    return tuple(path)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _lines_in_texts(text: str) -> Iterator[int]:
    """Yield the indexes of the lines that begin inside a text of several lines."""
    number = 0
    for part in tokens(text):
        newlines = part.count("\n")
        if part != "\n":
            yield from range(number + 1, number + newlines + 1)
        number += newlines


def tokens(text: str) -> list[str]:
    """Return the quoted texts, the comments, the line ends and what stands between them. Together they are the text."""
    return _TOKENS.findall(text)
