"""Writes small tables in the MMDB format (MaxMind DB, version 2.0), so that tests need no table of somebody else's."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

_TEXT, _INTEGER_16, _INTEGER_32, _MAP, _INTEGER_64, _ARRAY = 2, 5, 6, 7, 9, 11
_SIZES = {_INTEGER_16: 2, _INTEGER_32: 4, _INTEGER_64: 8}
"""Kind of a number -> its bytes."""
_LONGEST, _LAST_SHORT_KIND = 28, 7
"""The longest value, and the last kind, that fit into one control byte."""
_MARKER = b"\xab\xcd\xefMaxMind.com"
_IPV4_BITS, _IPV6_BITS = 32, 128


def write_table(
    path: Path, countries: Mapping[str, str], *, kind: str = "GeoLite2-Country", ip_version: int = 6
) -> Path:
    """Write a table of countries.

    Args:
        path: the file to write.
        countries: network -> code of the country.
        kind: the type that the table says it has.
        ip_version: 6 for addresses of both versions, 4 for IPv4 alone.
    """
    entries = {
        network: {"continent": {"code": "??"}, "country": {"iso_code": code, "names": {"en": code}}}
        for network, code in countries.items()
    }
    return write_entries(path, entries, kind=kind, ip_version=ip_version)


def write_entries(path: Path, entries: Mapping[str, Any], *, kind: str, ip_version: int = 6) -> Path:
    """Write a table of any entries: maps, lists and texts, by network."""
    tree: list[list[Any]] = [[None, None]]
    data = b""
    for network, entry in entries.items():
        _insert(tree, _bits(ip_network(network), ip_version), len(data))
        data += _encoded(entry)
    path.write_bytes(
        b"".join(_node(pair, len(tree)) for pair in tree)
        + bytes(16)
        + data
        + _MARKER
        + _metadata(tree, kind, ip_version)
    )
    return path


def _bits(network: IPv4Network | IPv6Network, ip_version: int) -> str:
    """Return the bits of a network, from the root of the tree. IPv4 addresses are at ::/96 in a tree of IPv6."""
    if network.version > ip_version:
        raise ValueError(network)
    length = _IPV4_BITS if network.version == 4 else _IPV6_BITS
    bits = f"{int(network.network_address):0{length}b}"[: network.prefixlen]
    return bits if network.version == ip_version else "0" * (_IPV6_BITS - _IPV4_BITS) + bits


def _insert(tree: list[list[Any]], bits: str, offset: int) -> None:
    place = 0
    for bit in bits[:-1]:
        if tree[place][int(bit)] is None:
            tree[place][int(bit)] = [len(tree)]
            tree.append([None, None])
        (place,) = tree[place][int(bit)]
    tree[place][int(bits[-1])] = offset


def _node(pair: list[Any], count: int) -> bytes:
    """Return a node of two 32-bit numbers: of the next node, of nothing, or of an entry."""
    return struct.pack(
        ">II", *(count if side is None else side[0] if isinstance(side, list) else count + 16 + side for side in pair)
    )


def _metadata(tree: list[list[Any]], kind: str, ip_version: int) -> bytes:
    return _encoded(
        {
            "binary_format_major_version": (_INTEGER_16, 2),
            "binary_format_minor_version": (_INTEGER_16, 0),
            "build_epoch": (_INTEGER_64, 1_795_000_000),
            "database_type": kind,
            "description": {"en": "A table for tests"},
            "ip_version": (_INTEGER_16, ip_version),
            "languages": ["en"],
            "node_count": (_INTEGER_32, len(tree)),
            "record_size": (_INTEGER_16, 32),
        }
    )


def _encoded(value: Any) -> bytes:
    """Return a value as the format has it. A pair is a number, with its kind before it."""
    if isinstance(value, str):
        return _head(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return _head(_MAP, len(value)) + b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(map(_encoded, value))
    kind: int = value[0]
    number: int = value[1]
    size = _SIZES[kind]
    return _head(kind, size) + number.to_bytes(size, "big")


def _head(kind: int, size: int) -> bytes:
    """Return the control bytes of a value: its kind and its size."""
    if size > _LONGEST:
        raise ValueError(size)
    return bytes([kind << 5 | size] if kind <= _LAST_SHORT_KIND else [size, kind - _LAST_SHORT_KIND])
