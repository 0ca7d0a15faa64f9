"""Which tests one xdist worker runs in sequence."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

ENGINES = ("Chromium", "Firefox", "WebKit")


class ByFileAndEngine(LoadFileScheduling):  # type: ignore[misc]
    """Keeps the tests of a file on one worker, or the tests of one browser in a file, so that fixtures start once."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} {next((name for name in ENGINES if name in test.partition('[')[2]), '')}"

    def mark_test_pending(self, item: str) -> None:
        """Let a test run again whose worker has ended.

        pytest-rerunfailures calls this, for the tests that it may run again. xdist has put the test back already.
        """
