"""Reads the browser's signals: Global Privacy Control and Do Not Track."""

from __future__ import annotations

from collections.abc import Iterable

GPC_FIELD = b"sec-gpc"
DNT_FIELD = b"dnt"


def read_signals(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[str]:
    """Return the names of the signals in a request's header fields: "gpc", "dnt", both or none.

    A signal is present if one of its fields is exactly "1" (Global Privacy Control, section "The Sec-GPC Header
    Field"). Any other value is ignored. The absence of a signal is never consent.
    """
    signals = set()
    for name, value in headers:
        if value == b"1":
            if name == GPC_FIELD:
                signals.add("gpc")
            elif name == DNT_FIELD:
                signals.add("dnt")
    return frozenset(signals)
