"""Visits what a command serves in this process."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.waiting import LONGEST_WAIT


@contextmanager
def visited(
    capsys: pytest.CaptureFixture[str], *passwords: str, said: list[str] | None = None
) -> Iterator[list[httpx.Response]]:
    """Open the page of a command as soon as it is served, and end the command as Ctrl-C does.

    Args:
        capsys: what the command prints, which names the address.
        passwords: passwords with which to open the page again.
        said: a list for what the command printed.
    """
    replies: list[httpx.Response] = []

    def visit() -> None:
        printed, end = "", time.monotonic() + LONGEST_WAIT
        while not (found := re.search(r"http://\S+/", printed)) and time.monotonic() < end:
            printed += capsys.readouterr().out
            time.sleep(0.02)
        if said is not None:
            said.append(printed)
        if found:
            try:
                for pair in [None, *(("me", password) for password in passwords)]:
                    replies.append(httpx.get(found[0], auth=pair, timeout=LONGEST_WAIT, trust_env=False))
            finally:
                os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        yield replies
    finally:
        visitor.join(60)
