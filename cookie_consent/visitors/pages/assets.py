"""The scripts and style sheets in static/, minified, each under an address with a hash of its content."""

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
"""Comments at the beginning of a line, and type annotations. Comments after code stay, because "//" can be part of a
string."""
_BETWEEN_TOKENS = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|/[^/\s][^/\n]*/\S*)"""
    r"""| *(?P<sign>[*<>=!&|?:,;(){}[\]]+) *"""
)
"""Strings and regular expressions, which stay unchanged, and signs that need no space around them. "+" and "-" are
not among them: "a + +b" needs its spaces."""
_GOES_ON = ";{}(,[|&?:=>"
_BEFORE_END = re.compile(r";(?=\})|,(?=[)}\]])")
_BETWEEN_RULES = re.compile(r"\s*([{};,]|\Z)\s*|(?<=[a-z]:) ")
_HERE = Path(__file__).parents[2]
_FOLDERS = (_HERE / "static", _HERE.parent / "static")
"""The folder static/ in a wheel, and in an editable install."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that browsers load.

    Args:
        name: its name with a hash, like "choices.3f2a9c01d4e8.js".
        media_type: its Content-Type.
        content: its bytes.
        compressed: its bytes in gzip.
    """

    name: str
    media_type: str
    content: bytes
    compressed: bytes


def _minified_script(source: str) -> str:
    """Return a script without comments, indentation and unneeded spaces, semicolons and commas.

    Lines are joined only after a sign that cannot end a statement, and never after a comment.
    """
    lines = [line for line in map(str.strip, _COMMENTS.sub("", source).splitlines()) if line]
    joined = "".join(line if line[-1] in _GOES_ON and "//" not in line else f"{line}\n" for line in lines)
    return _BETWEEN_TOKENS.sub(lambda match: match["text"] or _BEFORE_END.sub("", match["sign"]), joined).rstrip()


def _minified_style(source: str) -> str:
    return _BETWEEN_RULES.sub(r"\1", " ".join(_COMMENTS.sub("", source).split()))


_MINIFIERS = {".js": _minified_script, ".css": _minified_style}


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets: file name in static/ -> asset."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.name: _asset(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}


def _asset(path: Path) -> Asset:
    content = _MINIFIERS[path.suffix](path.read_text(encoding="utf-8")).encode()
    digest = hashlib.sha256(content).hexdigest()[:12]
    # `mtime=0` makes the bytes the same in every process.
    return Asset(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], content, gzip.compress(content, mtime=0))


def script_address(traced: Iterable[str]) -> str:
    """Return the address of the script that sends events, relative to the folder of assets.

    The query tells the script which purposes allow tracing. The page itself only says which purposes are allowed.

    Args:
        traced: the ids of the purposes that allow access tracing.
    """
    return f"{assets()['track.js'].name}?{urlencode([('for', id_) for id_ in sorted(traced)])}"
