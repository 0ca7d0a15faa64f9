"""Header fields: as bytes, and what Vary and Cache-Control say (RFC 9110, 12.5.5; RFC 9111, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from cookie_consent.base.cookies import Headers

_PART = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_CDN_FIELDS = (b"-cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control")
"""Ends of the names of fields that some caches prefer to Cache-Control: targeted fields such as CDN-Cache-Control (RFC
9213), nginx's, those of the Edge Architecture Specification, and Akamai's."""


def plain_fields(headers: Iterable[Sequence[Any]]) -> Headers:
    """Return header fields as bytes, whatever kinds of bytes or texts they are."""
    return [(_plain(name), _plain(value)) for name, value in headers]


def _plain(part: Any) -> bytes:
    return part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)


def depend_on(fields: Headers, names: Iterable[bytes]) -> Headers:
    """Return the header fields of a private response that depends on fields of the request.

    One Vary and one Cache-Control have what the app's say. The fields that single caches prefer to it are left out.
    """
    others = Headers()
    vary = b""
    control = b""
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"vary":
            vary += value + b","
        elif lowered == b"cache-control":
            control += value + b","
        elif not lowered.endswith(_CDN_FIELDS):
            others.append((name, value))
    return [*others, *_make_private(vary, control, tuple(names))]


@lru_cache(maxsize=256)
def _make_private(vary: bytes, control: bytes, names: tuple[bytes, ...]) -> Headers:
    """Return Vary and Cache-Control. There are as many as the app has kinds of pages."""
    varying = _split_list(vary)
    present = {word.lower() for word in varying}
    if b"*" not in present:
        varying.extend(name for name in names if name.lower() not in present)
    directives = [word for word in _split_list(control) if not _is_for_shared(word)]
    if not any(word.lower() in (b"private", b"no-store") for word in directives):
        directives.append(b"private")
    return [(b"vary", b", ".join(varying)), (b"cache-control", b", ".join(directives))]


def is_shared(headers: Headers) -> bool:
    """Return whether a response says that shared caches may keep it: by "public" or "s-maxage" in Cache-Control."""
    values = [value for name, value in headers if name.lower().endswith(b"cache-control")]
    return any(_is_for_shared(word) for word in _split_list(b",".join(values)))


def _split_list(value: bytes) -> list[bytes]:
    """Return the parts of a field that are separated by commas outside quotes."""
    return [word for part in _PART.findall(value) if (word := part.strip())]


def _is_for_shared(directive: bytes) -> bool:
    return directive.partition(b"=")[0].strip().lower() in (b"public", b"s-maxage")
