"""What a sink does with more records than PostgreSQL takes: none may be lost while the spill folder has room.

Records are written from one thread at a steady rate, while the server runs, is down, or answers nothing (frozen). Then
the server is brought back, and the records that arrived are counted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.table import Row, print_table
from cookie_consent.sinks import Sink, open_sink
from tests.support.servers.postgres import private_server
from tests.support.sink_lines import record
from tests.support.waiting import wait_until

STATES = ("up", "down", "frozen")
RECORDS, RATE = 300_000, 60_000
_LONGEST = 600.0
_TICK = 0.005
"""How often the writer catches up with the rate (seconds)."""

State = tuple[Callable[[], object], Callable[[], object]]
"""Functions that bring a server into a state, and back."""


@contextmanager
def target(folder: Path) -> Iterator[tuple[str, Mapping[str, State]]]:
    """Start PostgreSQL; yield the sink's URL, and the states of the server."""
    with private_server() as postgres:

        def send(number: signal.Signals) -> None:
            for process in Path(f"/proc/{postgres.pid}/task/{postgres.pid}/children").read_text().split():
                os.kill(int(process), number)
            os.kill(postgres.pid, number)

        states: dict[str, State] = {
            "down": (postgres.stop, postgres.start),
            "frozen": (lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT)),
        }
        yield f"{postgres.new_database()}?spill={folder / 'spill'}", states


def lines(number: int) -> list[bytes]:
    """Return records as a middleware writes them."""
    whole = record(0)
    return [
        json.dumps({**whole, "log.record.uid": f"u{n:x}", "visitor.id": f"v{n % 5000}"}).encode() + b"\n"
        for n in range(number)
    ]


def write(sink: Sink, records: Sequence[bytes], rate: int) -> float:
    """Write records at a steady rate; return the seconds that it took."""
    start, done = time.perf_counter(), 0
    while done < len(records):
        due = min(len(records), int((time.perf_counter() - start) * rate) + 1)
        for line in records[done:due]:
            sink.write(line)
        done = max(done, due)
        time.sleep(_TICK)
    return time.perf_counter() - start


def measure(state: str, records: Sequence[bytes], rate: int) -> Row:
    """Write records to a server in a state, bring it back, and count what arrives."""
    with TemporaryDirectory(prefix="burst-") as name, target(Path(name)) as (url, states):
        sink = open_sink(url)
        sink.write(records[0])
        wait_until(lambda: sink.stats().get("written", 0) == 1, _LONGEST)
        enter, leave = states.get(state, (lambda: None, lambda: None))
        enter()
        seconds = write(sink, records[1:], rate)
        spilled = sink.stats().get("spilled", 0)
        start = time.perf_counter()
        leave()
        wait_until(lambda: _is_settled(sink, len(records)), _LONGEST)
        caught_up = time.perf_counter() - start
        stats = sink.stats()
        sink.close()
        kept = open_sink(url).purge(time.time() + 2 * 86_400, timedelta(0), dry_run=True)
    dropped = sum(number for name, number in stats.items() if name.startswith("dropped"))
    return {
        "server": state,
        "written": len(records),
        "per second": round(len(records) / seconds),
        "spilled": spilled,
        "dropped": dropped,
        "arrived": kept,
        "caught up in s": round(caught_up, 1),
    }


def _is_settled(sink: Sink, records: int) -> bool:
    stats = sink.stats()
    return stats.get("written", 0) + sum(n for name, n in stats.items() if name.startswith("dropped")) >= records


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.burst", description=__doc__)
    parser.add_argument("--server", choices=STATES, action="append", help="only this state; may be repeated")
    parser.add_argument("--records", type=int, default=RECORDS, help="(default: %(default)s)")
    parser.add_argument("--rate", type=int, default=RATE, help="records a second (default: %(default)s)")
    arguments = parser.parse_args()
    logging.disable()
    records = lines(arguments.records)
    rows = [measure(state, records, arguments.rate) for state in arguments.server or STATES]
    print_table(f"{len(records):,} records at {arguments.rate:,} a second, from one process", rows)


if __name__ == "__main__":
    main()
