"""The memory limit of a report from files."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

LEAST_DEFAULT = 512_000_000
"""The smallest default limit, in bytes."""
LEAST = 64_000_000
"""The smallest allowed limit, in bytes: DuckDB needs this much for each thread that reads JSON."""
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([MGT]i?B)", re.IGNORECASE)
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def parse_memory(text: str) -> int:
    """Return the bytes of a size like "512MB" or "2GB".

    Raises:
        ValueError: the text is no size, or less than 64 MB.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f'{text[:100]!r} is no size of a memory: write it as "512MB" or "2GB"')
    size = int(float(match[1]) * unit)
    if size < LEAST:
        raise ValueError(f"{text[:100]!r} is too little: 64MB at least")
    return size


def default_memory(limit: Path = _CGROUP_LIMIT) -> int:
    """Return a quarter of the memory of this machine or container, in bytes, and at least 512 MB.

    Args:
        limit: the file with the container's memory limit (cgroup v2).
    """
    sizes = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(ValueError, OSError):  # "max": no limit
        sizes.append(int(limit.read_text()))
    return max(min(sizes, default=0) // 4, LEAST_DEFAULT)


def format_size(size: int) -> str:
    """Format a number of bytes for people, like "2.5 GB" or "512 MB"."""
    return f"{size / 10**9:.1f} GB" if size >= 10**9 else f"{size // 10**6} MB"
