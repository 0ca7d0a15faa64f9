"""Which tests one worker runs after each other."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

ENGINES = ("Chromium", "Firefox", "WebKit")


class ByFileAndEngine(LoadFileScheduling):  # type: ignore[misc]
    """Keeps together the tests of a file, or those of one browser in a file: each starts once what they share."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} {next((name for name in ENGINES if name in test.partition('[')[2]), '')}"
