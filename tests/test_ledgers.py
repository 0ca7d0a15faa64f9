"""Where consent records are kept as proof: what every ledger does, and what the SQLite file adds."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cookie_consent.ledgers import Ledger, MemoryLedger, SqliteLedger, open_ledger
from cookie_consent.receipt import document
from tests.asgi import SITE, policy, run
from tests.policies import granted, refused

ROOT = Path(__file__).parents[1]
POLICY, EARLIER = policy(), policy(SITE.replace("We count visits.", "We count each visit."))


# What every ledger does.


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "a" / "b" / "consent.db")


def test_a_ledger_is_one(ledger: Ledger) -> None:
    assert isinstance(ledger, Ledger)


def test_records_are_kept_in_order_for_each_consent_id(ledger: Ledger) -> None:
    kept = [granted(POLICY, consent_id="a"), refused(POLICY, consent_id="b"), refused(POLICY, consent_id="a")]
    for record in kept:
        run(ledger.append(record, POLICY))
    assert run(ledger.records("a")) == [document(kept[0]), document(kept[2])]
    assert run(ledger.records("b")) == [document(kept[1])]
    assert run(ledger.records("c")) == []
    assert run(ledger.records("")) == []


def test_the_policy_is_kept_as_it_was_answered_to(ledger: Ledger) -> None:
    run(ledger.append(granted(EARLIER, consent_id="a"), EARLIER))
    run(ledger.append(granted(EARLIER, consent_id="a"), EARLIER))
    run(ledger.append(granted(POLICY, consent_id="a"), POLICY))
    assert run(ledger.policy(EARLIER.version)) == EARLIER.document()
    assert run(ledger.policy(POLICY.version)) == POLICY.document()
    assert run(ledger.policy("0123456789abcdef")) is None


@pytest.mark.parametrize("text", ["'; DROP TABLE records; --", "\0", "訪問", "%", "a" * 5000])
def test_any_text_is_only_a_text(ledger: Ledger, text: str) -> None:
    record = granted(POLICY, consent_id=text, language=text)
    run(ledger.append(record, POLICY))
    assert run(ledger.records(text)) == [document(record)]
    assert run(ledger.records(text + "x")) == []
    assert run(ledger.policy(text)) is None


def test_many_answers_at_once_are_all_kept(ledger: Ledger) -> None:
    async def answers() -> None:
        await asyncio.gather(*(ledger.append(granted(POLICY, consent_id="a"), POLICY) for _ in range(20)))

    asyncio.run(answers())
    assert len(run(ledger.records("a"))) == 20


# The SQLite file.


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def test_what_is_kept_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    record = granted(POLICY, consent_id="a")
    run(SqliteLedger(path).append(record, POLICY))
    assert run(SqliteLedger(path).records("a")) == [document(record)]
    assert run(SqliteLedger(path).policy(POLICY.version)) == POLICY.document()


@pytest.mark.parametrize("sql", ["UPDATE records SET document = '{}'", "DELETE FROM records"])
def test_records_can_be_neither_changed_nor_removed(sql: str, tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    ledger = SqliteLedger(path)
    run(ledger.append(granted(POLICY, consent_id="a"), POLICY))
    with opened(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(sql)
    assert len(run(ledger.records("a"))) == 1


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    writing = [
        subprocess.Popen([sys.executable, "-m", "tests.ledger_writer", path, str(n), "25"], cwd=ROOT) for n in range(3)
    ]
    assert [process.wait(60) for process in writing] == [0, 0, 0]
    ledger = SqliteLedger(path)
    assert [len(run(ledger.records(str(number)))) for number in range(3)] == [25, 25, 25]
    with opened(path) as connection:
        rows = connection.execute("SELECT document FROM records ORDER BY number").fetchall()
    assert len({json.loads(row[0])["consent_id"] for row in rows}) == 3


def test_a_record_is_kept_with_its_policy_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    ledger = SqliteLedger(path)
    with opened(path) as connection:
        connection.execute("DROP TABLE records")
        connection.commit()
    with pytest.raises(sqlite3.Error):
        run(ledger.append(granted(POLICY, consent_id="a"), POLICY))
    with opened(path) as connection:
        assert connection.execute("SELECT count(*) FROM policies").fetchone() == (0,)


def test_a_file_that_went_away_is_an_error_and_no_empty_ledger(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    ledger = SqliteLedger(path)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(sqlite3.Error):
        run(ledger.append(granted(POLICY, consent_id="a"), POLICY))


def test_a_ledger_is_opened_by_url(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    ledger = open_ledger(f"sqlite:///{path}")
    assert isinstance(ledger, SqliteLedger)
    assert path.is_file()


@pytest.mark.parametrize("url", ["consent.db", "sqlite:consent.db", "sqlite:///", "mysql:///x", "", "file:///x"])
def test_a_url_that_no_ledger_is_for_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match=r"Write .sqlite:///consent\.db."):
        open_ledger(url)


def test_a_file_that_is_no_database_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "consent.db"
    path.write_text("this is no database, whatever its name says; it is long enough to be looked at" * 20)
    with pytest.raises(ValueError, match=r"consent\.db cannot be used as an SQLite file"):
        SqliteLedger(path)
    with pytest.raises(ValueError, match="cannot be used"):
        SqliteLedger(tmp_path)
    with pytest.raises(ValueError, match="cannot be used"):
        SqliteLedger(path / "below" / "a.db")
