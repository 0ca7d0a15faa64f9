"""Is each room covered by its own tests? Prints what is not, and ends with 1 if a room is below its floor.

tests/conftest.py tells coverage which folder a test is of.
"""

from __future__ import annotations

import sys
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

ROOMS = Path("cookie_consent")
FLOOR = 95.0
"""Percent of the lines and branches."""
FURTHER = {"cli": "audit", "integrations": "frameworks"}
"""Room -> another folder of tests that is its own, too."""


def main() -> int:
    """Report on each room; return the exit status."""
    measured = Coverage()
    measured.load()
    below = []
    for room in sorted(path.parent.name for path in ROOMS.glob("*/__init__.py")):
        own_tests = [f"^({room}|{FURTHER.get(room, room)}|)$"]  # and what runs while a module is imported
        try:
            covered = measured.report(include=[f"{ROOMS}/{room}/*"], contexts=own_tests, skip_covered=True)
        except NoDataError:
            continue
        if covered < FLOOR:
            below.append(f"{room} ({covered:.1f} %)")
    if below:
        print(f"Of these rooms, their own tests cover less than {FLOOR:.0f} %: {', '.join(below)}", file=sys.stderr)
    return bool(below)


if __name__ == "__main__":
    sys.exit(main())
