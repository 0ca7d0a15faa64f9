"""Tests of the PostgreSQL servers that the tests use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.servers.fixtures import needs_postgres
from tests.support.servers.postgres import (
    DEBIAN,
    ROOT,
    URL_VARIABLE,
    NoPostgresError,
    PostgresServer,
    PrivateServer,
    postgres_programs,
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


def wait_until_ended(folder: Path) -> None:
    end = time.monotonic() + LONGEST_END
    while processes_in(folder) or folder.exists():
        assert time.monotonic() < end, processes_in(folder)
        time.sleep(0.05)


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


def test_database_in_use_is_dropped(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.new_database()) as connection:
        connection.execute("SELECT 1")
        postgres.drop_databases()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


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


def test_postgres_url_fixture_gives_empty_database(postgres_url: str) -> None:
    assert answer(postgres_url, TABLES) == 0
    assert answer(postgres_url, "SELECT current_database()") == postgres_url.rpartition("/")[2]


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


def test_killed_server_recovers_from_write_ahead_log(private_postgres: PrivateServer) -> None:
    logged_before = len(private_postgres.log.read_text("utf-8"))
    private_postgres.kill()
    private_postgres.start()
    assert "automatic recovery in progress" in private_postgres.log.read_text("utf-8")[logged_before:]
    assert answer(private_postgres.url("postgres"), "SHOW fsync") == "on"


def test_private_server_may_be_left_stopped(private_postgres: PrivateServer) -> None:
    private_postgres.new_database()
    private_postgres.stop()


def test_private_server_is_running_again_in_next_test(private_postgres: PrivateServer) -> None:
    url = private_postgres.url("postgres")
    assert answer(url, "SELECT count(*) FROM pg_database WHERE datname LIKE 'test_%'") == 0


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


@pytest.mark.usefixtures("private_postgres")
def test_server_stops_when_test_process_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        assert len(processes_in(folder)) > 1
        process.kill()
    wait_until_ended(folder)


def test_server_start_error_contains_server_log(private_postgres: PrivateServer) -> None:
    private_postgres.stop()
    settings = private_postgres.folder / "data" / "postgresql.auto.conf"
    whole = settings.read_text("utf-8")
    settings.write_text("no_such_setting = on\n", "utf-8")
    with pytest.raises(RuntimeError, match='unrecognized configuration parameter "no_such_setting"'):
        private_postgres.start()
    assert not private_postgres.running
    settings.write_text(whole, "utf-8")


def test_server_named_in_environment_is_used_and_left_unchanged(
    private_postgres: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = private_postgres.url("postgres") + "?application_name=named"
    monkeypatch.setenv(URL_VARIABLE, named)
    before = answer(named, "SELECT count(*) FROM pg_database")
    with postgres_server() as server:
        assert not isinstance(server, PrivateServer)
        assert answer(server.new_database(), "SHOW application_name") == "named"
        assert answer(named, "SELECT count(*) FROM pg_database") == before + 1
    assert answer(named, "SELECT count(*) FROM pg_database") == before


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("postgresql://me:secret@db.example:5433/postgres", "postgresql://me:secret@db.example:5433/mine"),
        ("postgresql://db.example/postgres?sslmode=require", "postgresql://db.example/mine?sslmode=require"),
        ("postgresql:///postgres?host=/run/postgresql", "postgresql:///mine?host=/run/postgresql"),
    ],
)
def test_database_url_keeps_credentials_and_options_of_server(named: str, url: str) -> None:
    assert PostgresServer(named).url("mine") == url


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


def test_programs_on_path_are_preferred_to_debian_folders(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(nothing_installed / "9.6" / "bin", "initdb", "postgres")
    newest = install(nothing_installed / "17" / "bin", "initdb", "postgres")
    install(nothing_installed / "18" / "bin", "pg_ctl")
    assert list(postgres_programs()) == newest
    chosen = install(nothing_installed / "chosen", "initdb", "postgres")
    monkeypatch.setenv("PATH", str(nothing_installed / "chosen"))
    assert list(postgres_programs()) == chosen


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


@pytest.mark.usefixtures("nothing_installed")
def test_root_without_unprivileged_user_cannot_start_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.servers.postgres.postgres_programs", lambda: ("initdb", "postgres"))
    monkeypatch.setattr("tests.support.servers.postgres.UNPRIVILEGED", ("no-such-user",))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(NoPostgresError, match="does not run as root"), postgres_server():
        pytest.fail("it started")


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


def test_debian_server_is_found_outside_path(tmp_path: Path) -> None:
    installed = any(DEBIAN.glob("*/bin/postgres"))
    assert (run_ci_system(tmp_path, "postgres=postgresql").returncode == 0) is installed
