"""A process that runs several operations on a ledger at once, and logs when each began and what it returned.

python -m tests.support.ledger_history URL SEED COUNT [LINES]

It begins when a line comes on standard input. With LINES it kills itself after that many lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

from cookie_consent.ledgers import Entry, Ledger, open_ledger
from tests.support.ledger_writer import entry, write_line
from tests.support.policies import NOW

AT_ONCE = 3
LINES, last_line = count(1), 0
VISITORS, KEYS = ("a", "b", "c"), ("", "", "double", "click")


@dataclass(frozen=True)
class Operation:
    """An operation on a ledger.

    Args:
        id: the id of the operation, and of the record that it may add.
        kind: "append", "records" or "remove".
        visitor: the consent id.
        key: the key that marks repeated records; "" for none.
        seconds: when the record was decided, after `NOW`.
    """

    id: str
    kind: str
    visitor: str
    key: str = ""
    seconds: int = 0

    @property
    def entry(self) -> Entry:
        """The record that an append adds. Each visitor has texts of their own."""
        text = f"<p>{self.visitor}</p>"
        return entry(
            self.visitor, key=self.key, within=2, now=NOW + self.seconds, text=text, prevailing=text, record_id=self.id
        )

    async def run(self, ledger: Ledger) -> Any:
        """Run the operation; return its result as plain data."""
        if self.kind == "append":
            return (await ledger.append(self.entry))["record_id"]
        if self.kind == "records":
            return [record["record_id"] for record in await ledger.records(self.visitor)]
        return (await asyncio.to_thread(self._remove, ledger)).records

    def _remove(self, ledger: Ledger) -> Any:
        return ledger.remove(now=NOW, make_id=lambda: self.id, consent_id=self.visitor)


async def work(ledger: Ledger, seed: str, times: int) -> None:
    """Run this many operations, several at once."""
    rng, left = random.Random(seed), iter(range(times))  # noqa: S311 (no secret)

    async def run_in_sequence() -> None:
        for number in left:
            kind = rng.choices(("append", "records", "remove"), (6, 3, 1))[0]
            if number == times - 1:  # so each process that is not killed has a removal
                kind = "remove"
            seconds = rng.randrange(6)
            one = Operation(f"{seed}-{number}", kind, rng.choice(VISITORS), rng.choice(KEYS), seconds)
            note(said=vars(one))
            try:
                note(id=one.id, came=await one.run(ledger))
            except Exception as error:  # noqa: BLE001 (after any exception the result is unknown)
                note(id=one.id, failed=type(error).__name__)

    await asyncio.gather(*(run_in_sequence() for _ in range(AT_ONCE)))


def note(**what: Any) -> None:
    """Write a line immediately, with the time of a clock that all processes share."""
    os.write(1, json.dumps({"at": time.monotonic_ns(), **what}).encode() + b"\n")
    if next(LINES) == last_line:
        threading.Timer(random.random() / 500, os.kill, (os.getpid(), signal.SIGKILL)).start()  # noqa: S311 (no secret)


if __name__ == "__main__":
    url, seed, several, *last = sys.argv[1:]
    last_line = int(last[0]) if last else last_line
    opened = open_ledger(url)
    write_line("ready")
    sys.stdin.readline()
    asyncio.run(work(opened, seed, int(several)))
    opened.close()
