"""Programs that the tests start: finding them, and ending them with their child processes."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.waiting import POLL

LONGEST_START = 60.0
_PORTS = range(20000, 32000)
"""Ports below those of outgoing connections, which could take the port of a stopped server."""


def program_path(name: str, package: str) -> str:
    """Return the path of a program.

    Raises:
        RuntimeError: it is not installed; the message names the Debian package.
    """
    if found := shutil.which(name):
        return found
    raise RuntimeError(f"{name} is missing. As root: apt-get install {package}")


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
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(POLL)
        else:
            return
