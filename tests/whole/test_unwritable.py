"""Tests that records in a place that cannot be written stop the start, as other wrong options do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cookie_consent import ConsentMiddleware
from tests.support.asgi import SITE, policy, reply_app
from tests.support.policies import KEY

pytestmark = pytest.mark.slow

START = """
import json, os, sys
from pathlib import Path
from cookie_consent import ConsentMiddleware, Policy

def app(scope, receive, send): ...

folder, policy = Path(sys.argv[1]), Policy.load(sys.argv[2])
ConsentMiddleware(app, policy, "k" * 40, access_log=folder / "kept.jsonl", ledger=f"sqlite:///{folder}/open/kept.db")
(folder / "kept.jsonl").touch()
for place, mode in (("kept.jsonl", 0o444), ("open/kept.db", 0o444), ("open", 0o777), (".", 0o555)):
    (folder / place).chmod(mode)
user = os.geteuid()
if user == 0:  # may write everywhere
    os.chown(folder / "open/kept.db", 65534, -1)
    os.seteuid(65534)
said = {}
for path in ("kept.jsonl", "logs/access.jsonl", "open/kept.db", "new/consent.db"):
    is_log = path.endswith("jsonl")
    options = {"access_log": folder / path} if is_log else {"ledger": f"sqlite:///{folder}/{path}"}
    try:
        ConsentMiddleware(app, policy, "k" * 40, **options)
    except ValueError as error:
        said[path] = str(error)
os.seteuid(user)  # who measures coverage writes at the end
print(json.dumps(said))
"""


def test_records_where_this_user_may_not_write_stop_the_start(tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    file.write_text(SITE, encoding="utf-8")
    with TemporaryDirectory() as folder:  # pytest lets no other user into its own
        command = [sys.executable, "-c", START, folder, str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}, timeout=60)
        Path(folder).chmod(0o755)
    said = json.loads(done.stdout)
    remedy = "Name another place, or let the user of the server write there."
    for path, option in (("kept.jsonl", "access_log"), ("logs/access.jsonl", "access_log"), ("open/kept.db", "ledger")):
        assert said[path] == f"{option}: {folder}/{path} cannot be written: Permission denied. {remedy}"
    assert f"ledger: {folder}/new/consent.db cannot be used as an SQLite file" in said["new/consent.db"]


@pytest.mark.parametrize(("option", "name"), [("access_log", "{}"), ("ledger", "sqlite:///{}")])
@pytest.mark.parametrize("place", ["folder", "file/logs/kept"])
def test_records_in_what_is_no_file_stop_the_start(option: str, name: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    options: dict[str, Any] = {option: name.format(tmp_path / place)}
    with pytest.raises(ValueError, match=rf"{option}: {tmp_path / place} cannot be (written|used as an SQLite file): "):
        ConsentMiddleware(reply_app(), policy(), KEY, **options)


@pytest.mark.parametrize("place", ["access.jsonl", "new/folder/access.jsonl", "pipe"])
def test_start_leaves_the_place_of_records_as_it_is(place: str, tmp_path: Path) -> None:
    """A pipe is opened when the first record comes: it may have no reader yet."""
    os.mkfifo(tmp_path / "pipe")
    ConsentMiddleware(reply_app(), policy(), KEY, access_log=tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_database_that_does_not_answer_yet_stops_no_start(tmp_path: Path) -> None:
    """A site may start before its database."""
    nobody = "postgresql://site@127.0.0.1:1/site"
    ConsentMiddleware(reply_app(), policy(), KEY, ledger=nobody, access_log=f"{nobody}?spill={tmp_path}/spill")
