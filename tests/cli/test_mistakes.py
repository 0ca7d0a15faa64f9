"""Tests of wrong usage: each mistake is named in a sentence, with exit status 2, and changes no file."""

from __future__ import annotations

import shlex
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cookie_consent.cli.frame import UnusableError
from cookie_consent.cli.main import WRONG_USAGE
from cookie_consent.cli.stores import existing_sink
from tests.cli.conftest import Run
from tests.support.asgi import SITE
from tests.support.policies import KEY

LEDGER = "--ledger sqlite:///consent.db"
LOG = "--access-log access.jsonl"
NO_ID = "an id has one character at least, and only printable ones"
REQUEST = "Write: requests list [REF], requests answer REF --text ANSWER, or requests close REF."
USAGE = [
    # The line itself.
    ("", "usage: cookie-consent"),
    ("unknown", "invalid choice: 'unknown'"),
    ("check consent.toml --against", "expected one argument"),
    ("requests", "the following arguments are required: action"),
    ("requests forget R-2222", "invalid choice: 'forget'"),
    ("demo --port eighty", "'eighty' is no whole number from 0 to 65,535"),
    ("demo --port 65536", "'65536' is no whole number from 0 to 65,535"),
    ("demo one.toml two.toml", "unrecognized arguments: two.toml"),
    ("erase --id ''", NO_ID),
    ("erase --id 'a\nb'", NO_ID),
    ("erase --id \udcff", NO_ID),
    ("erase --id --json", "argument --id/--visitor: expected one argument"),
    ("init --languages tlh new.toml", 'no texts ship for "tlh"'),
    # Ledgers.
    ("records", "Name the ledger: --ledger URL, or the environment variable CONSENT_LEDGER."),
    ("verify --ledger none/consent.db", 'Write "sqlite:///consent.db"'),
    *(
        (f"{command} --ledger sqlite:///none/consent.db", "ledger: there is no file none/consent.db.")
        for command in ("records", "purge", "verify", "export --id x", "requests list", "erase --id x --proof")
    ),
    (f"erase --id x --proof {LEDGER} --access-log none.jsonl", "access_log: there is no file none.jsonl."),
    ("verify --ledger sqlite:///app.db", "this database has never kept consent records"),
    ("verify --ledger sqlite:///notes.txt", "notes.txt cannot be used as an SQLite file: "),
    ("verify --ledger postgresql://u:hidden@127.0.0.1:1/x", "ledger: the database cannot be used: connection failed: "),
    ("verify --ledger postgresql://u:hidden@127.0.0.1:port/x", "ledger: the URL cannot be read. "),
    ("move sqlite:///none.db sqlite:///new.db", "ledger: there is no file none.db."),
    ("move sqlite:///consent.db sqlite:///consent.db", "The ledger to move to has records already. Name an empty one."),
    # Access logs.
    ("export --id x --access-log none.jsonl", "access_log: there is no file none.jsonl."),
    ("erase --id x --access-log s3://bucket", "access_log: there is no"),
    *(
        (f"{command} --access-log {scheme}://u:hidden@127.0.0.1:1/x?spill=.", "cannot be used: ")
        for command in ("export --id x", "purge --policy consent.toml")
        for scheme in ("postgresql", "clickhouse")
    ),
    # What belongs together.
    (f"records {LEDGER} --prevailing", "--prevailing goes with --explain RECORD_ID."),
    ("export --id x", "Name what to look into: --ledger URL, --access-log URL, or both."),
    (f"export --id x {LEDGER} --format csv", "--id exports everything under it, as JSON."),
    ("erase", "Name whom to erase: --id ID, or --again alone for all who were erased before."),
    ("erase --id x --again", "Name whom to erase: "),
    (f"erase --id x {LEDGER}", "Name what to erase from: --access-log URL, or --ledger URL with --proof."),
    (f"erase --id x --proof {LOG}", "Name the ledger: "),
    ("purge", "Name what to purge: --ledger URL, --access-log URL, or both."),
    (f"purge {LOG}", "Access records were not looked at: a purpose in --policy FILE says for how long they are kept."),
    (f"purge {LOG} --policy quiet.toml", "Access records were not looked at: "),
    (f"requests answer R-2 {LEDGER}", REQUEST),
    (f"requests answer R-2 --text ' \n' {LEDGER}", REQUEST),
    (f"requests close {LEDGER}", REQUEST),
    (f"requests close R-2 --text x {LEDGER}", REQUEST),
    ("demo consent.toml --once", "--once and --report belong to the walk"),
    # Files.
    ("init consent.toml", "consent.toml exists and stays as it is. Name another file."),
    ("init none/consent.toml", "none/consent.toml cannot be written: No such file or directory."),
    ("check none.toml", "none.toml cannot be read: No such file or directory."),
    ("check consent.toml/x", "consent.toml/x cannot be read: Not a directory."),
    ("check consent.toml --against none.toml", "none.toml cannot be read: No such file or directory."),
    ("check consent.toml --against wrong.toml", 'wrong.toml: [site] key "name"'),
    ("demo none.toml", "There is no file none.toml."),
    (f"purge {LOG} --policy none.toml", "none.toml cannot be read: No such file"),
    (f"purge {LOG} --policy wrong.toml", 'wrong.toml: [site] key "name"'),
    (
        f"verify {LEDGER} --write-root roots",
        "A root is signed with the site's secret key: set the environment variable",
    ),
    (f"verify {LEDGER} --root none.txt", "none.txt cannot be read: No such file"),
    (f"verify {LEDGER} --root empty.txt", "empty.txt: it is empty."),
    (f"verify {LEDGER} --root bytes.txt", "bytes.txt: 'utf-8' codec can't decode byte 0xff"),
    (f"verify {LEDGER} --root notes.txt", "notes.txt: 'My notes' is no root: "),
    (f"verify {LEDGER} --root 5:5", "5:5: '5:5' is no root: "),
]


@pytest.fixture
def folder(tmp_path: Path, ledger: str, access_log: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a ledger, an access log, and files that are of no use for a command."""
    files = {"consent": SITE, "quiet": SITE.replace("traces = true", "traces = false"), "wrong": "[site]"}
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    for name, content in {"notes": b"My notes", "empty": b"\n", "bytes": b"\xff"}.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("CREATE TABLE own (id)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("line", "why"), USAGE)
def test_mistake_is_named_and_changes_nothing(line: str, why: str, folder: Path, cli: Run) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    ran = cli(*shlex.split(line))
    assert (ran.status, ran.out) == (WRONG_USAGE, "")
    assert why in ran.err
    assert "hidden" not in ran.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["notes.txt"], "notes.txt: 'My notes' is no root"),
        (["."], ". cannot be written: Is a directory."),
    ],
)
def test_root_is_written_to_no_other_file(arguments: list[str], said: str, folder: Path, cli: Run, key: None) -> None:
    ran = cli("verify", *LEDGER.split(), "--write-root", *arguments)
    assert ran.status == WRONG_USAGE
    assert ran.err.startswith(said)
    assert (folder / "notes.txt").read_bytes() == b"My notes"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)


@pytest.mark.usefixtures("folder")
def test_short_key_is_wrong_usage(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", "short")
    ran = cli("verify", *LEDGER.split())
    assert ran.status == WRONG_USAGE
    assert ran.err.startswith("CONSENT_KEY: secret_keys: each key is a text of at least 32 characters")


@pytest.mark.parametrize("command", ["demo --once", "serve-report --access-log access.jsonl"])
@pytest.mark.usefixtures("folder")
@pytest.mark.slow  # imports the site
def test_port_in_use_is_wrong_usage(command: str, cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cli(*command.split(), "--port", str(port))
    assert ran.status == WRONG_USAGE
    assert ran.err.startswith(f"It cannot listen on 127.0.0.1, port {port}: ")
    assert "in use" in ran.err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "cannot be used: No space left on device."),
        (RuntimeError("no route to the server\nmore"), "the database cannot be used: no route to the server"),
    ],
)
def test_error_of_an_access_log_is_one_sentence(error: Exception, said: str, access_log: Path) -> None:
    with pytest.raises(UnusableError, match=said), existing_sink(str(access_log)):
        raise error
