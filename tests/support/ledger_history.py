"""A process that appends to a ledger, reads and removes, several things at once, and writes down when and what came.

python -m tests.support.ledger_history URL SEED COUNT [LINES]

It begins once it is told to on its standard input. With LINES it kills itself just after so many lines, whatever it is
at then.
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
from tests.support.ledger_writer import NOW, entry, say

AT_ONCE = 3
LINES, last_line = count(1), 0
VISITORS, KEYS = ("a", "b", "c"), ("", "", "double", "click")


@dataclass(frozen=True)
class Operation:
    """What is asked of a ledger.

    Args:
        id: its own, and that of the record that it may add.
        kind: "append", "records" or "remove".
        visitor: the consent id.
        key: what tells repeats; "" for none.
        seconds: when a record was given, after `NOW`.
    """

    id: str
    kind: str
    visitor: str
    key: str = ""
    seconds: int = 0

    @property
    def entry(self) -> Entry:
        """The record that an append adds; the texts of each visitor are their own."""
        text = f"<p>{self.visitor}</p>"
        return entry(
            self.visitor, key=self.key, within=2, now=NOW + self.seconds, text=text, prevailing=text, record_id=self.id
        )

    async def run(self, ledger: Ledger) -> Any:
        """Do it; return what came of it, as plain data."""
        if self.kind == "append":
            return (await ledger.append(self.entry))["record_id"]
        if self.kind == "records":
            return [record["record_id"] for record in await ledger.records(self.visitor)]
        return (await asyncio.to_thread(self._remove, ledger)).records

    def _remove(self, ledger: Ledger) -> Any:
        return ledger.remove(now=NOW, make_id=lambda: self.id, consent_id=self.visitor)


async def work(ledger: Ledger, seed: str, times: int) -> None:
    """Do so much, several things at once."""
    chance, left = random.Random(seed), iter(range(times))  # noqa: S311 (no secret)

    async def one_after_the_other() -> None:
        for number in left:
            kind = chance.choices(("append", "records", "remove"), (6, 3, 1))[0]
            if number == times - 1:  # a process that is not killed has removed something
                kind = "remove"
            seconds = chance.randrange(6)
            one = Operation(f"{seed}-{number}", kind, chance.choice(VISITORS), chance.choice(KEYS), seconds)
            note(said=vars(one))
            try:
                note(id=one.id, came=await one.run(ledger))
            except Exception as error:  # noqa: BLE001 (whatever a ledger raises: nobody knows then what was done)
                note(id=one.id, failed=type(error).__name__)

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


def note(**what: Any) -> None:
    """Write a line at once, with the time of a clock that all processes share."""
    os.write(1, json.dumps({"at": time.monotonic_ns(), **what}).encode() + b"\n")
    if next(LINES) == last_line:
        threading.Timer(random.random() / 500, os.kill, (os.getpid(), signal.SIGKILL)).start()  # noqa: S311 (no secret)


if __name__ == "__main__":
    url, seed, several, *last = sys.argv[1:]
    last_line = int(last[0]) if last else last_line
    opened = open_ledger(url)
    say("ready")
    sys.stdin.readline()
    asyncio.run(work(opened, seed, int(several)))
    opened.close()
