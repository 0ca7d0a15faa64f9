"""What Lighthouse says of pages with the banner, and of the settings page: accessibility and best practices.

Run as `python -m benchmarks.lighthouse` from the root of the checkout; Chromium opens the pages, npm gets Lighthouse.
The pages are those of the tests' museum, so what costs points is the package's, and not the site's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cookie_consent.demo_site import LOOPBACK, started

ROOT = Path(__file__).parent.parent
TOOL = Path(__file__).parent / "lighthouse"
CATEGORIES = ("accessibility", "best-practices")
PAGES = {
    "the question": "/corner/en/",
    "the question in a bar": "/bar/en/",
    "the question in a dialog": "/modal/en/",
    "the question in Arabic": "/corner/ar/",
    "with the added link": "/linked/en/",
    "a page that is off": "/corner/en/film",
    "the settings page": "/corner/privacy-choices?language=en",
}
"""What is judged -> its path."""


@dataclass(frozen=True)
class Verdict:
    """What Lighthouse says of a page.

    Args:
        scores: category -> points, 100 at most.
        costs: what costs points.
    """

    scores: dict[str, int]
    costs: list[str]

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Verdict:
        """Sums a report up."""
        categories = {name: report["categories"][name] for name in CATEGORIES}
        names = [audit["id"] for category in categories.values() for audit in category["auditRefs"] if audit["weight"]]
        audits = [report["audits"][name] for name in names]
        costs = [audit["title"] for audit in audits if audit["score"] is not None and audit["score"] < 1]
        return cls({name: round(100 * category["score"]) for name, category in categories.items()}, costs)


def install() -> None:
    """Gets Lighthouse from the npm registry, in the versions of the lock file, where it is not there yet."""
    installed, locked = TOOL / "node_modules" / ".package-lock.json", TOOL / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        command = [program("npm"), "ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=TOOL, check=True)


def program(name: str) -> str:
    """Returns where a program is; ends with what would be right where it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not installed: apt-get install {name}")
    return found


def judge(address: str) -> Verdict:
    """Lets Lighthouse open a page."""
    command = [
        *(str(TOOL / "node_modules" / ".bin" / "lighthouse"), address, "--quiet", "--output=json"),
        *("--chrome-flags=--headless --no-sandbox", f"--only-categories={','.join(CATEGORIES)}"),
    ]
    environ = {**os.environ, "CHROME_PATH": program("chromium")}
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return Verdict.of(json.loads(done.stdout))


def judge_all() -> dict[str, Verdict]:
    """Judges each page."""
    with TemporaryDirectory() as kept:
        log = Path(kept) / "site.log"
        with started("tests.three_language_site:app", ROOT, log, (LOOPBACK, 0), {}) as site:
            return {name: judge(site.address + path) for name, path in PAGES.items()}


def main() -> None:
    """Judges, and says what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lighthouse", description="Lets Lighthouse judge.")
    parser.add_argument("--json", action="store_true", help="for machines")
    given = parser.parse_args()
    install()
    verdicts = judge_all()
    if given.json:
        print(json.dumps({name: asdict(verdict) for name, verdict in verdicts.items()}, indent=2))
        return
    print(f"{'':26}{''.join(f'{category:>16}' for category in CATEGORIES)}")
    for name, verdict in verdicts.items():
        print(f"{name:26}{''.join(f'{verdict.scores[category]:16}' for category in CATEGORIES)}")
        for cost in verdict.costs:
            print(f"    {cost}")


if __name__ == "__main__":
    main()
