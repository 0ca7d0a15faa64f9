"""Encodes long JSON in chunks, because the encoder holds the GIL and would keep all other threads waiting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

LARGEST_CHUNK = 64 * 1024
"""Bytes."""


def json_chunks(members: Mapping[str, object], largest: int = LARGEST_CHUNK) -> Iterator[bytes]:
    """Yield a JSON object in chunks, byte for byte as Starlette's `JSONResponse` encodes it.

    Args:
        members: the object's members, as plain data. An iterator becomes an array, encoded item by item.
        largest: the largest size of a chunk, in bytes.

    Raises:
        ValueError: a value is not valid in JSON.
    """
    chunk = bytearray()
    for piece in _pieces(members):
        chunk += piece
        while len(chunk) >= largest:
            yield bytes(chunk[:largest])
            del chunk[:largest]
    if chunk:
        yield bytes(chunk)


def _pieces(members: Mapping[str, object]) -> Iterator[bytes]:
    before = b"{"
    for name, value in members.items():
        yield before + _encoded(name) + b":"
        before = b","
        if isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield _encoded(value)
    yield b"}" if members else b"{}"


def _array(items: Iterable[object]) -> Iterator[bytes]:
    before = b"["
    for item in items:
        yield before + _encoded(item)
        before = b","
    yield b"]" if before == b"," else b"[]"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
