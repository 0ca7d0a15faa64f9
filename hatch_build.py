"""A hook of Hatchling, the build backend: the long description."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK_TO_FILE = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?P<file>(?!\w+:|#)[^)]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Makes README.md the long description, which a package index shows without the files that it links to.

    Where `[project.urls]` names the `Repository`, links to files lead there, to the tag of this version.
    """

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the long description to the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository := metadata.get("urls", {}).get("Repository"):
            text = _with_links_to(repository.rstrip("/"), f"v{metadata['version']}", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def _with_links_to(repository: str, tag: str, text: str) -> str:
    """Return a Markdown text whose links to files lead to a repository; pictures are loaded from there."""

    def absolute(link: re.Match[str]) -> str:
        kind = "raw" if link["image"] else "blob"
        return f"{link['image']}{link['text']}({repository}/{kind}/{tag}/{link['file']})"

    return _LINK_TO_FILE.sub(absolute, text)
