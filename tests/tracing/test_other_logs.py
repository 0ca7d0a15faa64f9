"""Tests with real servers over HTTP: no file of a server identifies a visitor who did not consent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.asgi import PHONE, PREFIX
from tests.support.servers.processes import free_port, kill_process_group, process_group_options, wait_for_port

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 60.0
HOST = "127.0.0.1"
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


def visit(port: int, person: Person) -> None:
    """Answer, request a page twice and a broken page once, and open a websocket."""
    headers = {
        "user-agent": f"{PHONE} Agent-{person.name}",
        "referer": f"https://from-{person.name}.example/",
        "x-forwarded-for": person.address,
    }
    transport = httpx.HTTPTransport(local_address=person.address)
    site = f"http://{HOST}:{port}"
    with httpx.Client(base_url=site, headers=headers, transport=transport, timeout=LONGEST_WAIT) as client:
        if person.choice:
            answer = client.post(PREFIX, json={"choice": person.choice}, headers={"origin": site})
            assert answer.status_code == 200
        if person.signals:
            client.headers["sec-gpc"] = "1"
        address = f"{person.path}?q=query-{person.name}"
        for kind, status in (("pages", 200), ("pages", 200), ("broken", 500)):
            assert client.get(f"/{kind}/{address}").status_code == status
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        fields = {**client.headers, **({"cookie": cookies} if cookies else {})}
    agent = fields.pop("user-agent")
    for name in ("host", "connection", "accept-encoding"):
        fields.pop(name, None)
    with connect(
        f"ws://{HOST}:{port}/talk/{address}",
        additional_headers=fields,
        user_agent_header=agent,
        source_address=(person.address, 0),
    ) as talk:
        assert talk.recv(LONGEST_WAIT) == "hello"


@contextmanager
def serving(folder: Path, server: str, mode: str) -> Iterator[int]:
    """Serve the site, which writes all its files to a folder; yield the port."""
    port = free_port()
    words = [word.replace("{port}", str(port)).replace("{folder}", str(folder)) for word in SERVERS[server]]
    env = {
        **os.environ,
        "ACCESS_LOG": str(folder / "access.jsonl"),
        "SERVER_LOGS": mode,
        "SPANS": str(folder / "spans.json"),
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    }
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], stdout=output, stderr=output, cwd=ROOT, env=env, **process_group_options()
        )
    try:
        wait_for_port(port)
        yield port
        process.terminate()
        process.wait(LONGEST_WAIT)
    finally:
        kill_process_group(process)
        process.wait(LONGEST_WAIT)


def read_files(folder: Path, *but: str) -> str:
    """Return the content of all files but those with these names."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in but]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.requirement("TR-03")
@pytest.mark.each_value(at_most=3)
@pytest.mark.parametrize("mode", ["mask", "drop"])
@pytest.mark.parametrize("name", OFFERED)
def test_logs_do_not_identify_visitors_without_consent(name: str, mode: str, tmp_path: Path) -> None:
    with serving(tmp_path, name, mode) as port:
        for person in (*OTHERS, GRANTING, *OTHERS):
            visit(port, person)
    everything = read_files(tmp_path)
    logs = read_files(tmp_path, "spans.json", "access.jsonl")
    assert [trace for person in OTHERS for trace in person.traces if trace in everything] == []
    assert [person.path for person in OTHERS if person.path in logs] == (
        [person.path for person in OTHERS] if mode == "mask" else []
    )
    address, agent, query, referrer = GRANTING.traces
    of_granting = [address, query, GRANTING.path, *([agent, referrer] if name in NAMES_AGENTS else [])]
    assert [trace for trace in of_granting if trace not in logs] == []
    spans = (tmp_path / "spans.json").read_text("utf-8")
    records = (tmp_path / "access.jsonl").read_text("utf-8")
    assert [trace for trace in (*GRANTING.traces, *(person.path for person in OTHERS)) if trace not in spans] == []
    paths = [json.loads(line)["url.path"] for line in records.splitlines()]
    assert paths == [f"/{kind}/{GRANTING.path}" for kind in ("pages", "pages", "broken")]
    # The own worker of gunicorn logs no exception after a response with 500.
    assert ("this page is broken" in logs) == (name != "gunicorn")


def test_logs_identify_visitors_when_server_logs_are_kept(tmp_path: Path) -> None:
    with serving(tmp_path, "hypercorn", "keep") as port:
        visit(port, OTHERS[0])
    assert [trace for trace in OTHERS[0].traces if trace not in read_files(tmp_path, "spans.json")] == []
