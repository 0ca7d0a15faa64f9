"""Reads docs/frameworks.md: what a newcomer saves and types.

It begins with what is the same for all frameworks. Then each has a section with what is its own:

- A file is a block after the line "Save this as `app.py`:". It is complete: it runs as it stands. The home page "/"
  shows the feature `map` of the file that `cookie-consent init` writes: its text is `SHOWN` with consent, and without
  it the feature's fallback.
- Each other block of Python stands word for word in `examples/frameworks/NAME_app.py`, which a test visits, or in
  another `NAME_*.py` there. It may be indented less there or here.
- A block of the kind "toml" has `[[cookies]]` of the framework's own cookies, ready to paste. A test has the framework
  set these cookies, and holds names and durations against the block.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "frameworks"
SHOWN = "Here is the map."
"""What the home page of each page's app.py says if the feature is available."""
FALLBACK = "The map is switched off."
"""How the fallback of the feature begins."""

_BLOCK = re.compile(r"^(?:Save this as `(?P<file>[^`]+)`:\n\n)?```(?P<kind>\S+)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Args:
        kind: its kind, as after the three backticks.
        text: what it says.
        file: the name of the file to save it as; "" for none.
    """

    kind: str
    text: str
    file: str


@dataclass(frozen=True)
class Page:
    """What docs/frameworks.md says of a framework.

    Args:
        name: the framework's name in lower case; "" for what is the same for all.
        text: the Markdown.
    """

    name: str
    text: str

    @cached_property
    def blocks(self) -> list[Block]:
        """The page's blocks, in order."""
        return [Block(found["kind"], found["text"], found["file"] or "") for found in _BLOCK.finditer(self.text)]

    @property
    def files(self) -> dict[str, str]:
        """Name -> text of the files to save."""
        return {block.file: block.text for block in self.blocks if block.file}

    @property
    def commands(self) -> list[str]:
        """What a newcomer types, in order."""
        typed = [block.text for block in self.blocks if block.kind == "console"]
        return [line.removeprefix("$ ") for text in typed for line in text.splitlines()]

    @property
    def excerpts(self) -> list[str]:
        """The blocks of Python that are part of the example, without common indentation."""
        return [textwrap.dedent(block.text) for block in self.blocks if block.kind == "python" and not block.file]

    @property
    def cookies(self) -> str:
        """All blocks of `[[cookies]]`, as one text of TOML."""
        return "\n".join(block.text for block in self.blocks if block.kind == "toml")

    @property
    def example(self) -> Path:
        """The example that most of the page's excerpts are from."""
        return EXAMPLES / f"{self.name}_app.py"

    @property
    def example_text(self) -> str:
        """The example, and what belongs to it; all of them for what is common."""
        files = sorted(EXAMPLES.glob(f"{self.name or '*'}_*.py"))
        return "\n".join(path.read_text(encoding="utf-8") for path in files)


def page(name: str) -> Page:
    """Return what is said of a framework.

    Args:
        name: the framework's name in lower case.
    """
    return next(page for page in PAGES if page.name == name)


_BEFORE, _OWN = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8").split("\n## Starlette\n")
COMMON = Page("", _BEFORE)
PAGES = [Page(section.partition("\n")[0].lower(), section) for section in f"Starlette\n{_OWN}".split("\n## ")]
