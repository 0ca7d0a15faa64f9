"""A ClickHouse server for tests: the one that TEST_CLICKHOUSE_URL names, or a small one around the real engine.

The small server speaks the part of ClickHouse's HTTP interface that clickhouse-connect uses. It passes each statement
with its settings to `chdb`, which is ClickHouse's engine as a library. So the client, HTTP, SQL, formats, tables,
merges, mutations and time limits of tables are real. The server is a process of its own with its data in a folder, and
can be stopped, killed, frozen and started again.

The small server lacks these parts, which are tested only with TEST_CLICKHOUSE_URL: the queue of asynchronous inserts
(the engine accepts `async_insert` and writes immediately), users and rights (it compares one name and password), TLS,
compressed responses, progress in HTTP headers, limits of memory and connections, codes of HTTP errors, Keeper and
replicated tables.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tests.support.servers.processes import LONGEST_END, kill_process_group, process_group_options, wait_for_file

URL_VARIABLE = "TEST_CLICKHOUSE_URL"
ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"
USER, PASSWORD = "tester", "p@ss:w/rd%"
IGNORES_DELETES = "ignores-deletes"
"""The name of a file: while it is in the folder, deletions do nothing, as on a server that lost a replica."""
_TRANSPORT = ("query", "database", "default_format", "wait_end_of_query", "session_id", "query_id", "role", "compress")
"""Parameters of a request that are not settings."""
_AUTHENTICATION_FAILED, _UNKNOWN = 516, 1000
_CODE = re.compile(r"Code: (\d+)")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)


class ClickHouseDatabases:
    """A server on which tests create databases.

    Args:
        address: its URL, with a user who may create databases.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._made: list[str] = []

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return urlsplit(self.address)._replace(path=f"/{database}").geturl()

    def new_database(self) -> str:
        """Create an empty database, and return its URL."""
        name = f"test_{secrets.token_hex(8)}"
        ask(self.address, f"CREATE DATABASE {name}")
        self._made.append(name)
        return self.url(name)

    def drop_databases(self) -> None:
        """Drop the databases that were created here."""
        while self._made:
            ask(self.address, f"DROP DATABASE IF EXISTS {self._made[-1]}")
            self._made.pop()


class ClickHouseServer(ClickHouseDatabases):
    """The small server, which can be stopped, killed, frozen and started again on the same port with its data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clickhouse-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.start()
        super().__init__(f"clickhouse://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{self._port}/default")

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, and wait until it responds."""
        assert not self.running, "it runs already"
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.servers.clickhouse_server", str(self.folder), str(self._port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **process_group_options()
            )
        try:
            self._port = int(wait_for_file(self._process, ready))
        except RuntimeError as error:
            said = (self.folder / "log").read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{error}: {said}") from None

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self._send(signal.SIGTERM)
        assert self._process
        self._process.wait(LONGEST_END)

    def kill(self) -> None:
        """Kill the server, as kill -9 does."""
        self._send(signal.SIGKILL)
        assert self._process
        self._process.wait(LONGEST_END)

    def freeze(self) -> None:
        """Suspend the server with open connections, until `thaw`."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the server."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """End the server, and remove its data."""
        if self._process:
            kill_process_group(self._process)
            self._process.wait(LONGEST_END)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _send(self, number: int) -> None:
        assert self._process, "it was started"
        os.kill(self._process.pid, number)


@contextmanager
def clickhouse_server() -> Iterator[ClickHouseServer]:
    """Start a small server."""
    server = ClickHouseServer()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def clickhouse_databases() -> Iterator[ClickHouseDatabases]:
    """Give the server that TEST_CLICKHOUSE_URL names, else start a small one."""
    if given := os.environ.get(URL_VARIABLE):
        databases = ClickHouseDatabases(given)
        try:
            yield databases
        finally:
            databases.drop_databases()
    else:
        with clickhouse_server() as server:
            yield server


def ask(url: str, statement: str, **values: object) -> list[list[Any]]:
    """Run a statement, and return its rows. It does not use the client under test, which is slower to connect.

    Args:
        url: the URL of the database.
        statement: the statement.
        values: the values of its parameters.
    """
    parts = urlsplit(url)
    given = {"database": parts.path.removeprefix("/"), "default_format": "JSONCompact"}
    given |= {f"param_{name}": str(value) for name, value in values.items()}
    secret = base64.b64encode(f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()).decode()
    make = http.client.HTTPSConnection if parts.scheme == "clickhouses" else http.client.HTTPConnection
    with closing(make(parts.hostname or "", parts.port, timeout=LONGEST_END)) as connection:
        connection.request("POST", f"/?{urlencode(given)}", statement.encode(), {"Authorization": f"Basic {secret}"})
        answer = connection.getresponse()
        text = answer.read().decode()
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(text)
    return json.loads(text)["data"] if text.strip() else []


class _Handler(BaseHTTPRequestHandler):
    """Passes statements to the engine."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    folder: ClassVar[Path]
    sessions: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n", {})

    def do_POST(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if not self._is_known():
            self._refuse(_AUTHENTICATION_FAILED, "Authentication failed: password is incorrect")
            return
        statement = "\n".join(part for part in (given.get("query", ""), body) if part)
        try:
            answer = self._done(statement, given)
        except Exception as error:  # noqa: BLE001 (any error of the engine)
            found = _CODE.search(str(error))
            self._refuse(int(found[1]) if found else _UNKNOWN, str(error))
            return
        fmt = _FORMAT.search(statement[-200:])
        self._answer(200, answer, {"X-ClickHouse-Format": fmt[1] if fmt else "TabSeparated"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name in the base class)
        """Log nothing."""

    def _body(self) -> str:
        """Return the body as text: the statement, or its end."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return data.decode("utf-8", "replace")

    def _is_known(self) -> bool:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def _done(self, statement: str, given: Mapping[str, str]) -> bytes:
        """Return the response of the engine."""
        if statement.startswith("DELETE") and (self.folder / IGNORES_DELETES).exists():
            return b""
        with self._session(given.get("session_id")) as session:
            session.query(f"USE `{given.get('database', 'default')}`")
            for name, value in given.items():
                if name not in _TRANSPORT and not name.startswith("param_"):
                    session.query(f"SET {name} = {_literal(value)}")
            values = {name.removeprefix("param_"): text for name, text in given.items() if name.startswith("param_")}
            return bytes(
                session.query(statement, given.get("default_format", "TabSeparated"), params=values or None).bytes()
            )

    @contextmanager
    def _session(self, name: str | None) -> Iterator[Any]:
        """Give the session with this name, with its settings and temporary tables, or a new one."""
        from chdb.session import Session

        folder = str(self.folder / "data")
        if name is None:
            with Session(folder) as session:  # type: ignore[no-untyped-call]
                yield session
        else:
            if name not in self.sessions:
                self.sessions[name] = Session(folder)  # type: ignore[no-untyped-call]
            yield self.sessions[name]

    def _refuse(self, code: int, text: str) -> None:
        self._answer(500, text.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, body: bytes, fields: Mapping[str, str]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has gone
            self.send_response(status)
            for name, value in {
                **fields,
                "Content-Length": str(len(body)),
                "X-ClickHouse-Summary": json.dumps({}),
                "X-ClickHouse-Timezone": "UTC",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def serve(folder: Path, port: int) -> None:
    """Serve the data in a folder until SIGTERM; write the port to the file "ready" in it.

    Args:
        folder: the folder with the data.
        port: the port to listen on; 0 for any free one.
    """
    from chdb.session import Session

    # An open session keeps the engine running between requests.
    with Session(str(folder / "data")) as first:  # type: ignore[no-untyped-call]
        first.query("SELECT 1")
        _Handler.folder = folder
        with _Server((HOST, port), _Handler) as server:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            (folder / "part").write_text(str(server.server_port), "ascii")
            (folder / "part").rename(folder / "ready")
            server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
