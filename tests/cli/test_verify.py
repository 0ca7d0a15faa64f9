"""Tests of `cookie-consent verify`: it names what was changed, left out or added, and signs the root."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE
from cookie_consent.ledgers import open_ledger
from cookie_consent.ledgers.chain import Root, root_signer, sign_root
from tests.cli.conftest import ANN, BEN, POLICY, PREVAILING, TEXT, Run, digest, fill, record, tampered
from tests.support.ledger_writer import new_id
from tests.support.policies import KEY

DAY = 86_400


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)


def verified(cli: Run, ledger: str, *more: str | Path) -> dict[str, Any]:
    """Return the JSON that `verify` prints, and check that its exit status and its sentences agree."""
    ran = cli("verify", "--ledger", ledger, "--json", *more)
    report: dict[str, Any] = ran.lines[0]
    assert ran.err.splitlines() == [finding["why"] for finding in report["findings"]]
    assert ran.status == (FINDING if report["findings"] else GOOD)
    assert (report["root"] is None) == bool(report["findings"])
    return report


def findings(cli: Run, ledger: str, *more: str | Path) -> list[tuple[int | None, str]]:
    return [(finding["record"], finding["why"]) for finding in verified(cli, ledger, *more)["findings"]]


def test_untouched_ledger_is_good(cli: Run, ledger: str) -> None:
    report = verified(cli, ledger)
    assert re.fullmatch("3:[0-9a-f]{64}", root := report.pop("root"))
    none = {"retention": 0, "erasure": 0}
    assert report == {"records": 3, "removed": 0, "removed_by": none, "roots": [], "findings": []}
    assert cli("verify", "--ledger", ledger) == (GOOD, f"All fits: 3 records, and what they cite.\nRoot: {root}\n", "")


CHANGED = "its text is not the one that was recorded"
MISFILED = "it is filed under another keep_until than it says"
BY_FIRST = "was changed: it has no longer the hash that it is cited by. Record 1 is the first that cites it."
TEXT_1, TEXT_2 = digest(TEXT), digest(PREVAILING)
POLICY_CHANGED = (1, f"Policy {POLICY.version} {BY_FIRST}")


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        *(
            ([statement], [(2, f"Record 2 does not fit: {why}.")])
            for statement, why in (
                ("UPDATE consent_records SET document = replace(document, '2', '4') WHERE number = 2", CHANGED),
                ("UPDATE consent_records SET document = CAST(document AS BLOB) WHERE number = 2", CHANGED),
                ("UPDATE consent_records SET document = CAST(X'7BFF7D' AS TEXT) WHERE number = 2", CHANGED),
                ("UPDATE consent_records SET document = NULL, record_hash = 'x' WHERE number = 2", CHANGED),
                ("UPDATE consent_records SET keep_until = 1 WHERE number = 2", MISFILED),
                ("DELETE FROM consent_records WHERE number = 2", "it is missing; the next is 3"),
            )
        ),
        (["DELETE FROM consent_records WHERE number = 3"], []),  # only a root shows it
        (["UPDATE consent_texts SET content = '' WHERE content LIKE '%visits%'"], [(1, f"Text {TEXT_1} {BY_FIRST}")]),
        *(
            ([statement], [POLICY_CHANGED])
            for statement in (
                "UPDATE consent_policies SET document = '{}'",
                "UPDATE consent_policies SET document = document || ' '",
                "UPDATE consent_policies SET document = replace(hex(zeroblob(50000)), '0', '[')",
                "UPDATE consent_policies SET document = X'FF'",
                "UPDATE consent_policies SET document = CAST(X'FF' AS TEXT)",
            )
        ),
        (
            ["INSERT INTO consent_texts VALUES ('00', X'00')"],
            [(None, "Text 00 was changed: it has no longer the hash that it is cited by. No record cites it.")],
        ),
        (
            ["DELETE FROM consent_policies", "DELETE FROM consent_texts WHERE content LIKE '%訪問%'"],
            [
                (1, f"Policy {POLICY.version} is missing. Record 1 is the first that cites it."),
                (1, f"Text {TEXT_2} is missing. Record 1 is the first that cites it."),
            ],
        ),
        (
            ["UPDATE consent_records SET document = '{}' WHERE number = 3", "UPDATE consent_policies SET document = 5"],
            [POLICY_CHANGED, (3, f"Record 3 does not fit: {CHANGED}.")],
        ),
    ],
)
def test_tampering_is_found_in_order_of_records(
    statements: list[str], found: list[tuple[int | None, str]], cli: Run, ledger: str
) -> None:
    with tampered(ledger) as connection:
        for statement in statements:
            connection.execute(statement)
    assert findings(cli, ledger) == found


def test_findings_are_told_in_sentences(cli: Run, ledger: str) -> None:
    with tampered(ledger) as connection:
        connection.execute("UPDATE consent_records SET document = '{' WHERE number = 2")
    why = f"Record 2 does not fit: {CHANGED}.\n"
    assert cli("verify", "--ledger", ledger) == (FINDING, "The chain itself fits for 1 record.\n", why)


def test_policy_is_compared_with_the_whole_hash_that_records_state(cli: Run, ledger: str) -> None:
    other = f"{POLICY.version}{'0' * 48}"
    fill(ledger, record(BEN, "4", policy_sha256=other))
    ((number, why),) = findings(cli, ledger)
    assert (number, why) == (4, POLICY_CHANGED[1].replace("Record 1", "Record 4"))


def test_removals_are_counted_by_reason(cli: Run, ledger: str) -> None:
    assert cli("purge", "--ledger", ledger).status == GOOD
    assert cli("erase", "--id", BEN, "--proof", "--ledger", ledger).status == GOOD
    report = verified(cli, ledger)
    assert (report["records"], report["removed"], report["removed_by"]) == (5, 2, {"retention": 1, "erasure": 1})
    said = "All fits: 5 records (2 of them removed: 1 by retention, 1 by erasure), and what they cite.\n"
    assert cli("verify", "--ledger", ledger).out.startswith(said)


# Damage.


def page_of(connection: sqlite3.Connection, name: str) -> tuple[int, int]:
    """Return where a table or an index begins in the file, and how long a page is."""
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [name]).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (page - 1) * size, size


@pytest.mark.parametrize("table", ["consent_records", "consent_texts"])
def test_lost_page_of_the_database_is_one_finding(table: str, cli: Run, ledger: str, tmp_path: Path) -> None:
    with tampered(ledger) as connection:
        start, size = page_of(connection, table)
    with (tmp_path / "consent.db").open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * size)
    (found,) = findings(cli, ledger)
    assert (found[0], found[1].partition(": ")[0]) == (None, "The database is damaged")


def test_changed_byte_in_an_index_is_found(cli: Run, ledger: str, tmp_path: Path) -> None:
    with tampered(ledger) as connection:
        start, size = page_of(connection, "consent_records_of")
    content = bytearray((tmp_path / "consent.db").read_bytes())
    content[content.index(BEN.encode(), start, start + size)] ^= 1  # as a failing disk does
    (tmp_path / "consent.db").write_bytes(content)
    assert cli("records", "--ledger", ledger, "--id", BEN, "--json").out == "", "the damaged index hides the record"
    assert (None, "The database is damaged: row 2 missing from index consent_records_of.") in findings(cli, ledger)


def test_missing_table_is_wrong_usage(cli: Run, ledger: str) -> None:
    with tampered(ledger) as connection:
        connection.execute("DROP TABLE consent_texts")
    why = "ledger: it cannot be used: no such table: consent_texts\n"
    assert cli("verify", "--ledger", ledger) == (WRONG_USAGE, "", why)


# Roots.


@pytest.mark.usefixtures("key")
def test_signed_root_is_written_and_compared(cli: Run, ledger: str, tmp_path: Path) -> None:
    roots = tmp_path / "roots.txt"
    ran = cli("verify", "--ledger", ledger, "--write-root", roots)
    line = roots.read_text("utf-8").removesuffix("\n")
    assert (ran.status, ran.out.endswith(f"\nRoot: {line}\n")) == (GOOD, True)
    fill(ledger, record(BEN, "4", decided_at=rfc3339(time.time())))
    again = cli("verify", "--ledger", ledger, "--root", roots, "--write-root", roots)
    signed = re.findall(r"^Root 3:[0-9a-f]{64} was signed at [-0-9]{10}T[:0-9]{8}Z\.$", again.out, re.M)
    assert (again.status, len(signed)) == (GOOD, 1), "given twice, compared with the chain once"
    report = verified(cli, ledger, "--root", roots, "--root", line)
    assert [kept["root"][:2] for kept in report["roots"]] == ["3:", "4:", "3:"]
    assert None not in [kept["signed_at"] for kept in report["roots"]]


def test_root_shows_records_that_were_cut_off(cli: Run, ledger: str) -> None:
    root = verified(cli, ledger)["root"]
    with tampered(ledger) as connection:
        connection.execute("DELETE FROM consent_records WHERE number = 3")
    why = "Record 3 does not fit: the chain ends here, but a root that was kept elsewhere says that it had 3 records."
    assert findings(cli, ledger, "--root", root) == [(3, why)]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("change", ["another key", "another root", "no signature"])
def test_root_with_wrong_signature_is_a_finding(
    change: str, cli: Run, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = verified(cli, ledger)["root"]
    if change == "another key":
        monkeypatch.setenv("CONSENT_KEY", "x" * 32)
    changed = {"another root": line.replace("3:", "2:"), "no signature": line.partition(".")[0]}.get(change, line)
    why = f"Wrong signature: the root {changed.partition('.')[0]} does not bear the site's signature."
    assert findings(cli, ledger, "--root", changed) == [(None, why)]


def test_signature_is_checked_by_each_key_and_not_without_one(
    cli: Run, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)
    line = verified(cli, ledger)["root"]
    monkeypatch.setenv("CONSENT_KEY", f"{KEY}\n{'x' * 32}")
    assert verified(cli, ledger, "--root", line)["roots"][0]["signed_at"]
    monkeypatch.delenv("CONSENT_KEY")
    root = line.partition(".")[0]
    assert verified(cli, ledger, "--root", line)["roots"] == [{"root": root, "signed_at": None}]
    said = f"The signature of root {root} was not checked: there is no key in CONSENT_KEY.\n"
    assert said in cli("verify", "--ledger", ledger, "--root", line).out


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("change", ["a record is cut off", "another key signed"])
def test_no_root_is_added_to_one_that_does_not_fit(
    change: str, cli: Run, ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = tmp_path / "roots.txt"
    roots.touch()
    write = ("verify", "--ledger", ledger, "--write-root", roots)
    assert cli(*write).status == cli(*write).status == GOOD
    before = roots.read_text("utf-8")
    assert [line[:2] for line in before.splitlines()] == ["3:", "3:"]
    if change == "another key signed":
        monkeypatch.setenv("CONSENT_KEY", "x" * 32)
    else:
        with tampered(ledger) as connection:
            connection.execute("DELETE FROM consent_records WHERE number = 3")
    ran = cli(*write)
    assert ran.status == FINDING
    assert ran.err.endswith("\nNo root was written.\n")
    assert roots.read_text("utf-8") == before


@pytest.mark.usefixtures("key")
def test_dates_are_compared_with_each_other_and_with_signed_roots(cli: Run, ledger: str) -> None:
    """Somebody who can write to the database appends a backdated grant, with correct hashes."""
    now = int(time.time())
    fill(ledger, record(BEN, "4", decided_at=rfc3339(now - DAY)))
    old = sign_root(Root(0, bytes(32)), root_signer([KEY]), now - 20 * 365 * DAY)
    root = verified(cli, ledger)["root"]
    fill(ledger, record(ANN, "5", decided_at=rfc3339(now - DAY)))
    assert not findings(cli, ledger, "--root", old), "its date fits those around it"
    ((number, why),) = findings(cli, ledger, "--root", root)
    assert (number, why.partition(" when a root was signed at ")[0]) == (
        5,
        f"Record 5 is dated {rfc3339(now - DAY)}, but was not there yet",
    )
    fill(ledger, record(ANN, "6", decided_at=rfc3339(now - 9 * DAY)))
    assert [number for number, _ in findings(cli, ledger)] == [6]
    with closing(open_ledger(ledger)) as opened:
        opened.remove(now=now, make_id=new_id)
    assert [number for number, _ in findings(cli, ledger, "--root", root)] == [5, 6]
