"""Programs that the tests start: finding them, and ending them with their child processes."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import POLL

LONGEST_START = 45.0
LONGEST_END = 30.0
_PORTS = range(20000, 32000)
"""Ports below those of outgoing connections, which could take the port of a stopped server."""


def program_path(name: str, package: str) -> str:
    """Return the path of a program; without it, skip the test, and name its package of Debian."""
    found = shutil.which(name)
    if found is None:
        raise without(f"{name} is missing. As root: apt-get install {package}.")
    return found


def without(missing: str) -> BaseException:
    """Return what ends a test that lacks something here: it is skipped. With CI=true, it fails."""
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(f"{missing} With CI=true this is not skipped.", pytrace=False)
    return pytest.skip.Exception(missing)


@contextmanager
def running_program(
    command: Sequence[str], *, stdout: int = subprocess.DEVNULL, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and end it with its child processes."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL, env=env, **process_group_options()
    ) as process:
        try:
            yield process
        finally:
            kill_process_group(process)


def process_group_options() -> dict[str, Any]:
    """Return the options of `Popen` that start a process group."""
    return {"start_new_session": True}


def kill_process_group(first: subprocess.Popen[Any]) -> None:
    """Kill all programs of a process group."""
    with suppress(ProcessLookupError):
        os.killpg(first.pid, signal.SIGKILL)


def first_line(process: subprocess.Popen[Any]) -> str:
    """Wait until a program has written a line, and return it; "" if it ends before.

    Raises:
        TimeoutError: it takes too long.
    """
    assert process.stdout, "a pipe"
    if not select.select([process.stdout], [], [], LONGEST_START)[0]:
        raise TimeoutError(f"{process.args!r} has said nothing for {LONGEST_START} seconds")
    line: str | bytes = process.stdout.readline()
    return line if isinstance(line, str) else line.decode()


def end_process(first: subprocess.Popen[Any]) -> None:
    """Wait until a program has ended, and kill its process group if it takes too long.

    Raises:
        subprocess.TimeoutExpired: it took too long.
    """
    try:
        first.wait(LONGEST_END)
    finally:
        kill_process_group(first)


def wait_for_file(process: subprocess.Popen[bytes], file: Path) -> str:
    """Wait until a program has written a file, and return its text.

    Raises:
        RuntimeError: the program ends before, or takes too long.
    """
    end = time.monotonic() + LONGEST_START
    while not file.exists() or not (text := file.read_text("ascii")):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args!r} did not start")
        time.sleep(POLL)
    return text


def free_port() -> int:
    """Return a free port of this machine."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as attempt, suppress(OSError):
            attempt.bind(("127.0.0.1", port))
            return port


def wait_for_port(port: int) -> None:
    """Wait until a program listens on a port of this machine.

    Raises:
        ConnectionRefusedError: it takes too long.
    """
    end = time.monotonic() + LONGEST_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=LONGEST_START).close()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(POLL)
        else:
            return
