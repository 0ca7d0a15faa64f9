"""Tests of the commands on records: `records`, `export --id`, `erase` and `purge`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.main import FINDING, GOOD, WRONG_USAGE, join_ids, main
from cookie_consent.ledgers import open_ledger
from tests.cli.conftest import ANN, BEN, POLICY, PREVAILING, TEXT, VISITOR, Run, digest, fill, record, tampered
from tests.support.asgi import SITE
from tests.support.ledger_writer import append, new_id
from tests.support.policies import NOW

COMMAND = [sys.executable, "-c", "import sys; from cookie_consent.cli import main; sys.exit(main())"]


# records


def test_records_are_listed_in_a_table(cli: Run, ledger: str) -> None:
    ran = cli("records", "--ledger", ledger)
    head, *rows = ran.out.splitlines()
    assert (ran.status, head.split()[-1]) == (GOOD, "consent_id")
    assert head.split()[:6] == ["decided_at", "event", "status", "source", "language", "policy"]
    shared = [rfc3339(NOW), "granted", "banner", "en", POLICY.version]
    cells = [row.split() for row in rows]
    assert [(row[1], row[6]) for row in cells] == [("granted", ANN), ("granted", BEN), ("withdrawn", ANN)]
    assert [[row[0], *row[2:6]] for row in cells] == [shared] * 3
    assert {row.index("banner") for row in rows} == {head.index("source")}
    of_ann = cli("records", "--ledger", ledger, "--id", ANN).out.splitlines()
    assert [line.split()[-1] for line in of_ann] == ["record_id", "1", "3"]


def test_json_lines_are_the_documents_that_were_hashed(cli: Run, ledger: str) -> None:
    lines = cli("records", "--ledger", ledger, "--json").out.splitlines()
    with closing(open_ledger(ledger)) as opened:
        assert [hashlib.sha256(line.encode()).digest() for line in lines] == [
            link.record_hash for link in opened.links()
        ]
    assert cli("records", "--ledger", ledger, "--json", "--id", BEN).out.splitlines() == lines[1:2]
    assert cli("records", "--ledger", ledger, "--json", "--id", "nobody") == (GOOD, "", "")


def test_removal_is_listed_in_place_of_removed_records(cli: Run, ledger: str) -> None:
    cli("purge", "--ledger", ledger)
    rows = cli("records", "--ledger", ledger).out.splitlines()[1:]
    assert [row.split()[1] for row in rows] == ["granted", "withdrawn", "removed"]


def test_control_characters_in_records_are_replaced(cli: Run, ledger: str) -> None:
    fill(ledger, record("\x1b[2Jx\u202e", "4", source="\x9b2J"))
    out = cli("records", "--ledger", ledger).out
    assert "\ufffd[2Jx\ufffd" in out
    assert all(sign.isprintable() for line in out.split("\n") for sign in line)


def test_damaged_record_is_listed_if_it_is_json(cli: Run, ledger: str) -> None:
    document = b'{"record_id":"2","consent_id":"\xff","event":"\xff"}'
    with tampered(ledger) as connection:
        connection.execute("UPDATE consent_records SET document = CAST(? AS TEXT) WHERE number = 2", [document])
    ran = cli("records", "--ledger", ledger)
    assert (ran.status, "\ufffd" in ran.out.splitlines()[2]) == (GOOD, True)
    with tampered(ledger) as connection:
        connection.execute("UPDATE consent_records SET document = '{' WHERE number = 3")
    for form in ([], ["--json"]):
        ran = cli("records", "--ledger", ledger, *form)
        assert (ran.status, ran.err.startswith("ledger: a record is no JSON (")) == (WRONG_USAGE, True)
        assert ran.err.endswith("). Run: cookie-consent verify\n")


def test_environment_variables_stand_for_options(
    cli: Run, ledger: str, access_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENT_LEDGER", ledger)
    monkeypatch.setenv("CONSENT_ACCESS_LOG", str(access_log))
    assert len(cli("records", "--json").lines) == 3
    assert len(cli("export", "--id", VISITOR, "--json").lines) == 2
    assert cli("records", "--ledger", f"{ledger}.other").status == WRONG_USAGE


@pytest.mark.requirement("PO-08", "PC-03")
@pytest.mark.parametrize("whose", [[], ["--id", ANN]])
def test_explain_prints_the_text_that_was_shown(whose: list[str], cli: Run, ledger: str) -> None:
    explain = ("records", "--ledger", ledger, *whose, "--explain")
    assert cli(*explain, "3") == (GOOD, f"{TEXT}\n", "")
    assert cli(*explain, "3", "--prevailing") == (GOOD, f"{PREVAILING}\n", "")
    assert cli(*explain, "3", "--json").lines == [{"record_id": "3", "html": TEXT}]
    assert cli(*explain, "4") == (FINDING, "", "There is no record 4.\n")
    assert cli(*explain, "2").status == (FINDING if whose else GOOD)


def test_record_without_text_cannot_be_explained(cli: Run, ledger: str) -> None:
    fill(ledger, record(ANN, "4", text=None, prevailing_text=None, source="api"))
    ran = cli("records", "--ledger", ledger, "--explain", "4")
    assert (ran.status, ran.err.partition(" for this")[0]) == (FINDING, "No text of the site's was shown")


@pytest.mark.parametrize("change", ["DELETE FROM consent_texts", "UPDATE consent_texts SET content = '<p>'"])
def test_changed_or_missing_text_is_not_printed(change: str, cli: Run, ledger: str) -> None:
    with tampered(ledger) as connection:
        connection.execute(change)
    for prevailing, text in (([], TEXT), (["--prevailing"], PREVAILING)):
        ran = cli("records", "--ledger", ledger, "--explain", "1", *prevailing)
        why = f"Text {digest(text)} is missing, or was changed. Run: cookie-consent verify\n"
        assert ran == (FINDING, "", why)


def test_id_may_begin_with_a_hyphen(cli: Run, ledger: str) -> None:
    id_, record_id = "-" + "a" * 21, "--" + "b" * 20
    fill(ledger, record(id_, record_id))
    assert [each["record_id"] for each in cli("records", "--ledger", ledger, "--id", id_, "--json").lines] == [
        record_id
    ]
    assert cli("records", "--ledger", ledger, "--explain", record_id).status == GOOD
    assert join_ids(["erase", "--id", "--proof"]) == ["erase", "--id", "--proof"]


# export


def test_export_has_everything_of_an_id_and_its_meaning(cli: Run, ledger: str, access_log: Path) -> None:
    where = ("--ledger", ledger, "--access-log", f"file://{access_log}")
    said = json.loads(cli("export", "--id", ANN, *where).out)
    assert said["id"] == ANN
    assert [each["record_id"] for each in said["consent_records"]] == ["1", "3"]
    assert (said["access_records"], said["requests"]) == ([], [])
    assert said["meanings"]["consent_records"]["expires_at"] == "When your answer ends, so that you are asked again."
    said = json.loads(cli("export", "--id", VISITOR, *where).out)
    assert (said["consent_records"], [each["url.path"] for each in said["access_records"]]) == ([], ["/訪問"] * 2)
    assert "visitor.id" in said["meanings"]["access_records"]
    assert [each["record_id"] for each in cli("export", "--id", ANN, "--json", *where).lines] == ["1", "3"]
    assert [each["visitor.id"] for each in cli("export", "--id", VISITOR, "--json", *where).lines] == [VISITOR] * 2


def test_export_says_which_store_was_not_searched(cli: Run, ledger: str) -> None:
    ran = cli("export", "--id", ANN, "--ledger", ledger)
    why = "Not looked for: access records. --access-log URL says where they are.\n"
    assert (ran.status, ran.err, "access_records" in json.loads(ran.out)) == (GOOD, why, False)


def test_export_names_lines_that_are_no_records(cli: Run, access_log: Path) -> None:
    line = access_log.read_bytes().splitlines(keepends=True)[0]
    with access_log.open("ab") as file:
        file.write(line.replace(b":", b"?", 1) * 2 + b"of nobody\n" + line[:-5])  # the last one is torn
    ran = cli("export", "--id", VISITOR, "--access-log", access_log, "--json")
    assert (ran.status, len(ran.lines)) == (FINDING, 2)
    assert ran.err.endswith(f"Lines that are no records are left out: {access_log}: 2 lines are no records\n")


def test_unreadable_access_log_is_a_finding(cli: Run) -> None:
    ran = cli("export", "--id", ANN, "--access-log", "/proc/self/mem")  # reading this file fails
    assert ran.status == FINDING
    assert "their records are missing: /proc/self/mem: [Errno 5] Input/output error\n" in ran.err


# erase


def test_erase_removes_access_records_and_keeps_the_proof(cli: Run, ledger: str, access_log: Path) -> None:
    until = rfc3339(NOW + 10)
    fill(ledger, record(ANN, "4", keep_until=until), record(ANN, "5", keep_until=rfc3339(NOW + 9)))
    where = ("--ledger", ledger, "--access-log", access_log)
    assert cli("erase", "--id", VISITOR, *where).out.splitlines() == [
        f"Erased: 2 access records of {VISITOR}.",
        f"There are no consent records of {VISITOR}.",
    ]
    assert [VISITOR in access_log.read_text("utf-8"), "other" in access_log.read_text("utf-8")] == [False, True]
    why = "as proof of what was asked and answered (GDPR Article 7(1))"
    assert cli("erase", "--id", ANN, "--json", *where).lines == [
        {
            "id": ANN,
            "erased": {"access_records": 0, "consent_records": 0, "requests": 0},
            "kept": {"consent_records": 4, "why": why, "until": until},
        }
    ]
    said = f"Stays: 4 consent records of {ANN}, {why}, until {until} at the latest.\n--proof erases them too.\n"
    assert cli("erase", "--id", ANN, *where).out.endswith(said)
    assert ", for ever.\n" in cli("erase", "--id", BEN, *where).out


@pytest.mark.requirement("LP-12")
def test_erase_says_which_store_was_not_searched(cli: Run, ledger: str, access_log: Path) -> None:
    assert cli("erase", "--id", VISITOR, "--access-log", access_log).out.splitlines() == [
        f"Erased: 2 access records of {VISITOR}.",
        "Consent records stay; they were not looked for: --ledger URL says where they are.",
    ]
    assert cli("erase", "--id", ANN, "--proof", "--ledger", ledger).out.splitlines() == [
        "Access records were not looked for: --access-log URL says where they are.",
        f"Erased: 2 consent records and 0 requests of {ANN}.",
        "Stays: their hashes, and a record that they were erased, so that all others can still be verified.",
    ]
    assert ANN not in cli("records", "--ledger", ledger, "--json").out


# purge


def test_purge_removes_records_that_are_due(cli: Run, ledger: str, caplog: pytest.LogCaptureFixture) -> None:
    (said,) = cli("purge", "--ledger", ledger, "--dry-run", "--json").lines
    assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", said.pop("ran_at"))
    assert said == {"dry_run": True, "records": 1, "texts": 0, "policies": 0, "misfiled": 0}
    for more, did in ((["--dry-run"], "would remove 1 record"), ([], "removed 1 record"), ([], "removed 0 records")):
        ran = cli("purge", "--ledger", ledger, *more)
        assert (ran.status, ran.out.partition("Z ")[2]) == (GOOD, f"{did}, 0 texts, 0 policies\n")
        assert ran.err == "Requests were not looked at: --policy FILE says for how long they are kept.\n"
    with closing(open_ledger(ledger)) as opened:
        opened.remove(now=time.time() + 365 * 86_400, make_id=new_id)
    assert cli("purge", "--ledger", ledger).status == GOOD
    assert "a host's clock was ahead" in caplog.text


def test_changed_records_stay_and_are_a_finding(cli: Run, ledger: str) -> None:
    with tampered(ledger) as connection:
        connection.execute("UPDATE consent_records SET keep_until = 1 WHERE number > 1")
    stay = "2 records stay: they are not as they were recorded. Run: cookie-consent verify\n"
    for more, did in ((["--dry-run"], "would remove"), ([], "removed")):
        ran = cli("purge", "--ledger", ledger, *more)
        assert (ran.status, ran.out.partition("Z ")[2]) == (FINDING, f"{did} 1 record, 0 texts, 0 policies\n")
        assert ran.err.endswith(stay)
    assert cli("purge", "--ledger", ledger, "--json").lines[0]["misfiled"] == 2
    ran = cli("erase", "--id", BEN, "--proof", "--ledger", ledger)
    assert (ran.status, ran.err) == (
        FINDING,
        "1 record stays: it is not as it was recorded. Run: cookie-consent verify\n",
    )
    assert f"Stays: 1 consent record of {BEN}, " in ran.out


@pytest.mark.requirement("LP-07")
def test_purge_removes_old_access_records(cli: Run, tmp_path: Path) -> None:
    site, log = tmp_path / "consent.toml", tmp_path / "access.jsonl"
    site.write_text(SITE, encoding="utf-8")
    times = [datetime.now(UTC) - timedelta(days=days) for days in (40, 31, 1)]
    log.write_text("".join(json.dumps({"time": f"{time:%Y-%m-%dT%H:%M:%S}.000Z"}) + "\n" for time in times))
    command = ("purge", "--access-log", log, "--policy", site)
    assert cli(*command, "--dry-run").out.endswith(" would remove 2 access records\n")
    assert cli(*command, "--json").lines[0]["access_records"] == 2
    assert cli(*command).out.endswith(" removed 0 access records\n")
    assert log.read_text().strip().count("time") == 1


def test_purge_of_a_ledger_says_that_access_records_stay(cli: Run, ledger: str, access_log: Path) -> None:
    before = access_log.read_bytes()
    ran = cli("purge", "--ledger", ledger, "--access-log", access_log)
    assert (ran.status, access_log.read_bytes()) == (GOOD, before)
    assert "Access records were not looked at: a purpose in --policy FILE says" in ran.err


def test_commands_work_on_postgresql(cli: Run, postgres_url: str) -> None:
    where = ("--ledger", postgres_url)
    assert "this database has never kept consent records" in cli("verify", *where).err
    fill(postgres_url, record(ANN, "1", keep_until=rfc3339(1)), record(BEN, "2"))
    assert [each["record_id"] for each in cli("records", *where, "--json").lines] == ["1", "2"]
    assert cli("purge", *where).status == GOOD
    assert cli("erase", "--id", BEN, "--proof", *where).status == GOOD
    assert [(each["records"], each["removed"]) for each in cli("verify", *where, "--json").lines] == [(4, 2)]


# Processes, pipes and terminals


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ledger with many records, which tests only read."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'many.db'}"
    with closing(open_ledger(url)) as ledger:
        append(ledger, *(record(ANN, str(number)) for number in range(1200)))
    return url


@pytest.mark.slow  # two processes start
def test_process_exits_with_the_status_and_its_reader_may_leave(many: str) -> None:
    command = [*COMMAND, "records", "--ledger", many]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("decided_at")
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == ("", GOOD)
    ended = subprocess.run([*command, "--explain", "none"], capture_output=True, check=False, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (FINDING, "", "There is no record none.\n")


@pytest.mark.parametrize("command", ["records", "verify"])
@pytest.mark.slow  # reads a thousand records
def test_command_succeeds_if_nobody_reads_its_output(command: str, many: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        assert main([command, "--ledger", many]) == GOOD


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
@pytest.mark.slow  # reads a thousand records
def test_progress_is_shown_on_a_terminal_and_cleared(command: list[str], many: str, cli: Run) -> None:
    with terminal() as shown:
        main([*command, "--ledger", many])
    assert re.match(r"\r\[#{33} {7}\]  83% of 1,200 records(\r\[#{40}\] 100% of 1,200 records)?\r\x1b\[K", shown[0])
    ran = cli(*command, "--ledger", many)
    assert "% of" not in ran.out + ran.err
