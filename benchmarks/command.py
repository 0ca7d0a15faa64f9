"""Runs the command `cookie-consent`, and says what machine it runs on."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

_PROGRAM = """
import sys
from pathlib import Path
from cookie_consent.cli import main

status = main()
print(Path("/proc/self/status").read_text(), file=sys.stderr)
sys.exit(status)
"""
"""Runs the command, and shows its process as it is at the end, proc(5)."""
# The kernel's figures of an ended process would include the memory that this one had when it started the other.
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True)
class Ran:
    """A command that ended.

    Args:
        output: the JSON object that it printed.
        seconds: how long it took.
        mebibytes: its peak memory.
        cpu: the seconds of processors that it took.
    """

    output: dict[str, Any]
    seconds: float
    mebibytes: int
    cpu: float


def consent(*arguments: str) -> Ran:
    """Run `cookie-consent ... --json`, which has to succeed."""
    return python(_PROGRAM, *arguments, "--json")


def python(program: str, *arguments: str) -> Ran:
    """Run a Python program, which has to succeed, print a JSON object, and show its process as `_PROGRAM` does."""
    began, before = time.monotonic(), _cpu()
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    peak = _PEAK.search(done.stderr)
    assert peak, "proc(5)"
    return Ran(json.loads(done.stdout), round(seconds, 2), round(int(peak[1]) / 1024), round(_cpu() - before, 2))


def _cpu() -> float:
    """Return the seconds of processors that ended children took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def print_machine(needed: int) -> None:
    """Print what machine this is; end the program if the folder for temporary files has not so many bytes left."""
    folder = tempfile.gettempdir()
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(
            f"{needed / 1e9:.0f} GB are needed in {folder}. TMPDIR names another; or measure fewer records."
        )
    command = ["stat", "--file-system", "--format", "%T", folder]
    kind = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; files in {folder} ({kind})")
