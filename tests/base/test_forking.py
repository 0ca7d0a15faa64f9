"""Tests of forked processes, and of waiting and retrying."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from cookie_consent.base.threads import Backoff, wait_until
from cookie_consent.ledgers import open_ledger
from cookie_consent.report.live.app import report_app
from tests.support.asgi import call, run
from tests.support.forking import fork_hook
from tests.support.ledger_writer import entry

ROOT = Path(__file__).parents[2]
LEDGER = """
import asyncio, os, sys
from contextlib import closing
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers import open_ledger
from tests.support.ledger_writer import entry

ledger = open_ledger(sys.argv[1])

def keep(name):
    asyncio.run(ledger.append(entry(name)))
    return len(asyncio.run(ledger.records(name)))

def opened():
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return {name for name in links if os.path.islink(name) and os.readlink(name).endswith("consent.db")}

assert keep("parent") == 1
before = opened()
assert before
if child := os.fork():
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert keep("parent") == 2
    found = verify(ledger.links())
    ledger.close()
    print(found.wrong, found.records)
    sys.exit(status)
assert keep("child") == 1
assert opened() > before, "the child has connections of its own, and closes none of its parent's"
ledger.close()
assert opened() >= before
os._exit(0)
"""


@pytest.mark.slow
def test_forked_process_opens_its_own_ledger_connections(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/consent.db"
    done = subprocess.run(
        [sys.executable, "-c", LEDGER, url], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "None 3\n"), done.stderr


@pytest.mark.slow
def test_ledger_and_report_work_after_fork(tmp_path: Path) -> None:
    """Call the hook in this process, as `os.fork` does in the child."""
    with fork_hook() as after_fork, closing(open_ledger(f"sqlite:///{tmp_path}/consent.db")) as ledger:
        app = report_app(tmp_path / "no.jsonl", authorize=lambda request: True)
        for number in (1, 2):
            run(ledger.append(entry("a")))
            assert len(run(ledger.records("a"))) == number
            assert call(app).status == 200
            after_fork()
            after_fork()


@pytest.mark.slow
def test_forked_process_makes_reports(tmp_path: Path) -> None:
    script = """
import os, sys
from cookie_consent.serve_report import report_app
from tests.support.asgi import call

app = report_app(sys.argv[1], authorize=lambda request: True)
assert call(app).status == 200
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0 if call(app).status == 200 else 1)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "access.jsonl")], cwd=ROOT, check=True, timeout=60)


# Waiting and retrying.


@pytest.mark.parametrize(("holds_at", "seconds", "pauses"), [(1, 0, 0), (2, 0, None), (3, 2, 2), (99, 2, None)])
def test_wait_until_polls_until_condition_or_deadline(holds_at: int, seconds: float, pauses: int | None) -> None:
    calls, slept = list[int](), list[float]()

    def holds() -> bool:
        calls.append(1)
        return len(calls) >= holds_at

    assert wait_until(holds, seconds, 0.5, slept.append) == (pauses is not None)
    assert len(slept) == (pauses if pauses is not None else seconds / 0.5)


def test_slow_sleep_does_not_extend_wait() -> None:
    slept = list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(0.03)

    assert not wait_until(lambda: False, 0.02, 0.001, sleep)
    assert len(slept) == 1


def test_backoff_pauses_grow_until_reset() -> None:
    backoff = Backoff(1, 5, jitter=lambda: 1.0)
    assert [backoff.next_pause() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_pause() == 1
    assert Backoff(1, 5, jitter=lambda: 0.0).next_pause() == 0.5
    assert 0.5 <= Backoff(1, 5).next_pause() <= 1
