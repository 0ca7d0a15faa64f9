"""What access records cost and give: writing them with every sink, losing none, reading them, beside others' programs.

Run as `python -m benchmarks.analytics` from the root of the checkout. Files are in the folder for temporary files,
which has to be on a disk: TMPDIR names another one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import analytics_million, analytics_peers, analytics_reading, analytics_writing
from benchmarks.analytics_places import sinks
from benchmarks.ledger import file_system
from benchmarks.table import Table

PARTS = ("write", "million", "read", "peers")
BYTES_OF_A_RECORD = 1300
"""On the disk while it is read: as lines, and as what they are made and compacted from."""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        rounds: how often each sink has its turn.
        seconds: how long a turn is.
        million: how many records four processes write.
        read: how many records are reported on.
        peers: how many records are read side by side with other programs.
    """

    rounds: int = 5
    seconds: int = 3
    million: int = 1_000_000
    read: int = 10_000_000
    peers: int = 1_000_000


QUICK = Plan(rounds=2, seconds=1, million=40_000, read=200_000, peers=50_000)


def parts(
    folder: Path, plan: Plan, only: Sequence[str], importer: str | None
) -> dict[str, Callable[[], Sequence[Table]]]:
    """Return what can be measured, by its name.

    Args:
        folder: where files are.
        plan: how much to measure.
        only: the names of the sinks that are written to.
        importer: the command of an importer of Matomo's kind; None for none.
    """
    return {
        "write": lambda: [analytics_writing.measure(folder, plan.rounds, plan.seconds, only.__contains__)],
        "million": lambda: [analytics_million.measure(folder, plan.million)],
        "read": lambda: analytics_reading.measure(folder, plan.read),
        "peers": lambda: [analytics_peers.measure(folder, plan.peers, importer)],
    }


def read_arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, Plan]:
    """Read the command line: what is wanted, and how much."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.analytics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them if none is named")
    parser.add_argument("--quick", action="store_true", help="rough figures of few records, in about two minutes")
    for name, what in (
        ("rounds", "how often each sink has its turn (write)"),
        ("seconds", "how long a turn is (write)"),
        ("million", "how many records four processes write (million)"),
        ("read", "how many records are reported on (read)"),
        ("peers", "how many records other programs read, too (peers)"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{what} ({getattr(Plan, name)})")
    parser.add_argument("--sink", choices=sinks(), action="append", help="only this sink (write); may be repeated")
    parser.add_argument(
        "--importer",
        metavar="COMMAND",
        help='an importer like Matomo\'s (peers): "python3 import_logs.py --token-auth=none"',
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    arguments.parts = arguments.parts or PARTS
    given = {name: getattr(arguments, name) for name in asdict(Plan()) if getattr(arguments, name)}
    plan = replace(QUICK if arguments.quick else Plan(), **given)
    if "write" in arguments.parts and not shutil.which("wrk"):
        parser.error("wrk is not installed: apt-get install wrk")
    records = max((getattr(plan, part) for part in arguments.parts if part != "write"), default=0)
    folder, needed = tempfile.gettempdir(), records * BYTES_OF_A_RECORD
    if shutil.disk_usage(folder).free < needed:
        parser.error(f"{needed / 1e9:.0f} GB are needed in {folder}. TMPDIR names another; or measure fewer records.")
    return arguments, plan


def main() -> None:
    """Measure and print."""
    arguments, plan = read_arguments()
    logging.disable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else large files would stay
    with tempfile.TemporaryDirectory(prefix="analytics-") as name:
        folder = Path(name)
        load = os.getloadavg()[0]
        where = f"{os.cpu_count()} processors, load {load:.1f}; files in {folder.parent} ({file_system(folder)})"
        measures = parts(folder, plan, arguments.sink or sinks(), arguments.importer)
        say(where, arguments)
        tables = []
        for part in arguments.parts:
            for table in measures[part]():
                tables.append(table)
                say(f"\n{table}", arguments)
    if arguments.json:
        print(json.dumps({**asdict(plan), "where": where, "tables": [asdict(table) for table in tables]}))


def say(text: str, arguments: argparse.Namespace) -> None:
    """Print for people."""
    if not arguments.json:
        print(text, flush=True)


if __name__ == "__main__":
    main()
