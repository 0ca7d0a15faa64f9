"""The browser's side: the files of static/, each under an address that changes with its content."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_COMMENTS = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)|/\*\* @type .*?\*/ ?", re.MULTILINE | re.DOTALL)
"""Comments at the beginning of a line, and types. Others within a line stay: what they follow could be a text."""
_BETWEEN_TOKENS = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|/[^/\s][^/\n]*/\S*)"""
    r"""| *(?P<sign>[*<>=!&|?:,;(){}[\]]+) *"""
)
"""Texts and regular expressions, which stay, and signs, which need no space around them. "a + +b" does need it."""
_GOES_ON = ";{}(,[|&?:=>"
_BEFORE_END = re.compile(r";(?=\})|,(?=[)}\]])")
_BETWEEN_RULES = re.compile(r"\s*([{};,]|\Z)\s*|(?<=[a-z]:) ")
_HERE = Path(__file__).parents[2]
_FOLDERS = (_HERE / "static", _HERE.parent / "static")
"""Where static/ lies in a wheel, and in a checkout that is installed editable."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that browsers load.

    Args:
        name: its hashed name, like "choices.3f2a9c01d4e8.js".
        media_type: its Content-Type.
        content: its bytes.
        compressed: the same, in gzip.
    """

    name: str
    media_type: str
    content: bytes
    compressed: bytes


def _smaller_script(source: str) -> str:
    """Return a script without comments, indentation, spaces between signs, and signs that only end the last of several.

    A line goes on in the next one only where no statement can end, nor a comment.
    """
    lines = [line for line in map(str.strip, _COMMENTS.sub("", source).splitlines()) if line]
    joined = "".join(line if line[-1] in _GOES_ON and "//" not in line else f"{line}\n" for line in lines)
    return _BETWEEN_TOKENS.sub(lambda found: found["text"] or _BEFORE_END.sub("", found["sign"]), joined).rstrip()


def _smaller_style(source: str) -> str:
    return _BETWEEN_RULES.sub(r"\1", " ".join(_COMMENTS.sub("", source).split()))


_SMALLER = {".js": _smaller_script, ".css": _smaller_style}


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets: plain file name -> asset."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.name: _asset(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}


def _asset(path: Path) -> Asset:
    content = _SMALLER[path.suffix](path.read_text(encoding="utf-8")).encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content, gzip.compress(content, mtime=0))


def script_address(traced: Iterable[str]) -> str:
    """Return the address of the script that sends events, as it stands below that of the assets.

    The script learns from it which purposes trace; of a visitor it is only known which purposes hold.

    Args:
        traced: the ids of the purposes that switch access tracing.
    """
    return f"{assets()['track.js'].name}?{urlencode([('for', id_) for id_ in sorted(traced)])}"
