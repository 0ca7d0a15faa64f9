"""Requests for each second of CPU that a real server needs, with the middleware and without. `wrk` makes the load."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import itertools
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from benchmarks import apps
from benchmarks.table import Row, print_table, ratio
from cookie_consent.sinks import MemorySink, open_sink
from tests.support.servers.processes import free_port, program_path
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent
TARGET = "BENCHMARK_TARGET"
"""The variable that tells a served app what it is: one of these, or the target of the sink that it traces into."""
BARE, SESSION, NO_SINK = "bare", "session", "no sink"
STATS = "/benchmark/stats"
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 16
SETTLES_WITHIN = 60.0  # seconds


def served_app() -> ASGIApp:
    """Return the app for a server's command line, which has no arguments for it."""
    logging.disable()
    target = os.environ[TARGET]
    sink = None if target in (BARE, SESSION, NO_SINK) else open_sink(target)
    app = apps.bare_app()

    async def stats(_: Request) -> Response:
        return JSONResponse(dict(sink.stats()) if sink else {})

    app.add_route(STATS, stats)
    if target == SESSION:
        return apps.session_app(app)
    return app if target == BARE else apps.consent_app(app, access_log=sink)


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    origin: str

    def cpu_seconds(self) -> float:
        """Return what all its threads needed so far, in user space and in the kernel."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS  # utime and stime, proc(5)

    def get(self, path: str, cookie: bytes = b"") -> dict[str, Any]:
        """Return the JSON object at a path."""
        response = httpx.get(self.origin + path, headers={b"cookie": cookie}, trust_env=False).raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    def settle(self) -> None:
        """Wait until no record waits in its memory: what is written late belongs to the requests too."""
        wait_until(lambda: not self.get(STATS).get("waiting"), SETTLES_WITHIN)


@dataclass
class Case:
    """One kind of request to one of the servers, and its figures in each round."""

    name: str
    server: Server
    cookie: bytes
    to_reach: float | None = None
    rates: list[float] = field(default_factory=list)
    by_cpu: list[float] = field(default_factory=list)
    requests: int = 0

    def take_turn(self, seconds: int) -> None:
        """Add one round."""
        before = self.server.cpu_seconds()
        requests = load(self.server, self.cookie, seconds)
        self.server.settle()
        self.rates.append(requests / seconds)
        self.by_cpu.append(requests / (self.server.cpu_seconds() - before))
        self.requests += requests

    def row(self, bare: Case) -> Row:
        """Return the figures, compared with those of the bare app."""
        shares = sorted(one / other for one, other in zip(self.by_cpu, bare.by_cpu, strict=True))
        row: Row = {"case": self.name, "requests/s": round(median(self.rates))}
        row |= {"of bare": ratio(self.rates, bare.rates), "requests / CPU s": round(median(self.by_cpu))}
        row |= {"CPU of bare": ratio(self.by_cpu, bare.by_cpu), "rounds": f"{shares[0]:.2f} to {shares[-1]:.2f}"}
        return {**row, "to reach": self.to_reach, "requests": self.requests}


def take_turns(cases: Sequence[Case], rounds: int, seconds: int) -> None:
    """Let all cases take turns; a first short round warms up and does not count."""
    for number, case in itertools.product(range(rounds + 1), cases):
        case.take_turn(seconds if number else 1)
        if not number:
            case.rates.clear()
            case.by_cpu.clear()


@contextmanager
def serve(target: str) -> Iterator[Server]:
    """Run a server with one worker for the app of a target."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.serve:served_app", "--port", str(port)]
    options = ["--no-access-log", "--log-level", "error"]
    with subprocess.Popen([*command, *options], cwd=ROOT, env={**os.environ, TARGET: target}) as process:
        server = Server(process.pid, f"http://127.0.0.1:{port}")
        try:
            wait_until(lambda: server.get(STATS) is not None, ignoring=(httpx.TransportError,))
            yield server
        finally:
            process.kill()


def load(server: Server, cookie: bytes, seconds: int) -> int:
    """Make load for a while, and return the number of responses; none may be an error."""
    command = [program_path("wrk", "wrk"), "--threads", "1", "--connections", str(CONNECTIONS)]
    for name, value in [*apps.BROWSER[2:], (b"cookie", cookie)]:  # wrk has its own for the host and the connection
        command += ["--header", f"{name.decode()}: {value.decode()}"]
    command += ["--duration", f"{seconds}s", server.origin + apps.ROUTE]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    counted = re.search(r"(\d+) requests in", output)
    assert counted, output
    return int(counted[1])


def server_parts() -> str:
    """Return what uvicorn uses of what is installed: the figures differ a lot."""
    faster = (("uvloop", "asyncio"), ("httptools", "h11"))
    return " and ".join(one if importlib.util.find_spec(one) else other for one, other in faster)


def cookie_of(choice: str) -> bytes:
    """Return the cookies of a visitor who answered the question."""
    return asyncio.run(apps.visit(apps.consent_app(access_log=MemorySink()), choice, "http"))


def make_cases(stack: ExitStack, folder: Path) -> list[Case]:
    """Start the servers, and return the cases; the first is what the others are compared with."""
    targets = (BARE, SESSION, str(folder / "access.jsonl"))
    bare, session, ours = (stack.enter_context(serve(target)) for target in targets)
    signed_in = asyncio.run(apps.sign_in(apps.session_app()))
    refused, granted = cookie_of("refuse_all"), cookie_of("accept_all")
    for cookie, status in ((refused, "refused"), (granted, "granted")):
        state = ours.get(apps.PREFIX + "/state", cookie)
        assert state["status"] == status, state
    return [
        Case("bare", bare, refused),
        Case("session", session, signed_in),
        Case("refused", ours, refused, 0.92),
        Case("granted and traced", ours, granted, 0.80),
    ]


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each server has its turn (5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a turn is (3)")
    arguments = parser.parse_args()
    logging.disable()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        cases = make_cases(stack, Path(folder))
        take_turns(cases, arguments.rounds, arguments.seconds)
        records = cases[-1].server.get(STATS)["written"]
    assert records, "nothing was traced"
    print_table(f"uvicorn on {server_parts()}; {records:,} records", [case.row(cases[0]) for case in cases])


if __name__ == "__main__":
    main()
