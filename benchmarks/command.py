"""Runs programs as a shell does, tells what they needed, and what machine they ran on."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import Table

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
    """How a program ran: what it wrote, how long it took, and its CPU time with what it started itself (seconds)."""

    said: str
    complained: str
    seconds: float
    cpu: float

    @property
    def mebibytes(self) -> int | None:
        """The most that a `cookie-consent` command had in memory at once."""
        # What the system says of a process that ended would count what this one had when it began that one.
        most = _MOST.search(self.complained)
        return most and round(int(most[1]) / 1024)

    @property
    def answer(self) -> dict[str, Any]:
        """What a command said as one JSON object."""
        found: dict[str, Any] = json.loads(self.said)
        return found

    @property
    def needed(self) -> dict[str, float | int | None]:
        """The figures, as a part of a table's row."""
        return {"seconds": round(self.seconds, 2), "CPU s": round(self.cpu, 2), "MiB": self.mebibytes}


def consent(*arguments: str) -> Ran:
    """Runs the command `cookie-consent` in a process of its own."""
    return run([sys.executable, "-c", _PROGRAM, *arguments])


def run(command: Sequence[str]) -> Ran:
    """Runs a program, which has to succeed; nothing else may end meanwhile."""
    began, before = time.monotonic(), _cpu_of_ended()
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    seconds, cpu = time.monotonic() - began, _cpu_of_ended() - before
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    return Ran(done.stdout, done.stderr, seconds, cpu)


def _cpu_of_ended() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine(needed: int, parser: argparse.ArgumentParser) -> str:
    """Says what machine this is; ends the program where the folder for temporary files has too few bytes left."""
    folder = tempfile.gettempdir()
    if shutil.disk_usage(folder).free < needed:
        parser.error(f"{needed / 1e9:.0f} GB are needed in {folder}. TMPDIR names another; or measure fewer records.")
    command = ["stat", "--file-system", "--format", "%T", folder]
    kind = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; files in {folder} ({kind})"


def show(where: str, tables: Sequence[Table], *, as_json: bool) -> None:
    """Prints tables, for people or for machines."""
    if as_json:
        print(json.dumps({"where": where, "tables": [vars(table) for table in tables]}))
    else:
        print(where, *tables, sep="\n\n")
