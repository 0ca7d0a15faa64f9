"""What a response says to caches (RFC 9110 section 12.5.5, RFC 9111 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

Headers = list[tuple[bytes, bytes]]

_DIRECTIVE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_SHARED = (b"public", b"s-maxage")


def depending_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return the header fields of a response that depends on these request fields and is for one visitor."""
    for name, _ in headers:
        if name[-13:].lower() == b"cache-control" or name.lower() == b"vary":
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

    Fields for certain caches (RFC 9213: CDN-Cache-Control and its like) are changed alike, since those caches read
    them in place of Cache-Control.
    """
    targeted = {name.lower() for name, _ in headers if name[-13:].lower() == b"cache-control"}
    for target in targeted | {b"cache-control"}:
        headers = _private(headers, target)
    return headers


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
