"""Runs programs as a shell does, and tells what they needed."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LONGEST = 30 * 60.0  # seconds
_PROGRAM = """
import sys
from pathlib import Path
from cookie_consent.cli import main

status = main()
print(Path("/proc/self/status").read_text(), file=sys.stderr)
sys.exit(status)
"""
"""Runs a command, and tells what the process was like at its end, proc(5)."""
_MOST = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True)
class Ran:
    """How a program ran.

    Args:
        said: what it wrote to its standard output.
        complained: what it wrote to its standard error.
        seconds: how long it took.
        cpu: how many seconds of CPU time it needed, with what it started itself.
    """

    said: str
    complained: str
    seconds: float
    cpu: float

    @property
    def mebibytes(self) -> int:
        """The most that a command of `consent` had in memory at once."""
        # What the system says of a process that ended would count what this one had when it began that one.
        most = _MOST.search(self.complained)
        assert most, self.complained
        return round(int(most[1]) / 1024)


def consent(*arguments: str) -> Ran:
    """Run the command `cookie-consent` in a process of its own."""
    return run([sys.executable, "-c", _PROGRAM, *arguments])


def run(command: Sequence[str]) -> Ran:
    """Run a program, which has to succeed within half an hour; nothing else may end meanwhile."""
    began, before = time.monotonic(), _cpu_of_ended()
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    seconds, cpu = time.monotonic() - began, _cpu_of_ended() - before
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return Ran(done.stdout, done.stderr, seconds, cpu)


def answered(ran: Ran) -> dict[str, Any]:
    """Return what a command said as one JSON object."""
    assert ran.said.startswith("{"), f"something else came before the answer: {ran.said[:100]!r}"
    found = json.loads(ran.said)
    assert isinstance(found, dict), "one object"
    return found


def _cpu_of_ended() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
