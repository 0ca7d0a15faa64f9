"""What a browser says by itself: Global Privacy Control and Do Not Track."""

from __future__ import annotations

from collections.abc import Iterable

GPC_FIELD = b"sec-gpc"
DNT_FIELD = b"dnt"


def read_signals(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[str]:
    """Return the names of the signals that a request's header fields carry: "gpc", "dnt" or both.

    A signal is there if any of its fields is exactly "1" (Global Privacy Control, section "The Sec-GPC Header
    Field"); every other value is as good as none, and none is never consent.
    """
    found = set()
    for name, value in headers:
        if value == b"1":
            if name == GPC_FIELD:
                found.add("gpc")
            elif name == DNT_FIELD:
                found.add("dnt")
    return frozenset(found)
