"""Which tests `make check` runs: those of the rooms that changed. Prints their folders, and says on standard error why.

"Changed" is what differs from the last commit. When nothing does, it is what differs from the main branch, or, where no
main branch is known, what the last commit changed. The folders of `ALWAYS` notice what breaks between the rooms.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALWAYS = ("docs", "whole")
_OTHER_FOLDERS = {
    ".ci": (),
    ".github": (),
    "benchmarks": (),
    "docs": (),
    "examples": ("cli", "frameworks"),
    "static": ("endpoints", "http", "pages"),
}
"""A folder beside `cookie_consent` and `tests` -> the rooms whose tests read its files, besides `ALWAYS`."""


def main() -> None:
    """Print the folders of the tests to run."""
    changed = changed_files(ROOT)
    rooms = None if changed is None else rooms_of(changed, ROOT)
    if rooms is None:
        why = "changes that concern all rooms" if changed else "Git names no change"
        print(f"Quick tests: of all rooms ({why}).", file=sys.stderr)
        folders = ["tests"]
    else:
        print(f"Quick tests: of {', '.join(rooms)}. Of all rooms: make check ARGS=tests", file=sys.stderr)
        folders = [f"tests/{room}" for room in rooms]
    print(*folders)


def rooms_of(changed: Iterable[str], root: Path) -> list[str] | None:
    """Return the rooms whose tests may notice a change; None if these are all.

    Args:
        changed: the paths of the changed files.
        root: the folder of the project, which they are relative to.
    """
    rooms = set(ALWAYS)
    for path in changed:
        top, *rest = Path(path).parts
        if top in ("cookie_consent", "tests") and len(rest) > 1 and (root / "tests" / rest[0]).is_dir():
            if rest[0] == "support":
                return None
            rooms.add(rest[0])
        elif rest and top in _OTHER_FOLDERS:
            rooms.update(_OTHER_FOLDERS[top])
        elif Path(path).suffix != ".md":
            return None
    return sorted(rooms - {"browser"})


def changed_files(root: Path) -> list[str] | None:
    """Return the paths of the changed files; None if there are none, or if Git does not know."""
    try:
        new = _git(root, "ls-files", "--others", "--exclude-standard")
        return [*_differing(root, "HEAD"), *new] or _differing(root, _base(root)) or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _base(root: Path) -> str:
    try:
        return _git(root, "merge-base", "HEAD", "origin/HEAD")[0].strip()
    except subprocess.CalledProcessError:
        return "HEAD~1"


def _differing(root: Path, commit: str) -> list[str]:
    return _git(root, "diff", "--name-only", "--no-renames", "--relative", commit)


def _git(root: Path, command: str, *arguments: str) -> list[str]:
    """Run a command of Git, and return what it prints, in parts that end with a zero byte or with the output."""
    zero = ["-z"] if command != "merge-base" else []
    done = subprocess.run(["git", command, *zero, *arguments], cwd=root, capture_output=True, check=True, timeout=60)
    return [part for part in done.stdout.decode("utf-8", "surrogateescape").split("\0") if part]


if __name__ == "__main__":
    main()
