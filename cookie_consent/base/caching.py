"""What a response says to caches (RFC 9110 section 12.5.5, RFC 9111 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

Headers = list[tuple[bytes, bytes]]

ONLY_BYTES = frozenset({bytes})
"""The types that names and values of header fields have; apps also send other kinds of bytes, and texts."""

_DIRECTIVE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_SHARED = (b"public", b"s-maxage")
_OF_ONE_CACHE = {
    b"x-accel-expires": (b"0", b""),
    b"surrogate-control": (b"no-store", b"content"),
    b"edge-control": (b"no-store", b"dca"),
}
"""Fields that single caches read before Cache-Control (nginx; the Edge Architecture Specification; Akamai) -> what they
say of a private response, and the directive that is no matter of keeping it and stays."""
_TARGETED = b"cache-control"
"""So end the names of the fields for certain caches (RFC 9213)."""

OF_CACHES = (b"vary", _TARGETED, *_OF_ONE_CACHE)
"""So end the names, in small letters, of the fields that `depending_on` may change."""


def plain_fields(headers: Iterable[Sequence[Any]]) -> Headers:
    """Return header fields as bytes, whatever kind of bytes or text an app or a server made them of."""
    return [(_plain(name), _plain(value)) for name, value in headers]


def _plain(part: Any) -> bytes:
    return part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)


def depending_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return the header fields of a response that depends on these request fields and is for one visitor."""
    for name, _ in headers:
        if name.lower().endswith(OF_CACHES):
            return keep_private(vary_on(headers, names))
    return [*headers, (b"vary", b", ".join(names)), (b"cache-control", b"private")]


def vary_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return header fields whose Vary names these request fields too, each once."""
    own = [value for name, value in headers if len(name) == len(b"vary") and name.lower() == b"vary"]
    said = {word.strip().lower() for value in own for word in value.split(b",")}
    missing = [] if b"*" in said else [name for name in names if name.lower() not in said]
    if not missing:
        return headers
    for position, (name, value) in enumerate(headers):
        if name.lower() == b"vary" and value.strip():
            merged = (name, b", ".join([value, *missing]))
            return [*headers[:position], merged, *headers[position + 1 :]]
    return [*headers, (b"vary", b", ".join(missing))]


def keep_private(headers: Headers) -> Headers:
    """Return header fields that let no shared cache keep the response, and otherwise say what they said.

    Fields for certain caches (RFC 9213: CDN-Cache-Control and its like; X-Accel-Expires, Surrogate-Control and
    Edge-Control) are changed alike, since those caches read them in place of Cache-Control.
    """
    headers = [(name, _of_one_cache(name.lower(), value)) for name, value in headers]
    targeted = {name.lower() for name, _ in headers if name[-len(_TARGETED) :].lower() == _TARGETED}
    for target in targeted | {_TARGETED}:
        headers = _private(headers, target)
    return headers


def _of_one_cache(name: bytes, value: bytes) -> bytes:
    """Return what a field for a single cache says of a private response; others say what they said."""
    if name not in _OF_ONE_CACHE:
        return value
    said, kept = _OF_ONE_CACHE[name]
    directives = [part.strip() for part in _DIRECTIVE.findall(value)] if kept else []
    return b", ".join([said, *(part for part in directives if part.partition(b"=")[0].strip().lower() == kept)])


def _private(headers: Headers, target: bytes) -> Headers:
    kept: Headers = []
    is_private = False
    position = None
    for name, value in headers:
        if name.lower() == target:
            directives = [part for match in _DIRECTIVE.findall(value) if (part := match.strip())]
            is_private |= any(directive.lower() in (b"private", b"no-store") for directive in directives)
            value = b", ".join(directive for directive in directives if not _is_shared(directive))
            if not value:
                continue
            position = len(kept)
        kept.append((name, value))
    if is_private:
        return kept
    if position is None:
        return [*kept, (target, b"private")]
    kept[position] = (kept[position][0], kept[position][1] + b", private")
    return kept


def _is_shared(directive: bytes) -> bool:
    return directive.partition(b"=")[0].strip().lower() in _SHARED
