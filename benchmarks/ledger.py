"""What the ledger bears: answers kept a second, its lock, its verification, one visitor's records among many.

Run as `python -m benchmarks.ledger` from the root of the checkout. SQLite has its files, and PostgreSQL a server of
its own (Debian: apt-get install postgresql), in the folder for temporary files, which has to be on a disk: TMPDIR
names another one.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import ledger_answers, ledger_lock, ledger_reading
from benchmarks.crew import Crew
from benchmarks.ledger_rows import an_entry
from benchmarks.ledger_stores import PostgresqlStore, SqliteStore, Store
from benchmarks.table import Table
from tests.postgres import NoPostgresError, private_server

SIZES = (1, 4)
"""How many processes share a ledger."""
BYTES_OF_A_RECORD = 2200
"""On the disk, with its indexes and what it takes to make them."""
PARTS = ("append", "lock", "verify", "find")


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Args:
        rounds: how often each case has its turn.
        seconds: how long a turn is.
        records: how many records are verified.
        find: among how many records those of one visitor are found.
    """

    rounds: int = 3
    seconds: float = 3
    records: int = 1_000_000
    find: int = 10_000_000


QUICK = Plan(rounds=1, seconds=0.5, records=20_000, find=50_000)


def parts(stores: Sequence[Store], crew: Crew, plan: Plan) -> dict[str, Callable[[], Table]]:
    """Gives what can be measured, by its name."""
    like = an_entry()
    return {
        "append": lambda: ledger_answers.measure(stores, crew, plan.rounds, plan.seconds),
        "lock": lambda: ledger_lock.measure(stores, crew, like, plan.rounds, plan.seconds),
        "verify": lambda: ledger_reading.measure_verify(stores, like, plan.records),
        "find": lambda: ledger_reading.measure_find(stores, like, plan.find),
    }


def file_system(folder: Path) -> str:
    """Names the kind of file system that a folder is on."""
    command = ["stat", "--file-system", "--format", "%T", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def read_arguments() -> tuple[argparse.Namespace, Plan]:
    """Reads the command line: what is wanted, and how much."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ledger", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="rough figures of small ledgers, in about a minute")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    parser.add_argument("--records", type=int, metavar="N", help="how many records are verified (1000000)")
    parser.add_argument(
        "--find", type=int, metavar="N", help="among how many those of one visitor are found (10000000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in ("records", "find") if getattr(arguments, name)}
    plan = replace(QUICK if arguments.quick else Plan(), **given)
    arguments.only = arguments.only or PARTS
    records = max((plan.records if "verify" in arguments.only else 0), (plan.find if "find" in arguments.only else 0))
    folder, needed = tempfile.gettempdir(), records * BYTES_OF_A_RECORD
    if shutil.disk_usage(folder).free < needed:
        parser.error(f"{needed / 1e9:.0f} GB are needed in {folder}. TMPDIR names another; or measure fewer records.")
    return arguments, plan


def main() -> None:
    """Measures and prints."""
    arguments, plan = read_arguments()
    logging.disable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else large files would stay
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-")))
        where = f"{os.cpu_count()} processors; files in {folder.parent} ({file_system(folder)})"
        stores: list[Store] = [SqliteStore(folder)]
        try:
            stores.append(PostgresqlStore(stack.enter_context(private_server())))
        except NoPostgresError as error:
            where = f"{where}. No PostgreSQL: {error}"
        measures = parts(stores, stack.enter_context(Crew(*SIZES)), plan)
        tables = []
        say(where, arguments)
        for name in arguments.only:
            tables.append(measures[name]())
            say(f"\n{tables[-1]}", arguments)
    if arguments.json:
        print(json.dumps({**asdict(plan), "where": where, "tables": [asdict(table) for table in tables]}))


def say(text: str, arguments: argparse.Namespace) -> None:
    """Prints for people."""
    if not arguments.json:
        print(text, flush=True)


if __name__ == "__main__":
    main()
