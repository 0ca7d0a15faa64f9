"""Tests of the commands `records`, `export`, `erase`, `purge` and `verify`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE, join_ids, main
from cookie_consent.ledgers import Entry, open_ledger
from cookie_consent.ledgers.chain import INDEXED_COLUMNS
from cookie_consent.policy.policy import canonical_json
from tests.support.asgi import SITE, policy
from tests.support.ledger_writer import new_id
from tests.support.policies import KEY, NOW

POLICY = policy()
ANN, BEN = "consent-id-of-ann", "consent-id-of-ben"
VISITOR = "visitor-id-of-ann"
TEXT, PREVAILING = "<p>May we count visits?</p>", "<p>訪問を数えてもよいですか。</p>"
COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CONSENT_LEDGER", "CONSENT_ACCESS_LOG", "CONSENT_KEY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with two records of Ann, of which the first is due for removal, and one of Ben."""
    path = tmp_path / "consent.db"
    fill(url(path), entry(ANN, "1", keep_until=1), entry(BEN, "2"), entry(ANN, "3", event="withdrawn"))
    return path


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    """An access log with two records of Ann, and one of another visitor."""
    path = tmp_path / "access.jsonl"
    lines = [json.dumps({"time": "t", "url.path": "/訪問", "visitor.id": id_}) for id_ in (VISITOR, "other", VISITOR)]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def entry(consent_id: str, record_id: str, *, keep_until: int | None = None, **changes: Any) -> Entry:
    document = {
        "schema": 2,
        "record_id": record_id,
        "consent_id": consent_id,
        "event": "granted",
        "decided_at": rfc3339(NOW),
        "expires_at": rfc3339(NOW + 1000),
        "source": "banner",
        "status": "granted",
        "granted": ["analytics"],
        "refused": ["media"],
        "language": "en",
        "text": digest(TEXT),
        "prevailing_language": "ja",
        "prevailing_text": digest(PREVAILING),
        "policy": POLICY.version,
        "policy_sha256": hashlib.sha256(canonical_json(POLICY.document())).hexdigest(),
        "answered_before": None,
        "keep_until": None if keep_until is None else rfc3339(keep_until),
        **changes,
    }
    texts = {digest(text): text for text in (TEXT, PREVAILING)} if document["text"] else {}
    policies = {POLICY.version: POLICY.document()} if document["policy"] else {}
    return Entry(document=document, policies=policies, texts=texts)


def fill(target: str, *entries: Entry) -> None:
    ledger = open_ledger(target)

    async def append() -> None:
        for each in entries:
            await ledger.append(each)

    asyncio.run(append())
    ledger.close()


@contextmanager
def tampered(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the ledger's file without its triggers, as an attacker can."""
    with closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


def json_lines(capsys: Capture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# records


@pytest.mark.slow
def test_records_are_listed_in_a_table(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path)]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["decided_at", "event", "status", "source", "language", "policy", "consent_id"]
    when = rfc3339(NOW)
    assert [line.split() for line in lines[1:]] == [
        [when, "granted", "granted", "banner", "en", POLICY.version, ANN],
        [when, "granted", "granted", "banner", "en", POLICY.version, BEN],
        [when, "withdrawn", "granted", "banner", "en", POLICY.version, ANN],
    ]
    assert {line.index("banner") for line in lines[1:]} == {lines[0].index("source")}


def test_records_of_one_consent_id_are_listed_with_record_ids(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--id", ANN]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["record_id", "1", "3"]


@pytest.mark.slow
def test_json_lines_are_the_documents_that_were_hashed(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--json"]) == GOOD
    lines = capsys.readouterr().out.splitlines()
    with closing(sqlite3.connect(path)) as connection:
        hashes = connection.execute("SELECT record_hash FROM consent_records ORDER BY number").fetchall()
    assert [(hashlib.sha256(line.encode()).digest(),) for line in lines] == hashes
    main(["records", "--ledger", url(path), "--json", "--id", BEN])
    assert capsys.readouterr().out.splitlines() == lines[1:2]


@pytest.mark.slow
def test_unknown_id_lists_no_records(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--json", "--id", "nobody"]) == GOOD
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_removal_is_listed_instead_of_removed_records(path: Path, capsys: Capture) -> None:
    main(["purge", "--ledger", url(path)])
    capsys.readouterr()
    main(["records", "--ledger", url(path)])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == ["granted", "withdrawn", "removed"]


def test_control_characters_in_records_are_replaced(tmp_path: Path, capsys: Capture) -> None:
    fill(url(tmp_path / "a.db"), entry("\x1b[2Jx\u202e", "1", source="\x9b2J"))
    main(["records", "--ledger", url(tmp_path / "a.db")])
    said = capsys.readouterr().out
    assert "\ufffd[2Jx\ufffd" in said
    assert all(sign.isprintable() for line in said.split("\n") for sign in line)


@pytest.mark.slow
def test_environment_variables_replace_options(
    path: Path, access_log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_LEDGER", url(path))
    monkeypatch.setenv("CONSENT_ACCESS_LOG", str(access_log))
    assert main(["records", "--json"]) == GOOD
    assert len(json_lines(capsys)) == 3
    assert main(["export", "--id", VISITOR, "--json"]) == GOOD
    assert len(json_lines(capsys)) == 2
    assert main(["records", "--ledger", f"{url(path)}.other"]) == WRONG_USAGE


# records --explain


@pytest.mark.parametrize("whose", [[], ["--id", ANN]])
@pytest.mark.slow
def test_explain_prints_the_text_that_was_shown(whose: list[str], path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--explain", "3", *whose]) == GOOD
    assert capsys.readouterr().out == f"{TEXT}\n"
    assert main(["records", "--ledger", url(path), "--explain", "3", "--prevailing", *whose]) == GOOD
    assert capsys.readouterr().out == f"{PREVAILING}\n"
    assert main(["records", "--ledger", url(path), "--explain", "3", "--json", *whose]) == GOOD
    assert json_lines(capsys) == [{"record_id": "3", "html": TEXT}]


@pytest.mark.slow
def test_explaining_a_missing_record_is_a_finding(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--explain", "4"]) == FINDING
    assert capsys.readouterr().err == "There is no record 4.\n"
    assert main(["records", "--ledger", url(path), "--explain", "2", "--id", ANN]) == FINDING


def test_explaining_a_record_without_text_is_a_finding(tmp_path: Path, capsys: Capture) -> None:
    fill(url(tmp_path / "a.db"), entry(ANN, "1", text=None, prevailing_text=None, source="api"))
    assert main(["records", "--ledger", url(tmp_path / "a.db"), "--explain", "1"]) == FINDING
    assert capsys.readouterr().err.startswith("No text of the site's was shown")


@pytest.mark.parametrize("change", ["DELETE FROM consent_texts", "UPDATE consent_texts SET content = '<p>'"])
@pytest.mark.slow
def test_changed_or_missing_text_is_not_printed(change: str, path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute(change)
    for prevailing, text in (([], TEXT), (["--prevailing"], PREVAILING)):
        assert main(["records", "--ledger", url(path), "--explain", "1", *prevailing]) == FINDING
        said = capsys.readouterr()
        assert said.err == f"Text {digest(text)} is missing, or was changed. Run: cookie-consent verify\n"
        assert said.out == ""


@pytest.mark.slow
def test_damaged_record_is_listed_with_replacement_characters(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        document = '{"record_id":"2","consent_id":"\udcff","event":"' + "\udcff" + '"}'
        raw = document.encode(errors="surrogateescape")
        connection.execute("UPDATE consent_records SET document = CAST(? AS TEXT) WHERE number = 2", [raw])
    assert main(["records", "--ledger", url(path)]) == GOOD
    assert "\ufffd" in capsys.readouterr().out.splitlines()[2]
    assert main(["records", "--ledger", url(path), "--json"]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith("ledger: a record is no JSON (")


def test_prevailing_without_explain_is_wrong_usage(path: Path, capsys: Capture) -> None:
    assert main(["records", "--ledger", url(path), "--prevailing"]) == WRONG_USAGE
    assert capsys.readouterr().err == "--prevailing goes with --explain RECORD_ID.\n"


# Ids


@pytest.mark.slow
def test_id_may_begin_with_a_hyphen(path: Path, capsys: Capture) -> None:
    id_, record_id = "-" + "a" * 21, "--" + "b" * 20
    fill(url(path), entry(id_, record_id))
    assert main(["records", "--ledger", url(path), "--id", id_, "--json"]) == GOOD
    assert [record["record_id"] for record in json_lines(capsys)] == [record_id]
    assert main(["records", "--ledger", url(path), "--explain", record_id]) == GOOD
    assert join_ids(["erase", "--id", "--proof"]) == ["erase", "--id", "--proof"]


@pytest.mark.parametrize("id_", ["", "a\nb", "\udcff", "--json"])
def test_missing_or_unprintable_id_is_refused(id_: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["erase", "--id", id_])
    assert ended.value.code == WRONG_USAGE
    assert "argument --id" in capsys.readouterr().err


# export


@pytest.mark.slow
def test_export_has_all_records_of_an_id_and_their_meanings(path: Path, access_log: Path, capsys: Capture) -> None:
    fill(url(path), entry(ANN, "4", event="note", about="1", note="I was not at home."))
    where = ["--ledger", url(path), "--access-log", str(access_log)]
    assert main(["export", "--id", ANN, *where]) == GOOD
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == ANN
    assert [record["record_id"] for record in said["consent_records"]] == ["1", "3", "4"]
    assert said["access_records"] == []
    assert main(["export", "--id", VISITOR, *where]) == GOOD
    said = json.loads(capsys.readouterr().out)
    assert said["consent_records"] == []
    assert [record["url.path"] for record in said["access_records"]] == ["/訪問", "/訪問"]
    assert said["meanings"]["consent_records"]["expires_at"] == "When your answer ends, so that you are asked again."
    assert "visitor.id" in said["meanings"]["access_records"]


@pytest.mark.slow
def test_json_export_has_one_record_a_line(path: Path, access_log: Path, capsys: Capture) -> None:
    where = ["--ledger", url(path), "--access-log", f"file://{access_log}"]
    main(["export", "--id", ANN, "--json", *where])
    assert [record["record_id"] for record in json_lines(capsys)] == ["1", "3"]
    main(["export", "--id", VISITOR, "--json", *where])
    assert [record["visitor.id"] for record in json_lines(capsys)] == [VISITOR, VISITOR]


def test_export_of_an_id_names_lines_of_the_visitor_that_are_no_records(access_log: Path, capsys: Capture) -> None:
    line = access_log.read_bytes().splitlines(keepends=True)[0]
    with access_log.open("ab") as file:
        file.write(line.replace(b":", b"?", 1) * 2 + b"of nobody\n" + line[:-5])  # the last one is torn
    assert main(["export", "--id", VISITOR, "--access-log", str(access_log), "--json"]) == FINDING
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert said.err.endswith(f"Lines that are no records are left out: {access_log}: 2 lines are no records\n")


def test_export_says_which_store_was_not_searched(path: Path, capsys: Capture) -> None:
    assert main(["export", "--id", ANN, "--ledger", url(path)]) == GOOD
    said = capsys.readouterr()
    assert said.err == "Not looked for: access records. --access-log URL says where they are.\n"
    assert "access_records" not in json.loads(said.out)


def test_export_without_a_store_is_wrong_usage(capsys: Capture) -> None:
    assert main(["export", "--id", ANN]) == WRONG_USAGE
    assert "Name what to look into: --ledger URL, --access-log URL, or both." in capsys.readouterr().err


# erase


@pytest.mark.slow
def test_erase_removes_access_records_and_keeps_the_proof(path: Path, access_log: Path, capsys: Capture) -> None:
    fill(url(path), entry(ANN, "4", keep_until=NOW + 10), entry(ANN, "5", keep_until=NOW + 9))
    where = ["--ledger", url(path), "--access-log", str(access_log)]
    assert main(["erase", "--id", VISITOR, *where]) == GOOD
    assert capsys.readouterr().out.splitlines() == [
        f"Erased: 2 access records of {VISITOR}.",
        f"There are no consent records of {VISITOR}.",
    ]
    assert "visitor-id-of-ann" not in access_log.read_text(encoding="utf-8")
    assert "other" in access_log.read_text(encoding="utf-8")
    assert main(["erase", "--id", ANN, "--json", *where]) == GOOD
    until = rfc3339(NOW + 10)
    assert json_lines(capsys) == [
        {
            "id": ANN,
            "erased": {"access_records": 0, "consent_records": 0, "requests": 0},
            "kept": {
                "consent_records": 4,
                "why": "as proof of what was asked and answered (GDPR Article 7(1))",
                "until": until,
            },
        }
    ]
    main(["erase", "--id", ANN, *where])
    assert f"Stays: 4 consent records of {ANN}, as proof" in (said := capsys.readouterr().out)
    assert f", until {until} at the latest.\n--proof erases them too.\n" in said


@pytest.mark.slow
def test_erase_says_that_proof_without_end_stays_for_ever(path: Path, access_log: Path, capsys: Capture) -> None:
    assert main(["erase", "--id", BEN, "--ledger", url(path), "--access-log", str(access_log)]) == GOOD
    said = capsys.readouterr().out
    assert f"Stays: 1 consent record of {BEN}, " in said
    assert ", for ever.\n" in said


@pytest.mark.slow
def test_erase_without_ledger_says_that_proof_was_not_searched(access_log: Path, capsys: Capture) -> None:
    assert main(["erase", "--id", VISITOR, "--access-log", str(access_log)]) == GOOD
    assert capsys.readouterr().out.splitlines() == [
        f"Erased: 2 access records of {VISITOR}.",
        "Consent records stay; they were not looked for: --ledger URL says where they are.",
    ]


@pytest.mark.slow
def test_erase_with_proof_option_removes_consent_records(path: Path, capsys: Capture) -> None:
    assert main(["erase", "--id", ANN, "--proof", "--ledger", url(path)]) == GOOD
    assert capsys.readouterr().out.splitlines() == [
        "Access records were not looked for: --access-log URL says where they are.",
        f"Erased: 2 consent records and 0 requests of {ANN}.",
        "Stays: their hashes, and a record that they were erased, so that all others can still be verified.",
    ]
    assert main(["verify", "--ledger", url(path), "--json"]) == GOOD
    assert [(said["records"], said["removed"]) for said in json_lines(capsys)] == [(4, 2)]
    main(["records", "--ledger", url(path), "--json"])
    assert ANN not in capsys.readouterr().out


def test_erase_without_a_store_is_wrong_usage(path: Path, capsys: Capture) -> None:
    assert main(["erase", "--id", ANN, "--ledger", url(path)]) == WRONG_USAGE
    assert "Name what to erase from" in capsys.readouterr().err
    assert main(["erase", "--id", ANN, "--proof"]) == WRONG_USAGE
    assert "Name the ledger" in capsys.readouterr().err


@pytest.mark.slow
def test_nothing_is_erased_if_one_store_is_missing(path: Path, access_log: Path, capsys: Capture) -> None:
    before = access_log.read_bytes()
    where = ["--ledger", f"{url(path)}.other", "--access-log", str(access_log)]
    assert main(["erase", "--id", VISITOR, *where]) == WRONG_USAGE
    wrong = ["--ledger", url(path), "--access-log", f"{access_log}.1"]
    assert main(["erase", "--id", ANN, "--proof", *wrong]) == WRONG_USAGE
    assert access_log.read_bytes() == before
    capsys.readouterr()
    main(["records", "--ledger", url(path), "--id", ANN, "--json"])
    assert len(json_lines(capsys)) == 2


@pytest.mark.parametrize(("text", "why"), [(None, "cannot be read: No such file"), ("[site]", 'key "name"')])
def test_purge_with_unusable_policy_is_wrong_usage(
    text: str | None, why: str, access_log: Path, tmp_path: Path, capsys: Capture
) -> None:
    site = tmp_path / "consent.toml"
    if text is not None:
        site.write_text(text, encoding="utf-8")
    command = ["purge", "--access-log", str(access_log), "--policy", str(site)]
    assert main(command) == WRONG_USAGE
    assert why in capsys.readouterr().err


# purge


@pytest.mark.slow
def test_purge_removes_records_that_are_due(path: Path, capsys: Capture) -> None:
    assert main(["purge", "--ledger", url(path), "--dry-run"]) == GOOD
    assert capsys.readouterr().out.endswith("Z would remove 1 record, 0 texts, 0 policies\n")
    assert main(["purge", "--ledger", url(path), "--dry-run", "--json"]) == GOOD
    said = json_lines(capsys)[0]
    assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", said.pop("ran_at"))
    assert said == {"dry_run": True, "records": 1, "texts": 0, "policies": 0, "misfiled": 0}
    assert main(["purge", "--ledger", url(path)]) == GOOD
    assert capsys.readouterr().out.endswith("Z removed 1 record, 0 texts, 0 policies\n")
    assert main(["purge", "--ledger", url(path)]) == GOOD
    assert capsys.readouterr().out.endswith("Z removed 0 records, 0 texts, 0 policies\n")
    assert main(["verify", "--ledger", url(path)]) == GOOD
    assert capsys.readouterr().out.startswith(
        "All fits: 4 records (1 of them removed: 1 by retention), and what they cite.\nRoot: 4:"
    )


@pytest.mark.slow
def test_purge_warns_of_earlier_purge_in_the_future(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(open_ledger(url(path))) as ledger:
        ledger.remove(now=time.time() + 365 * 86_400, make_id=new_id)
    assert main(["purge", "--ledger", url(path)]) == GOOD
    (said,) = [record.getMessage() for record in caplog.records]
    assert "a host's clock was ahead" in said


@pytest.mark.slow
def test_purge_keeps_and_reports_changed_records(path: Path, capsys: Capture) -> None:
    root = root_of(path, capsys)
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET keep_until = 1 WHERE number = 2")
    stays = "1 record stays: it is not as it was recorded. Run: cookie-consent verify\n"
    for more, did in ((["--dry-run"], "would remove"), ([], "removed")):
        assert main(["purge", "--ledger", url(path), *more]) == FINDING
        said = capsys.readouterr()
        assert said.out.endswith(f"Z {did} 1 record, 0 texts, 0 policies\n")
        assert said.err.endswith(stays)
    assert main(["purge", "--ledger", url(path), "--json"]) == FINDING
    assert [said["misfiled"] for said in json_lines(capsys)] == [1]
    why = "Record 2 does not fit: it is filed under another keep_until than it says."
    assert verified(path, capsys, "--root", root)["findings"] == [{"record": 2, "why": why}]
    assert main(["verify", "--ledger", url(path)]) == FINDING
    assert capsys.readouterr().out == "The chain itself fits for 1 record (1 of them removed).\n"


@pytest.mark.slow
def test_erase_keeps_and_reports_changed_records(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET repeat_key = '' WHERE consent_id = ?", [ANN])
    assert main(["erase", "--id", ANN, "--proof", "--ledger", url(path)]) == FINDING
    said = capsys.readouterr()
    assert said.err == "2 records stay: they are not as they were recorded. Run: cookie-consent verify\n"
    assert f"Stays: 2 consent records of {ANN}, " in said.out


def test_purge_removes_texts_and_policies_without_citation(tmp_path: Path, capsys: Capture) -> None:
    fill(url(tmp_path / "a.db"), entry(ANN, "1", keep_until=1))
    assert main(["purge", "--ledger", url(tmp_path / "a.db")]) == GOOD
    assert capsys.readouterr().out.endswith("Z removed 1 record, 2 texts, 1 policy\n")


# verify


def verified(path: Path, capsys: Capture, *more: str) -> dict[str, Any]:
    """Return the JSON that `verify` prints, and check that its exit status agrees."""
    status = main(["verify", "--ledger", url(path), "--json", *more])
    said: dict[str, Any] = json_lines(capsys)[0]
    assert status == (FINDING if said["findings"] else GOOD)
    return said


def records_found(path: Path, capsys: Capture) -> list[int | None]:
    """Return the numbers of the records in which `verify` finds an error."""
    return [finding["record"] for finding in verified(path, capsys)["findings"]]


def root_of(path: Path, capsys: Capture) -> str:
    return str(verified(path, capsys)["root"])


def test_verify_accepts_untouched_ledger(path: Path, capsys: Capture) -> None:
    said = verified(path, capsys)
    assert re.fullmatch("3:[0-9a-f]{64}", said.pop("root"))
    none = {"retention": 0, "erasure": 0}
    assert said == {"records": 3, "removed": 0, "removed_by": none, "roots": [], "findings": []}
    assert main(["verify", "--ledger", url(path)]) == GOOD
    assert capsys.readouterr().out.startswith("All fits: 3 records, and what they cite.\nRoot: 3:")


def one_byte(document: str) -> str:
    return document.replace("granted", "grantee", 1)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_verify_finds_one_changed_byte(kind: Callable[[str], object], path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        (document,) = connection.execute("SELECT document FROM consent_records WHERE number = 2").fetchone()
        connection.execute("UPDATE consent_records SET document = ? WHERE number = 2", [kind(one_byte(document))])
    why = "Record 2 does not fit: its text is not the one that was recorded."
    said = verified(path, capsys)
    assert said["findings"] == [{"record": 2, "why": why}]
    assert (said["records"], said["root"]) == (1, None)
    assert main(["verify", "--ledger", url(path)]) == FINDING
    assert capsys.readouterr() == ("The chain itself fits for 1 record.\n", f"{why}\n")


def test_verify_finds_hash_of_wrong_type(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET document = NULL, record_hash = 'x' WHERE number = 2")
    assert records_found(path, capsys) == [2]


def test_verify_finds_undecodable_record(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET document = CAST(X'7BFF7D' AS TEXT) WHERE number = 2")
    assert records_found(path, capsys) == [2]


def test_verify_finds_lost_database_page(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'consent_records'"
        page = connection.execute(query).fetchone()[0] - 1
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(page * size)
        file.write(b"\xff" * size)
    (finding,) = verified(path, capsys)["findings"]
    assert finding["why"].startswith("The database is damaged: ")


def test_verify_finds_deleted_record(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("DELETE FROM consent_records WHERE number = 2")
    assert verified(path, capsys)["findings"] == [
        {"record": 2, "why": "Record 2 does not fit: it is missing; the next is 3."}
    ]


def test_verify_finds_record_removed_without_a_reason(path: Path, capsys: Capture) -> None:
    emptied = ("document", *INDEXED_COLUMNS)
    with tampered(path) as connection:
        connection.execute(f"UPDATE consent_records SET {' = NULL, '.join(emptied)} = NULL WHERE number = 2")  # noqa: S608
    assert verified(path, capsys)["findings"] == [
        {"record": 2, "why": "Record 2 does not fit: it was removed, and no record says by whose right."}
    ]


@pytest.mark.slow
def test_verify_finds_cut_off_tail_only_with_a_root(path: Path, capsys: Capture) -> None:
    root = root_of(path, capsys)
    with tampered(path) as connection:
        connection.execute("DELETE FROM consent_records WHERE number = 3")
    assert not verified(path, capsys)["findings"]
    why = "Record 3 does not fit: the chain ends here, but a root that was kept elsewhere says that it had 3 records."
    assert verified(path, capsys, "--root", root)["findings"] == [{"record": 3, "why": why}]


@pytest.mark.slow
def test_verify_finds_changed_text(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_texts SET content = content || ' ' WHERE sha256 = ?", [digest(TEXT)])
    why = (
        f"Text {digest(TEXT)} was changed: it has no longer the hash that it is cited by. "
        "Record 1 is the first that cites it."
    )
    assert verified(path, capsys)["findings"] == [{"record": 1, "why": why}]
    assert main(["verify", "--ledger", url(path)]) == FINDING
    assert capsys.readouterr() == ("The chain itself fits for 3 records.\n", f"{why}\n")


def test_verify_finds_deeply_nested_record_and_checks_the_rest(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET document = ? WHERE number = 2", ["[" * 200_000])
        connection.execute("UPDATE consent_texts SET content = '' WHERE sha256 = ?", [digest(TEXT)])
    assert records_found(path, capsys) == [1, 2]


SPACED = json.dumps(POLICY.document(), ensure_ascii=False)


@pytest.mark.parametrize("content", ["{}", "no JSON", "[" * 100_000, b"\xff", "\udcff", SPACED])
def test_verify_finds_changed_policy(content: object, path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        stored = content.encode(errors="surrogateescape") if isinstance(content, str) else content
        kind = "TEXT" if isinstance(content, str) else "BLOB"
        connection.execute(f"UPDATE consent_policies SET document = CAST(? AS {kind})", [stored])  # noqa: S608
    findings = verified(path, capsys)["findings"]
    assert [finding["record"] for finding in findings] == [1]
    assert findings[0]["why"].startswith(f"Policy {POLICY.version} was changed")


def test_verify_finds_other_policy_with_same_version(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.db"
    whole = hashlib.sha256(canonical_json(POLICY.document())).hexdigest()
    other = f"{POLICY.version}{'0' * 48}"
    fill(url(path), *(entry(ANN, str(number), policy_sha256=hash_) for number, hash_ in enumerate((whole, other))))
    why = (
        f"Policy {POLICY.version} was changed: it has no longer the hash that it is cited by. "
        "Record 2 is the first that cites it."
    )
    assert verified(path, capsys)["findings"] == [{"record": 2, "why": why}]
    with tampered(path) as connection:
        connection.execute("UPDATE consent_policies SET document = '{}'")
    assert records_found(path, capsys) == [1], "each error is reported once"


def test_verify_finds_changed_text_without_citation(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("INSERT INTO consent_texts VALUES ('00', x'00')")
    why = "Text 00 was changed: it has no longer the hash that it is cited by. No record cites it."
    assert verified(path, capsys)["findings"] == [{"record": None, "why": why}]


def test_verify_finds_missing_text_and_policy(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("DELETE FROM consent_texts WHERE sha256 = ?", [digest(PREVAILING)])
        connection.execute("DELETE FROM consent_policies")
    assert [finding["why"] for finding in verified(path, capsys)["findings"]] == [
        f"Policy {POLICY.version} is missing. Record 1 is the first that cites it.",
        f"Text {digest(PREVAILING)} is missing. Record 1 is the first that cites it.",
    ]


def test_findings_are_in_order_of_records(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_texts SET content = ''")
        connection.execute("UPDATE consent_records SET document = '{}' WHERE number = 3")
        connection.execute("INSERT INTO consent_texts VALUES ('00', '')")
    assert records_found(path, capsys) == [1, 1, 3, None]


def whys(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["why"] for finding in findings]


def flip_in_index(path: Path, index: str, text: str) -> None:
    """Change one byte of a text in an index, as a failing disk does."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [index]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[content.index(text.encode(), (page - 1) * size, page * size)] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_verify_finds_changed_byte_in_an_index(path: Path, capsys: Capture) -> None:
    flip_in_index(path, "consent_records_of", BEN)
    assert main(["export", "--ledger", url(path), "--id", BEN, "--json"]) == GOOD
    assert not json_lines(capsys), "the damaged index hides the record"
    why = "The database is damaged: row 2 missing from index consent_records_of."
    assert {"record": None, "why": why} in verified(path, capsys)["findings"]
    assert main(["verify", "--ledger", url(path)]) == FINDING
    assert why in capsys.readouterr().err.splitlines()


# Roots


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)


@pytest.mark.usefixtures("key")
@pytest.mark.slow
def test_verify_writes_signed_root_and_compares_chain_with_it(path: Path, tmp_path: Path, capsys: Capture) -> None:
    roots = tmp_path / "roots.txt"
    assert main(["verify", "--ledger", url(path), "--write-root", str(roots)]) == GOOD
    line = roots.read_text("utf-8").removesuffix("\n")
    assert capsys.readouterr().out.endswith(f"\nRoot: {line}\n")
    fill(url(path), entry(BEN, "4", decided_at=rfc3339(time.time())))
    assert main(["verify", "--ledger", url(path), "--root", str(roots), "--write-root", str(roots)]) == GOOD
    signed = re.findall(r"^Root 3:[0-9a-f]{64} was signed at [-0-9]{10}T[:0-9]{8}Z\.$", capsys.readouterr().out, re.M)
    assert len(signed) == 1, "given twice, compared with the chain once"
    said = verified(path, capsys, "--root", str(roots), "--root", line)
    assert [kept["root"][:2] for kept in said["roots"]] == ["3:", "4:", "3:"]
    assert None not in [kept["signed_at"] for kept in said["roots"]]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("change", ["another key", "another root", "no signature", "a byte more"])
def test_root_with_wrong_signature_is_a_finding(
    change: str, path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = root_of(path, capsys)
    changed = {
        "another key": line,
        "another root": line.replace("3:", "2:"),
        "no signature": line.partition(".")[0],
        "a byte more": f"{line}\udcff",
    }[change]
    if change == "another key":
        monkeypatch.setenv("CONSENT_KEY", "x" * 32)
    findings = verified(path, capsys, "--root", changed)["findings"]
    root = changed.partition(".")[0]
    assert findings == [
        {"record": None, "why": f"Wrong signature: the root {root} does not bear the site's signature."}
    ]


@pytest.mark.slow
def test_verify_without_key_says_that_signature_is_unchecked(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)
    line = root_of(path, capsys)
    monkeypatch.delenv("CONSENT_KEY")
    root = line.partition(".")[0]
    assert verified(path, capsys, "--root", line)["roots"] == [{"root": root, "signed_at": None}]
    assert main(["verify", "--ledger", url(path), "--root", line]) == GOOD
    said = capsys.readouterr().out
    assert f"The signature of root {root} was not checked: there is no key in CONSENT_KEY.\n" in said


def test_root_signed_with_older_key_is_accepted(path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)
    line = root_of(path, capsys)
    monkeypatch.setenv("CONSENT_KEY", f"{KEY}\n{'x' * 32}")
    assert not verified(path, capsys, "--root", line)["findings"]


def test_contradicting_roots_are_a_finding(path: Path, capsys: Capture) -> None:
    root = root_of(path, capsys)
    findings = verified(path, capsys, "--root", f"3:{'0' * 64}", "--root", root)["findings"]
    assert [finding["record"] for finding in findings] == [3]


@pytest.mark.usefixtures("key")
@pytest.mark.slow
def test_no_root_is_added_if_chain_contradicts_earlier_roots(path: Path, tmp_path: Path, capsys: Capture) -> None:
    roots = tmp_path / "roots.txt"
    roots.touch()
    write = ["verify", "--ledger", url(path), "--write-root", str(roots)]
    assert main(write) == main(write) == GOOD
    before = roots.read_text("utf-8")
    assert [line[:2] for line in before.splitlines()] == ["3:", "3:"]
    with tampered(path) as connection:
        connection.execute("DELETE FROM consent_records WHERE number = 3")
    capsys.readouterr()
    assert main(write) == FINDING
    said = capsys.readouterr().err
    assert "Record 3 does not fit: the chain ends here, but a root that was kept elsewhere" in said
    assert said.endswith("\nNo root was written.\n")
    assert roots.read_text("utf-8") == before


@pytest.mark.usefixtures("key")
def test_no_root_is_added_to_roots_of_another_key(
    path: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = tmp_path / "roots.txt"
    write = ["verify", "--ledger", url(path), "--write-root", str(roots)]
    assert main(write) == GOOD
    before = roots.read_text("utf-8")
    monkeypatch.setenv("CONSENT_KEY", "x" * 32)
    assert main(write) == FINDING
    assert "Wrong signature: " in capsys.readouterr().err
    assert roots.read_text("utf-8") == before


@pytest.mark.usefixtures("key")
def test_no_root_is_added_to_other_text(path: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("My notes", encoding="utf-8")
    assert main(["verify", "--ledger", url(path), "--write-root", str(tmp_path / "notes.txt")]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith(f"{tmp_path}/notes.txt: 'My notes' is no root")
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "My notes"


@pytest.mark.usefixtures("key")
def test_no_root_is_written_for_broken_chain(path: Path, tmp_path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("DELETE FROM consent_records WHERE number = 1")
    roots = tmp_path / "roots.txt"
    assert main(["verify", "--ledger", url(path), "--write-root", str(roots)]) == FINDING
    assert not roots.exists()
    assert capsys.readouterr().err.endswith("\nNo root was written.\n")


def test_writing_a_root_without_key_is_wrong_usage(path: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", "--ledger", url(path), "--write-root", str(tmp_path / "roots")]) == WRONG_USAGE
    assert "set the environment variable CONSENT_KEY" in capsys.readouterr().err


@pytest.mark.usefixtures("key")
def test_unwritable_root_file_is_wrong_usage(path: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", "--ledger", url(path), "--write-root", str(tmp_path)]) == WRONG_USAGE
    said = capsys.readouterr()
    assert said.out.startswith("All fits: ")
    assert said.err == f"{tmp_path} cannot be written: Is a directory.\n"


def test_short_key_is_wrong_usage(path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", "short")
    assert main(["verify", "--ledger", url(path)]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith("CONSENT_KEY: secret_keys: each key is a text of at least 32 characters")


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read: No such file"), (b"\n", "it is empty"), (b"\xff", "utf-8"), (b"5", "is no root")],
)
def test_file_without_roots_is_wrong_usage(
    content: bytes | None, why: str, path: Path, tmp_path: Path, capsys: Capture
) -> None:
    roots = tmp_path / "roots.txt"
    if content is not None:
        roots.write_bytes(content)
    assert main(["verify", "--ledger", url(path), "--root", str(roots)]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith(f"{tmp_path}")
    main(["verify", "--ledger", url(path), "--root", str(roots)])
    assert why in capsys.readouterr().err


def test_purge_without_a_store_is_wrong_usage(capsys: Capture) -> None:
    assert main(["purge"]) == WRONG_USAGE
    assert capsys.readouterr().err == "Name what to purge: --ledger URL, --access-log URL, or both.\n"


def test_purge_removes_old_access_records(tmp_path: Path, capsys: Capture) -> None:
    site, log = tmp_path / "consent.toml", tmp_path / "access.jsonl"
    site.write_text(SITE, encoding="utf-8")
    times = [datetime.now(UTC) - timedelta(days=days) for days in (40, 31, 1)]
    log.write_text("".join(json.dumps({"time": f"{time:%Y-%m-%dT%H:%M:%S}.000Z"}) + "\n" for time in times))
    command = ["purge", "--access-log", str(log), "--policy", str(site)]
    assert main([*command, "--dry-run"]) == GOOD
    assert capsys.readouterr().out.endswith(" would remove 2 access records\n")
    assert main([*command, "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out)["access_records"] == 2
    assert main(command) == GOOD
    assert capsys.readouterr().out.endswith(" removed 0 access records\n")
    assert log.read_text().strip().count("time") == 1


@pytest.mark.parametrize("text", [None, SITE.replace("traces = true", "traces = false")])
def test_purge_of_access_records_needs_retention_in_policy(
    text: str | None, path: Path, access_log: Path, tmp_path: Path, capsys: Capture
) -> None:
    site, before = tmp_path / "consent.toml", access_log.read_bytes()
    site.write_text(text or "", encoding="utf-8")
    command = ["purge", "--access-log", str(access_log), *(["--policy", str(site)] if text else [])]
    why = "Access records were not looked at: a purpose in --policy FILE says for how long they are kept.\n"
    assert main(command) == WRONG_USAGE
    assert capsys.readouterr().err == why
    assert main([*command, "--ledger", url(path)]) == GOOD
    assert why in capsys.readouterr().err
    assert access_log.read_bytes() == before


# Ledgers and access logs


@pytest.mark.parametrize("command", [["records"], ["verify"]])
def test_command_without_ledger_is_wrong_usage(command: list[str], capsys: Capture) -> None:
    assert main(command) == WRONG_USAGE
    assert capsys.readouterr().err == ("Name the ledger: --ledger URL, or the environment variable CONSENT_LEDGER.\n")


@pytest.mark.parametrize("command", [["records"], ["purge"], ["verify"], ["export", "--id", ANN], ["requests", "list"]])
def test_missing_ledger_is_not_created(command: list[str], tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "folder" / "consent.db"
    assert main([*command, "--ledger", url(path)]) == WRONG_USAGE
    assert f"ledger: there is no file {path}.\n" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_other_database_is_not_made_a_ledger(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE own (id)")
    before = path.read_bytes()
    assert main(["verify", "--ledger", url(path)]) == WRONG_USAGE
    assert "this database has never kept consent records" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_file_that_is_no_database_is_wrong_usage(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "consent.db"
    path.write_text("no database" * 100)
    assert main(["verify", "--ledger", url(path)]) == WRONG_USAGE
    assert capsys.readouterr().err.startswith(f"ledger: {path} cannot be used as an SQLite file: ")


def test_ledger_path_without_scheme_is_wrong_usage(capsys: Capture) -> None:
    assert main(["verify", "--ledger", "consent.db"]) == WRONG_USAGE
    assert 'Write "sqlite:///consent.db"' in capsys.readouterr().err


def test_broken_ledger_is_wrong_usage(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DROP TABLE consent_texts")
    assert main(["verify", "--ledger", url(path)]) == WRONG_USAGE
    assert capsys.readouterr().err == "ledger: it cannot be used: no such table: consent_texts\n"


def test_unreadable_record_is_reported(path: Path, capsys: Capture) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET document = '{' WHERE number = 2")
    assert main(["records", "--ledger", url(path)]) == WRONG_USAGE
    said = capsys.readouterr().err
    assert said.startswith("ledger: a record is no JSON (")
    assert said.endswith("). Run: cookie-consent verify\n")


@pytest.mark.parametrize("target", ["missing.jsonl", "s3://bucket"])
def test_missing_access_log_is_wrong_usage(target: str, tmp_path: Path, capsys: Capture) -> None:
    place = target if "://" in target else str(tmp_path / target)
    for command in ("export", "erase"):
        assert main([command, "--id", ANN, "--access-log", place]) == WRONG_USAGE
    assert "access_log: there is no" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_unreadable_access_log_is_a_finding(capsys: Capture) -> None:
    assert main(["export", "--id", ANN, "--access-log", "/proc/self/mem"]) == FINDING  # reading this file fails
    assert "their records are missing: /proc/self/mem: [Errno 5] Input/output error\n" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["postgresql", "clickhouse"])
def test_unreachable_access_log_error_hides_the_password(scheme: str, tmp_path: Path, capsys: Capture) -> None:
    target = f"{scheme}://user:hidden@127.0.0.1:1/log?spill={tmp_path}"
    policy = tmp_path / "consent.toml"
    assert main(["init", str(policy)]) == GOOD
    for command in (["export", "--id", ANN], ["erase", "--id", ANN], ["purge", "--policy", str(policy)]):
        capsys.readouterr()
        assert main([*command, "--access-log", target]) == WRONG_USAGE
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Not looked for")]
        assert len(said) == 1
        assert "cannot be used: " in said[0]
        assert "hidden" not in said[0]


@pytest.mark.parametrize("missing", ["sqlalchemy", "psycopg"])
def test_missing_package_error_names_the_extra(
    missing: str, path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if re.fullmatch(r"cookie_consent\.ledgers\.(sql\w*|postgresql)", name)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    targets = {"postgresql": "postgresql://localhost/consent", "sql": url(path)}
    for extra, target in targets.items() if missing == "sqlalchemy" else [("postgresql", targets["postgresql"])]:
        assert main(["records", "--ledger", target]) == WRONG_USAGE
        advice = f'needs {missing}. Install it with: pip install "cookie-consent[{extra}]"\n'
        assert capsys.readouterr().err.endswith(advice)


# PostgreSQL


def test_commands_work_on_postgresql(postgres_url: str, capsys: Capture) -> None:
    assert main(["verify", "--ledger", postgres_url]) == WRONG_USAGE
    assert "this database has never kept consent records" in capsys.readouterr().err
    fill(postgres_url, entry(ANN, "1", keep_until=1), entry(BEN, "2"))
    assert main(["records", "--ledger", postgres_url, "--json"]) == GOOD
    assert [record["record_id"] for record in json_lines(capsys)] == ["1", "2"]
    assert main(["purge", "--ledger", postgres_url]) == GOOD
    assert main(["erase", "--id", BEN, "--proof", "--ledger", postgres_url]) == GOOD
    capsys.readouterr()
    assert main(["verify", "--ledger", postgres_url, "--json"]) == GOOD
    assert [(said["records"], said["removed"]) for said in json_lines(capsys)] == [(4, 2)]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("postgresql://user:hidden@127.0.0.1:1/consent", "ledger: the database cannot be used: connection failed: "),
        ("postgresql://user:hidden@127.0.0.1:port/consent", "ledger: the URL cannot be read. "),
    ],
)
def test_unreachable_ledger_error_hides_the_password(target: str, why: str, capsys: Capture) -> None:
    assert main(["verify", "--ledger", target]) == WRONG_USAGE
    said = capsys.readouterr().err
    assert said.startswith(why)
    assert "hidden" not in said


# Processes, pipes and terminals


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], check=False, timeout=60, text=True, **{"capture_output": True, **options}
    )


@pytest.mark.slow
def test_process_exits_with_the_status(path: Path) -> None:
    with tampered(path) as connection:
        connection.execute("UPDATE consent_records SET document = replace(document, 'analytics', 'analytica')")
    ended = process("verify", "--ledger", url(path))
    assert (ended.returncode, ended.stdout) == (FINDING, "The chain itself fits for 0 records.\n")
    assert ended.stderr == "Record 1 does not fit: its text is not the one that was recorded.\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with many records, which tests only read."""
    path = tmp_path_factory.mktemp("many") / "many.db"
    ledger = open_ledger(url(path))

    async def append() -> None:
        await asyncio.gather(*(ledger.append(entry(ANN, str(number))) for number in range(1200)))

    asyncio.run(append())
    ledger.close()
    return path


@pytest.mark.slow
def test_reader_may_close_the_pipe_early(many: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "records", "--ledger", url(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("decided_at")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == GOOD


@pytest.mark.parametrize("command", [["records"], ["verify"]])
@pytest.mark.slow
def test_command_succeeds_if_nobody_reads_its_output(command: list[str], many: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        assert main([*command, "--ledger", url(many)]) == GOOD


@contextmanager
def terminal() -> Iterator[list[str]]:
    """Make standard error a terminal. Afterwards, the list has what the terminal showed."""
    shows, shown = os.openpty()
    said: list[str] = []
    with open(shows, "rb", buffering=0) as reader:
        with open(shown, "w", encoding="utf-8") as screen, redirect_stderr(screen):
            yield said
        parts = []
        with suppress(OSError):  # reading ends with an error when the other side is closed
            while part := reader.read(4096):
                parts.append(part)
        said.append(b"".join(parts).decode())


@pytest.mark.parametrize("command", [["verify"], ["records", "--explain", "no record"]])
@pytest.mark.slow
def test_progress_is_shown_on_a_terminal_and_cleared(command: list[str], many: Path, capsys: Capture) -> None:
    with terminal() as shown:
        main([*command, "--ledger", url(many)])
    assert re.match(r"\r\[#{33} {7}\]  83% of 1,200 records(\r\[#{40}\] 100% of 1,200 records)?\r\x1b\[K", shown[0])
    assert "% of" not in capsys.readouterr().out
    main([*command, "--ledger", url(many)])
    assert "% of" not in capsys.readouterr().err
