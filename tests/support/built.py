"""Are the minified files in static/built/ made from the sources in static/? `make built` makes them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

STATIC = Path(__file__).parents[2] / "static"


def changed_sources(folder: Path = STATIC) -> list[str]:
    """Return the names of the scripts and style sheets that changed, came or went since they were minified."""
    try:
        known = json.loads((folder / "built" / "sources.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # never built, or the marks of a merge
        known = {}
    sources = [path for path in folder.iterdir() if path.suffix in (".css", ".js")]
    now = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}
    return sorted(name for name in now.keys() | known.keys() if now.get(name) != known.get(name))


def complaint(changed: list[str]) -> str:
    """Return what to do about changed sources."""
    return f"static/built/ was made before these changed: {', '.join(changed)}. Run `make built`."


if __name__ == "__main__":
    sys.exit(complaint(found) if (found := changed_sources()) else 0)
