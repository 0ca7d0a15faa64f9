"""The minified scripts and style sheets, each under an address with a hash of its content, and their tags."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from markupsafe import Markup

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_HERE = Path(__file__).parents[1]
_FOLDERS = (_HERE / "static" / "built", _HERE.parent / "static" / "built")
"""The folder of minified files in a wheel, and in an editable install."""


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


@cache
def assets() -> Mapping[str, Asset]:
    """Return the assets: file name in static/ -> asset."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.name: _asset(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}


def asset_address(base: str, name: str) -> str:
    """Return the address of an asset.

    Args:
        base: the address of the settings page.
        name: its file name in static/.
    """
    return f"{base}/assets/{assets()[name].name}"


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
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


def nonce_attribute(nonce: str) -> Markup:
    """Return the nonce attribute of a tag; empty without a nonce."""
    return Markup(' nonce="{}"').format(nonce) if nonce else Markup()


def link_styles(base: str, nonce: str, names: Iterable[str]) -> Markup:
    """Return the tags of stylesheets that are files.

    Args:
        base: the address of the settings page.
        nonce: the nonce for stylesheets; "" for none.
        names: their file names in static/.
    """
    tag = Markup('<link rel="stylesheet" href="{}"{}>')
    return Markup().join(tag.format(asset_address(base, name), nonce_attribute(nonce)) for name in names)


def write_styles(nonce: str, names: Iterable[str]) -> Markup:
    """Return stylesheets as a tag with their content. A link would make the page wait."""
    content = "".join(assets()[name].content.decode().strip() for name in names)
    begun = Markup('<style class="pchoice-style"{}>').format(nonce_attribute(nonce))
    return begun + Markup(content) + Markup("</style>")  # noqa: S704 (our own files)


def script_tag(base: str, nonce: str, name: str = "choices.js") -> Markup:
    """Return the tag of a script, which runs when the page has been read."""
    return Markup('<script type="module" src="{}"{}></script>').format(
        asset_address(base, name), nonce_attribute(nonce)
    )
