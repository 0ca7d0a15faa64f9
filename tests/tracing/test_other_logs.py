"""Tests with real servers over HTTP: no file of a server identifies a visitor who did not consent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.asgi import PHONE, PREFIX
from tests.support.servers.processes import kill_process_group, process_group_options

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 60.0
APACHE = '%(h)s "%(r)s" "%(R)s" %(s)s "%(f)s" "%(a)s" %({x-forwarded-for}i)s'
GRANIAN = '%(addr)s "%(method)s %(path)s?%(query_string)s" %(status)d "%(header{user-agent})s" "%(header{referer})s"'
SITE = "tests.support.sites.logged_site:site"
GUNICORN = [
    *("gunicorn", "--bind", "127.0.0.1:{port}", "--access-logfile", "{folder}/requests.log"),
    *("--error-logfile", "{folder}/errors.log", "--no-control-socket"),
]
SERVERS = {
    "uvicorn": ["uvicorn", "--port", "{port}", "--http", "h11", SITE],
    "uvicorn-debugged": ["uvicorn", "--port", "{port}", "--http", "httptools", "--log-level", "trace", SITE],
    "hypercorn": [
        *("hypercorn", "--bind", "127.0.0.1:{port}", "--access-logfile", "{folder}/requests.log"),
        *("--access-logformat", APACHE, "--error-logfile", "{folder}/errors.log", SITE),
    ],
    "hypercorn-with-trio": [
        *("hypercorn", "--bind", "127.0.0.1:{port}", "--access-logfile", "{folder}/requests.log"),
        *("--access-logformat", APACHE, "--error-logfile", "{folder}/errors.log", "--worker-class", "trio", SITE),
    ],
    "granian": [
        *("granian", "--interface", "asgi", "--port", "{port}"),
        *("--access-log", "--access-log-fmt", GRANIAN, SITE),
    ],
    "gunicorn": [*GUNICORN, "--worker-class", "asgi", SITE],
    "gunicorn-with-uvicorn": [*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", SITE],
}
OFFERED = [
    *("uvicorn", "uvicorn-debugged", "hypercorn", "hypercorn-with-trio"),
    *(pytest.param(name, marks=pytest.mark.full_matrix) for name in ("granian", "gunicorn", "gunicorn-with-uvicorn")),
]
NAMES_AGENTS = ("hypercorn", "hypercorn-with-trio", "granian", "gunicorn")
"""The servers whose log lines have the user agent, in the formats of this test."""


@dataclass(frozen=True)
class Person:
    """A visitor whose traces can be told from those of all others.

    Args:
        name: part of all that the visitor sends.
        address: the address of the visitor's client.
        choice: the answer, or "" for none.
        signals: whether the browser sends GPC after the answer.
    """

    name: str
    address: str
    choice: str = ""
    signals: bool = False

    @property
    def traces(self) -> list[str]:
        """Return what identifies the visitor: address, user agent, query, referrer."""
        return [self.address, f"Agent-{self.name}", f"query-{self.name}", f"from-{self.name}"]

    @property
    def path(self) -> str:
        return f"path-{self.name}"


GRANTING = Person("granting", "127.0.0.71", "accept_all")
OTHERS = (
    Person("refusing", "127.0.0.72", "refuse_all"),
    Person("signalling", "127.0.0.73", "accept_all", signals=True),
    Person("silent", "127.0.0.74"),
)


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        port: the port that it listens on.
        folder: the folder of all files that are written.
        process: its process.
    """

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def visit(self, person: Person) -> None:
        """Answer, request a page twice and a broken page once, and open a websocket."""
        headers = {
            "user-agent": f"{PHONE} Agent-{person.name}",
            "referer": f"https://from-{person.name}.example/",
            "x-forwarded-for": person.address,
        }
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=headers,
            transport=httpx.HTTPTransport(local_address=person.address),
            timeout=LONGEST_WAIT,
        ) as client:
            if person.choice:
                same_site = {"origin": f"http://127.0.0.1:{self.port}"}
                assert client.post(PREFIX, json={"choice": person.choice}, headers=same_site).status_code == 200
            if person.signals:
                client.headers["sec-gpc"] = "1"
            address = f"{person.path}?q=query-{person.name}"
            for _ in range(2):
                assert client.get(f"/pages/{address}").status_code == 200
            assert client.get(f"/broken/{address}").status_code == 500
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            fields = [*client.headers.items(), *([("cookie", cookies)] if cookies else [])]
            self._talk(person, f"/talk/{address}", fields)

    def _talk(self, person: Person, target: str, fields: list[tuple[str, str]]) -> None:
        upgrade = {
            "host": f"127.0.0.1:{self.port}",
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        sent = [*((name, value) for name, value in fields if name not in upgrade), *upgrade.items()]
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent), "", ""]
        with socket.create_connection(
            ("127.0.0.1", self.port), timeout=LONGEST_WAIT, source_address=(person.address, 0)
        ) as connection:
            connection.sendall("\r\n".join(lines).encode())
            got = b""
            while b"hello" not in got:
                more = connection.recv(4096)
                assert more, got
                got += more
        assert b" 101 " in got

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LONGEST_WAIT)

    def written(self, *but: str) -> str:
        """Return the content of all files but those with these names."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in but]
        return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(folder: Path, server: str, mode: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", *(word.replace("{port}", str(port)) for word in SERVERS[server])]
    command = [word.replace("{folder}", str(folder)) for word in command]
    env = {
        **os.environ,
        "ACCESS_LOG": str(folder / "access.jsonl"),
        "SERVER_LOGS": mode,
        "SPANS": str(folder / "spans.json"),
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    }
    output = folder / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT, env=env, **process_group_options())
    try:
        end = time.monotonic() + LONGEST_WAIT
        while not listens(port):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, output.read_text()
            time.sleep(0.02)
        yield Server(port, folder, process)
    finally:
        kill_process_group(process)
        process.wait(LONGEST_WAIT)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.each_value(at_most=3)
@pytest.mark.parametrize("mode", ["mask", "drop"])
@pytest.mark.parametrize("name", OFFERED)
def test_logs_do_not_identify_visitors_without_consent(name: str, mode: str, tmp_path: Path) -> None:
    with serving(tmp_path, name, mode) as server:
        for person in (*OTHERS, GRANTING, *OTHERS):
            server.visit(person)
        server.stop()
    everything, logs = server.written(), server.written("spans.json", "access.jsonl")
    assert [trace for person in OTHERS for trace in person.traces if trace in everything] == []
    assert [person.path for person in OTHERS if person.path in logs] == (
        [person.path for person in OTHERS] if mode == "mask" else []
    )
    address, agent, query, referrer = GRANTING.traces
    of_granting = [address, query, GRANTING.path, *([agent, referrer] if name in NAMES_AGENTS else [])]
    assert [trace for trace in of_granting if trace not in logs] == []
    spans, records = (server.folder.joinpath(file).read_text("utf-8") for file in ("spans.json", "access.jsonl"))
    assert [trace for trace in (*GRANTING.traces, *(person.path for person in OTHERS)) if trace not in spans] == []
    paths = [json.loads(line)["url.path"] for line in records.splitlines()]
    assert paths == [f"/{kind}/{GRANTING.path}" for kind in ("pages", "pages", "broken")]
    # The own worker of gunicorn logs no exception after a response with 500.
    assert ("this page is broken" in logs) == (name != "gunicorn")


def test_logs_identify_visitors_when_server_logs_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path, "hypercorn", "keep") as server:
        server.visit(OTHERS[0])
        server.stop()
    assert [trace for trace in OTHERS[0].traces if trace not in server.written("spans.json")] == []
