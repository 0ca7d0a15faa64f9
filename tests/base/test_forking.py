"""Tests of forked processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
