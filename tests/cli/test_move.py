"""Tests of the command `move`: a ledger goes to another database, with its chain intact."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cookie_consent.cli.main import GOOD, WRONG_USAGE, main
from cookie_consent.ledgers import Entry, open_ledger
from cookie_consent.ledgers.requests import DeskRequest
from cookie_consent.ledgers.sql import SqlLedger
from tests.support.ledger_writer import entry, new_id
from tests.support.policies import NOW
from tests.support.waiting import wait_until

COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())", "move"]
REQUEST = DeskRequest(
    reference="R-1",
    kind="see",
    text="\N{CJK UNIFIED IDEOGRAPH-8A2A}\n?",
    address="a@b.example",
    language="en",
    consent_id=None,
    created_at=NOW,
    due_at=NOW + 1,
)
_WAITING = "SELECT 1 FROM pg_locks WHERE relation = 'consent_requests'::regclass AND NOT granted"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The URL of a ledger with records of two visitors, of which one was erased, and with a request."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    with closing(open_ledger(url)) as ledger:
        append(ledger, *(entry("ann", keep_until=NOW) for _ in range(3)), *(entry("ben") for _ in range(3)))
        ledger.remove(now=NOW, make_id=new_id)
        append(ledger, entry("ben", event="withdrawn"))
        ledger.requests.add(REQUEST)
    return url


def append(ledger: SqlLedger, *entries: Entry) -> None:
    async def append_all() -> None:
        for each in entries:
            await ledger.append(each)

    asyncio.run(append_all())


def content(url: str) -> tuple[Any, ...]:
    with closing(open_ledger(url)) as ledger:
        return [*ledger.links()], [*ledger.cited()], ledger.requests.listed(), ledger.last_removal()


def root(url: str, capsys: Capture) -> Any:
    capsys.readouterr()
    assert main(["verify", "--ledger", url, "--json"]) == GOOD
    return json.loads(capsys.readouterr().out)["root"]


def test_ledger_moves_to_postgresql_and_back_with_its_chain_intact(
    old: str, postgres_url: str, tmp_path: Path, capsys: Capture
) -> None:
    back = f"sqlite:///{tmp_path / 'back.db'}"
    assert main(["move", old, postgres_url]) == GOOD
    assert capsys.readouterr().out.startswith("Moved: 8 records, and what they cite. The chain fits.\nRoot: 8:")
    assert main(["move", postgres_url, back, "--json"]) == GOOD
    said = json.loads(capsys.readouterr().out)
    assert said == {"records": 8, "removed": 3, "root": root(old, capsys)}
    assert content(old) == content(postgres_url) == content(back)
    assert root(postgres_url, capsys) == root(back, capsys) == said["root"]


def test_moved_ledger_goes_on(old: str, postgres_url: str, capsys: Capture) -> None:
    assert main(["move", old, postgres_url]) == GOOD
    with closing(open_ledger(postgres_url)) as ledger:
        append(ledger, entry("cyd"))
        assert ledger.remove(now=NOW, make_id=new_id, consent_id="ben").records == 4
    assert root(postgres_url, capsys).startswith("10:")


def test_move_that_is_killed_leaves_nothing_and_can_be_run_again(old: str, postgres_url: str, capsys: Capture) -> None:
    open_ledger(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as other, psycopg.connect(postgres_url) as holder:
        # Requests are copied last. So the move waits with all records written, and none committed.
        holder.execute("LOCK TABLE consent_requests IN EXCLUSIVE MODE")
        with subprocess.Popen([*COMMAND, old, postgres_url]) as process:
            wait_until(lambda: other.execute(_WAITING).fetchone())
            process.kill()
    assert content(postgres_url) == ([], [], [], None)
    assert main(["move", old, postgres_url]) == GOOD
    assert content(postgres_url) == content(old)
    assert root(postgres_url, capsys) == root(old, capsys)


def test_move_into_a_ledger_with_records_is_refused(old: str, tmp_path: Path, capsys: Capture) -> None:
    before = content(old)
    assert main(["move", old, old]) == WRONG_USAGE
    assert "has records already" in capsys.readouterr().err
    assert content(old) == before


def test_damaged_ledger_is_not_moved(old: str, tmp_path: Path, capsys: Capture) -> None:
    with closing(sqlite3.connect(old.removeprefix("sqlite:///"))) as connection:
        connection.execute("DROP TRIGGER consent_records_stay")
        connection.execute("UPDATE consent_records SET document = replace(document, 'ben', 'bob') WHERE number = 5")
        connection.commit()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    assert main(["move", old, new]) == WRONG_USAGE
    assert "Record 5 does not fit: its text is not the one that was recorded. Nothing was" in capsys.readouterr().err
    assert content(new) == ([], [], [], None)


def test_ledger_that_grows_meanwhile_is_not_moved(old: str, tmp_path: Path) -> None:
    def grow(_: int) -> None:
        with closing(open_ledger(old)) as writer:
            append(writer, entry("cyd"))

    new = f"sqlite:///{tmp_path / 'new.db'}"
    with (
        closing(open_ledger(old)) as source,
        closing(open_ledger(new)) as target,
        pytest.raises(ValueError, match=r"^A site writes to the ledger to move from\. Stop it"),
    ):
        target.fill_from(source, grow)
    assert content(new) == ([], [], [], None)


def test_missing_ledger_is_not_moved(tmp_path: Path, capsys: Capture) -> None:
    new = tmp_path / "new.db"
    assert main(["move", f"sqlite:///{tmp_path / 'missing.db'}", f"sqlite:///{new}"]) == WRONG_USAGE
    assert "there is no file" in capsys.readouterr().err
    assert not new.exists()
