"""Tests of the command `move`: a ledger goes to another database, with its chain intact."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cookie_consent.cli.main import GOOD, WRONG_USAGE
from cookie_consent.ledgers import open_ledger
from tests.cli.conftest import BEN, Run, record, tampered
from tests.support.desk import help_desk_request
from tests.support.ledger_writer import append, new_id
from tests.support.policies import NOW
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "move"]
_WAITING = "SELECT 1 FROM pg_locks WHERE relation = 'consent_requests'::regclass AND NOT granted"
NOTHING: tuple[Any, ...] = ([], [], [], None)


@pytest.fixture
def old(ledger: str) -> str:
    """The URL of a ledger with records of which one was removed, and with a request."""
    with closing(open_ledger(ledger)) as opened:
        opened.remove(now=NOW, make_id=new_id)
        append(opened, record(BEN, "4"))
        opened.requests.add(help_desk_request(text="訪問\n?", address="a@b.example"))
    return ledger


@pytest.fixture
def new(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


def content(url: str) -> tuple[Any, ...]:
    with closing(open_ledger(url)) as ledger:
        return [*ledger.links()], [*ledger.cited()], ledger.requests.listed(), ledger.last_removal()


def test_ledger_moves_to_postgresql_and_back_and_goes_on(old: str, postgres_url: str, new: str, cli: Run) -> None:
    (verified,) = cli("verify", "--ledger", old, "--json").lines
    ran = cli("move", old, postgres_url)
    said = f"Moved: 5 records, and what they cite. The chain fits.\nRoot: {verified['root']}\n"
    assert (ran.status, ran.out.startswith(said)) == (GOOD, True)
    moved = {"records": 5, "removed": 1, "root": verified["root"]}
    assert cli("move", postgres_url, new, "--json").lines == [moved]
    assert content(old) == content(postgres_url) == content(new)
    for url in (postgres_url, new):
        with closing(open_ledger(url)) as ledger:
            append(ledger, record(BEN, "5"))
            assert ledger.remove(now=NOW, make_id=new_id, consent_id=BEN).records == 3
        assert cli("verify", "--ledger", url, "--json").lines[0]["root"].startswith("7:")


@pytest.mark.slow  # a process starts
def test_move_that_is_killed_leaves_nothing_and_can_be_run_again(old: str, postgres_url: str, cli: Run) -> None:
    open_ledger(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as other, psycopg.connect(postgres_url) as holder:
        # Requests are copied last. So the move waits with all records written, and none committed.
        holder.execute("LOCK TABLE consent_requests IN EXCLUSIVE MODE")
        with subprocess.Popen([*COMMAND, old, postgres_url]) as process:
            wait_until(lambda: other.execute(_WAITING).fetchone())
            process.kill()
    assert content(postgres_url) == NOTHING
    assert cli("move", old, postgres_url).status == GOOD
    assert content(postgres_url) == content(old)


def test_damaged_ledger_is_not_moved(old: str, new: str, cli: Run) -> None:
    with tampered(old) as connection:
        connection.execute("UPDATE consent_records SET document = replace(document, 'ben', 'bob') WHERE number = 2")
    why = (
        "Record 2 does not fit: its text is not the one that was recorded. Nothing was moved. "
        "Run: cookie-consent verify\n"
    )
    assert cli("move", old, new) == (WRONG_USAGE, "", why)
    assert content(new) == NOTHING
