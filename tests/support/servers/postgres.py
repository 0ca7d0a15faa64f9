"""A PostgreSQL server for tests and benchmarks: the one that TEST_POSTGRES_URL names, or a private one.

A private server has its data in a folder of its own under /tmp and listens only on 127.0.0.1. It ends with the process
that started it. It needs Linux.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.support.servers.processes import (
    LONGEST_END,
    LONGEST_START,
    end_process,
    first_line,
    free_port,
    process_group_options,
)
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
URL_VARIABLE = "TEST_POSTGRES_URL"
DEBIAN = Path("/usr/lib/postgresql")
UNPRIVILEGED = ("postgres", "nobody")
LONGEST_CONNECT = 30
HOST = "127.0.0.1"
OWNER = "postgres"
_LONGEST_FOLDER = 80  # the limit of a socket's path
_SAID = 2000  # the length of the part of the output that an error shows
_ADOPT = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)
_KEEPER = "import sys; from tests.support.servers.postgres import keep; keep(*sys.argv[1:])"
_SETTINGS = {
    "listen_addresses": HOST,
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "16MB",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}
_END_CONNECTIONS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
_NEW_SCHEMA = "CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO PUBLIC"
_STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class NoPostgresError(RuntimeError):
    """There is no PostgreSQL server; the message says how to get one."""


class PostgresServer:
    """A server on which tests create databases.

    Args:
        address: the URL of one of its databases, with a user who may create others.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._made: list[str] = []
        self._spare: list[str] = []

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        parts = urlsplit(self._address)
        options = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{database}{options}"

    def new_database(self) -> str:
        """Create an empty database, and return its URL."""
        name = f"test_{secrets.token_hex(8)}"
        if self._spare:
            self._execute("ALTER DATABASE {} RENAME TO {}", self._spare.pop(), name)
        else:
            self._execute("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'", name)
        self._made.append(name)
        return self.url(name)

    def take_back(self, url: str) -> None:
        """Empty a database that was created here, to give it out again: to create one takes 0.2 s of processor time.

        The next user gets it with another name, so that nothing reaches it that still has the URL of before.
        """
        name = next(name for name in self._made if self.url(name) == url)
        with psycopg.connect(self._address, autocommit=True, connect_timeout=LONGEST_CONNECT) as connection:
            connection.execute(_END_CONNECTIONS, (name,))
        self._execute("ALTER DATABASE {} RESET ALL", name)
        with psycopg.connect(url, autocommit=True, connect_timeout=LONGEST_CONNECT) as connection:
            for (schema,) in connection.execute(_SCHEMAS).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
            connection.execute(_NEW_SCHEMA)
        self._made.remove(name)
        self._spare.append(name)

    def drop_databases(self) -> None:
        """Drop the databases that were created here, even if they are in use."""
        while self._made:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._made[-1])
            self._made.pop()

    def drop_all_databases(self) -> None:
        """Drop the databases that were taken back, too."""
        self._made, self._spare = [*self._made, *self._spare], []
        self.drop_databases()

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self._address, autocommit=True, connect_timeout=LONGEST_CONNECT) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class PrivateServer(PostgresServer):
    """A private server, which can be stopped, killed and started again on the same port with its data.

    Args:
        program: the path of `postgres`.
        user: the user that it runs as; "" for the current one.
        folder: the folder for its data, socket and log.
        port: the port that it listens on.
    """

    def __init__(self, program: str, user: str, folder: Path, port: int) -> None:
        super().__init__(f"postgresql://{OWNER}@{HOST}:{port}/postgres")
        self.folder = folder
        self.log = folder / "log"
        settings = {**_SETTINGS, "port": port, "unix_socket_directories": folder}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._arguments = [str(folder), user, program, "-D", str(folder / "data"), *options]
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it is ready.

        Raises:
            RuntimeError: it does not start; the message contains its log.
        """
        assert not self.running, "it runs already"
        self._release()
        keeper = self._keeper = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            **process_group_options(),
        )
        self.pid = int(first_line(keeper) or 0)
        with suppress(TimeoutError):
            wait_until(lambda: self._answers() or keeper.poll() is not None, LONGEST_START)
        if not self._answers():
            text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
            self._release()
            raise RuntimeError(f"PostgreSQL did not start. {text[-_SAID:]}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server: "fast" in an orderly way, "immediate" so that it has to recover at the next start."""
        assert self.running, "it does not run"
        os.kill(self.pid, _STOPS[mode])
        self._ended()

    def kill(self) -> None:
        """Kill all processes of the server at once, as kill -9 does, so that none of them can write."""
        assert self.running, "it does not run"
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(
            lambda: _processes().get(self.pid, ("T", 0))[0] == "T", LONGEST_END
        )  # from here on it starts no more
        _kill(*_children(self.pid), self.pid)
        self._ended()

    def close(self) -> None:
        """End the server, and remove its data."""
        self._release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        """Return whether its lock file says that it is ready. The file of an earlier run names another process."""
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = (self.folder / "data" / "postmaster.pid").read_text("utf-8").splitlines()
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _ended(self) -> None:
        assert self._keeper, "it was started"
        self._keeper.wait(LONGEST_END)
        self._release()

    def _release(self) -> None:
        """Release the keeper, which ends the server if it still runs."""
        if self._keeper:
            with self._keeper as keeper:
                assert keeper.stdin, "a pipe"
                keeper.stdin.close()
                end_process(keeper)
        self._keeper = None


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Give the server that TEST_POSTGRES_URL names, else start a private one.

    Raises:
        NoPostgresError: there is neither.
    """
    if given := os.environ.get(URL_VARIABLE):
        server = PostgresServer(given)
        try:
            yield server
        finally:
            server.drop_all_databases()
    else:
        with private_server() as server:
            yield server


@contextmanager
def private_server() -> Iterator[PrivateServer]:
    """Start a private server with the programs of the system.

    Raises:
        NoPostgresError: the programs are not installed, or no user may run them.
        RuntimeError: the programs fail.
    """
    initdb, postgres = postgres_programs()
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_parent(user)))
    server = PrivateServer(postgres, user, folder, free_port())
    try:
        if user:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        _make_data(initdb, user, folder)
        server.start()
        yield server
    finally:
        server.close()


def postgres_programs() -> tuple[str, str]:
    """Return the paths of `initdb` and `postgres` of one version: on the PATH, or the newest that Debian installed.

    Raises:
        NoPostgresError: the programs are not installed.
    """

    def version(folder: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", folder.parent.name)]

    for path in (None, *sorted(DEBIAN.glob("*/bin"), key=version, reverse=True)):
        initdb, postgres = (shutil.which(name, path=path and str(path)) for name in ("initdb", "postgres"))
        if initdb and postgres:
            return initdb, postgres
    raise _missing("PostgreSQL is missing.")


def keep(folder: str, user: str, *command: str) -> None:
    """Run a server until it ends, and end its remaining processes; write its process id to standard output.

    When the parent process is gone, end the server and remove its folder.

    Args:
        folder: the folder with its data and log.
        user: the user that it runs as; "" for the current one.
        command: the command that starts it.
    """
    abandoned = threading.Event()
    ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)
    options = _process_options(folder, user)
    with (
        Path(folder, "log").open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options) as server,
    ):

        def end_with_parent() -> None:
            os.read(sys.stdin.fileno(), 1)
            abandoned.set()
            server.send_signal(signal.SIGQUIT)

        threading.Thread(target=end_with_parent, daemon=True).start()
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()
        server.wait()
    _kill(*_children(os.getpid()))
    with suppress(ChildProcessError):
        while True:
            os.wait()
    if abandoned.is_set():
        shutil.rmtree(folder, ignore_errors=True)


def _missing(why: str) -> NoPostgresError:
    return NoPostgresError(
        f"{why} As root: apt-get install postgresql. Or name a server, as a user who may create databases: "
        f"{URL_VARIABLE}=postgresql://user:password@host:port/database (not for tests that stop their server)."
    )


def _make_data(initdb: str, user: str, folder: Path) -> None:
    command = [initdb, "-D", str(folder / "data"), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LONGEST_START,
        **_process_options(str(folder), user),
    )
    if made.returncode:
        raise RuntimeError(f"{initdb} failed. {made.stdout[-_SAID:]}")


def _process_options(folder: str, user: str) -> dict[str, Any]:
    """Return the options of the server's programs: user, folder and an English locale."""
    options: dict[str, Any] = {"cwd": folder, "env": {**os.environ, "LC_ALL": "C"}}
    if user:
        options |= {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    return options


def _user() -> str:
    """Return the user of the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ""
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise _missing(f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}.")


def _parent(user: str) -> Path:
    """Return the folder of temporary files, or another one if that user cannot access it."""
    folders = [Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")]  # noqa: S108

    def fits(folder: Path) -> bool:
        way: Sequence[Path] = [folder, *folder.parents] if user else []
        return len(str(folder)) <= _LONGEST_FOLDER and all(part.stat().st_mode & stat.S_IXOTH for part in way)

    return next(filter(fits, folders), folders[-1])


def _processes() -> dict[int, tuple[str, int]]:
    """Return the running processes: process id -> state and parent."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent = file.read_text("utf-8", "replace").rpartition(") ")[2].split()[:2]
            if state not in "ZX":
                found[int(file.parent.name)] = (state, int(parent))
    return found


def _children(of: int) -> list[int]:
    return [process for process, (_, parent) in _processes().items() if parent == of]


def _kill(*processes: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
