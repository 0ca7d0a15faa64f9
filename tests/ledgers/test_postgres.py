"""Tests of the PostgreSQL servers that the tests use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.servers.fixtures import needs_postgres
from tests.support.servers.postgres import (
    ROOT,
    URL_VARIABLE,
    PostgresServer,
    PrivateServer,
    postgres_server,
    private_server,
)

pytestmark = pytest.mark.server

PARENT = """
from tests.support.servers.postgres import private_server

with private_server() as server:
    print(server.folder, flush=True)
    input()
"""
TABLES = "SELECT count(*) FROM pg_stat_user_tables"
LONGEST_END = 60


def answer(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        got = connection.execute(statement.encode())
        row = got.fetchone() if got.description else None
        return row and row[0]


def keep_a_row(url: str) -> None:
    answer(url, "CREATE TABLE kept AS SELECT 'yes' AS word")


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes in a folder. A server works in its data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text("utf-8", "replace"))
        except OSError:
            continue
    return found


def test_new_database_is_empty_and_dropped_after_use(postgres: PostgresServer) -> None:
    one, other = postgres.new_database(), postgres.new_database()
    keep_a_row(one)
    assert answer(one, TABLES) == 1
    assert answer(other, TABLES) == 0
    assert answer(other, "SHOW server_encoding") == "UTF8"
    postgres.drop_databases()
    for url in (one, other):
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            answer(url, TABLES)


def test_database_taken_back_is_empty_at_its_next_use(postgres: PostgresServer) -> None:
    before = postgres.new_database()
    keep_a_row(before)
    with psycopg.connect(before, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA of_its_own CREATE TABLE others (number int)")
        connection.execute(f"ALTER DATABASE {before.rpartition('/')[2]} SET application_name = 'before'")
        postgres.take_back(before)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    after = postgres.new_database()
    assert answer(after, TABLES) == 0
    assert answer(after, "SHOW application_name") == ""
    keep_a_row(after)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        answer(before, TABLES)
    postgres.drop_databases()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(PrivateServer.stop, id="stop"),
        pytest.param(lambda server: server.stop("immediate"), id="stop at once"),
        pytest.param(PrivateServer.kill, id="kill"),
    ],
)
def test_committed_row_survives_server_restart(
    private_postgres: PrivateServer, end: Callable[[PrivateServer], None]
) -> None:
    url = private_postgres.new_database()
    keep_a_row(url)
    assert private_postgres.running
    end(private_postgres)
    assert not private_postgres.running
    assert processes_in(private_postgres.folder) == []
    with pytest.raises(psycopg.OperationalError, match="refused"):
        answer(url, TABLES)
    private_postgres.start()
    assert answer(url, "SELECT word FROM kept") == "yes"


def test_server_listens_only_locally_and_not_as_root(private_postgres: PrivateServer) -> None:
    assert answer(private_postgres.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"
    assert Path(f"/proc/{private_postgres.pid}").stat().st_uid != 0


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.usefixtures("private_postgres")
def test_server_leaves_neither_processes_nor_files(stopped: bool) -> None:
    with private_server() as server:
        assert len(processes_in(server.folder)) > 1
        if stopped:
            server.stop()
    assert processes_in(server.folder) == []
    assert not server.folder.exists()


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.support.servers.postgres.DEBIAN", tmp_path)
    return tmp_path


def install(folder: Path, *names: str) -> list[str]:
    folder.mkdir(parents=True)
    files = [folder / name for name in names]
    for file in files:
        file.touch(0o755)
    return [str(file) for file in files]


@pytest.mark.usefixtures("nothing_installed")
def test_missing_server_skips_tests_locally_and_fails_them_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"apt-get install postgresql.*{URL_VARIABLE}=postgresql://"):
        start_any_server()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"apt-get install postgresql.*{URL_VARIABLE}=postgresql://"):
        start_any_server()


def start_any_server() -> None:
    with needs_postgres(), postgres_server():
        raise AssertionError("a server was found")


def run_ci_system(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/system on a PATH without apt-get."""
    (tmp_path / "bash").symlink_to("/bin/bash")
    command = [str(ROOT / ".ci" / "system"), *arguments]
    return subprocess.run(command, env={"PATH": str(tmp_path), **environ}, text=True, capture_output=True, check=False)


def test_required_program_that_cannot_be_installed_is_named(tmp_path: Path) -> None:
    done = run_ci_system(tmp_path, "bash", "no-such-program=its-package")
    assert done.returncode == 1
    assert done.stderr == "Please install: its-package\n"


def test_missing_optional_program_is_a_warning(tmp_path: Path) -> None:
    done = run_ci_system(tmp_path, "--optional", "no-such-program=its-package")
    assert done.returncode == 0
    assert done.stderr.startswith("Please install: its-package\nTests that need it are skipped.")


def test_missing_optional_program_is_an_error_in_ci(tmp_path: Path) -> None:
    done = run_ci_system(tmp_path, "--optional", "no-such-program=its-package", CI="true")
    assert done.returncode == 1
    assert done.stderr == "Please install: its-package\n"
