"""Requests for each second of CPU that a real server needs, with the middleware and without.

Run as `python -m benchmarks.serve` from the root of the checkout; `wrk` makes the load. With `--memory`
it looks instead at how the process grows while it sees a million cookies that all differ.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import itertools
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp, Scope

from benchmarks import apps
from benchmarks.table import Table, ratio

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
STARTS_WITHIN = STOPS_WITHIN = 20.0  # seconds
CONNECTIONS = 16


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    origin: str

    def cpu_seconds(self) -> float:
        """What all its threads needed so far, in user space and in the kernel."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS  # utime and stime, proc(5)

    def get(self, path: str, cookie: bytes = b"") -> bytes:
        """Gets a page."""
        request = urllib.request.Request(self.origin + path, headers={"Cookie": cookie.decode()})  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            content: bytes = response.read()
            return content


@dataclass
class Case:
    """One kind of request to one of the servers, and what came of it in each round."""

    name: str
    server: Server
    cookie: bytes
    to_reach: float | None = None
    records: apps.Records | None = None
    rates: list[float] = field(default_factory=list)
    by_cpu: list[float] = field(default_factory=list)
    requests: int = 0

    def settle(self) -> None:
        """Waits until no more records come: what is written late belongs to the requests as well."""
        before = -1
        while self.records and before < self.records.count:
            before = self.records.count
            time.sleep(1.2)
            self.records.read()

    def turn(self, seconds: int) -> None:
        """Adds one round."""
        before = self.server.cpu_seconds()
        requests = load(self.server, self.cookie, seconds)
        self.settle()
        self.rates.append(requests / seconds)
        self.by_cpu.append(requests / (self.server.cpu_seconds() - before))
        self.requests += requests


@contextmanager
def serve(app: str, environ: dict[str, str]) -> Iterator[Server]:
    """Runs a server with one worker, until the block ends.

    Args:
        app: what makes the app, "benchmarks.module:function".
        environ: variables that it reads.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", app, "--host", "127.0.0.1", "--port", str(port)]
    options = ["--no-access-log", "--log-level", "error"]
    with subprocess.Popen([*command, *options], cwd=ROOT, env={**os.environ, **environ}) as process:
        try:
            server = Server(process.pid, f"http://127.0.0.1:{port}")
            _wait_until_up(process, server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_up(process: subprocess.Popen[bytes], server: Server) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            server.get(apps.ROUTE)
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        else:
            return


def load(server: Server, cookie: bytes, seconds: int) -> int:
    """Makes load for a while; how many requests were answered. Fails if one was with an error."""
    headers = [(name, value) for name, value in apps.BROWSER if name not in (b"host", b"connection")]
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    for name, value in [*headers, (b"cookie", cookie)]:
        command += ["--header", f"{name.decode()}: {value.decode()}"]
    command.append(server.origin + apps.ROUTE)
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    counted = re.search(r"(\d+) requests in", output)
    assert counted, output
    return int(counted[1])


def server_parts() -> str:
    """Names what uvicorn picks of what is installed: the figures differ a lot."""
    faster = (("uvloop", "asyncio"), ("httptools", "h11"))
    return " and ".join(one if importlib.util.find_spec(one) else other for one, other in faster)


def make_cases(stack: ExitStack, folder: Path) -> list[Case]:
    """Starts the servers and makes the cases; what the others are compared with is the first."""
    log = folder / "access.jsonl"
    environ = {apps.ACCESS_LOG: str(log)}
    bare, session, ours = (
        stack.enter_context(serve(f"benchmarks.apps:{name}", environ))
        for name in ("bare_app", "session_app", "served_consent_app")
    )
    local = apps.consent_app(folder / "local.jsonl")
    signed_in = asyncio.run(apps.sign_in(apps.session_app()))
    refused, granted = [asyncio.run(apps.visit(local, choice, "http")) for choice in ("refuse_all", "accept_all")]
    for cookie, status in ((refused, b"refused"), (granted, b"granted")):
        state = ours.get(apps.PREFIX + "/state", cookie).replace(b" ", b"")
        assert b'"status":"%s"' % status in state, state
    return [
        Case("bare", bare, refused),
        Case("session", session, signed_in),
        Case("refused", ours, refused, 0.92),
        Case("granted and traced", ours, granted, 0.78, apps.Records(log)),
    ]


def compare(rounds: int, seconds: int) -> Table:
    """Compares the servers in turns; a first short round warms up and does not count."""
    table = Table(f"uvicorn on {server_parts()}")
    with TemporaryDirectory() as folder, ExitStack() as stack:
        cases = make_cases(stack, Path(folder))
        for case in cases:
            load(case.server, case.cookie, 1)
            case.settle()
            if case.records:
                case.records.count = 0
        for _, case in itertools.product(range(rounds), cases):
            case.turn(seconds)
    for case in cases:
        assert not case.records or case.records.count, "nothing was traced"
        shares = sorted(one / bare for one, bare in zip(case.by_cpu, cases[0].by_cpu, strict=True))
        table.rows.append(
            {
                "case": case.name,
                "requests / CPU s": round(median(case.by_cpu)),
                "of bare": ratio(case.by_cpu, cases[0].by_cpu),
                "rounds": f"{shares[0]:.2f} to {shares[-1]:.2f}",
                "to reach": case.to_reach,
                "requests": case.requests,
                "records": case.records.count if case.records else None,
            }
        )
    return table


def resident_mib(pid: int | str = "self") -> float:
    """The memory of a process, this one unless another is named."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, "proc(5)"
    return int(found[1]) / 1024


def browsers(number: int) -> list[tuple[bytes, bytes]]:
    """A browser's headers with a user agent that nobody else has."""
    agent = b"Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0" % (number, number)
    return [(name, agent if name == b"user-agent" else value) for name, value in apps.BROWSER]


def distinct_requests(refused: bytes, granted: bytes) -> Iterator[Scope]:
    """Makes endless requests of many kinds, no two of them alike."""
    consent = refused.partition(b"=")[0]
    forged = apps.forgeries(refused)
    for number in itertools.count():
        kind = number % 100
        if kind == 0:
            yield apps.make_scope(cookie=granted, browser=browsers(number))
        elif kind == 1:
            yield apps.make_scope(apps.PAGE_ROUTE, browser=browsers(number))
        elif kind < 40:
            yield apps.make_scope(cookie=next(forged))
        elif kind < 60:
            yield apps.make_scope(cookie=b"%b=%d; session=%x.%x" % (consent, number, number, number))
        elif kind < 80:
            yield apps.make_scope(cookie=b"junk%d=1; _ga_%d=2" % (number, number))
        else:
            yield apps.make_scope(cookie=refused + b"; session=%x.garbage.%x" % (number, number))


async def make_requests(app: ASGIApp, scopes: Iterator[Scope]) -> None:
    """Makes requests and lets a server's other tasks have their turns."""
    for scope in scopes:
        await app(scope, apps.receive, apps.drop)
        await asyncio.sleep(0)


async def watch_memory(requests: int, folder: Path) -> None:
    """Prints the memory at each tenth of the way, and the growth after the first one."""
    app = apps.consent_app(folder / "access.jsonl")
    refused, granted = [await apps.visit(app, choice) for choice in ("refuse_all", "accept_all")]
    scopes = distinct_requests(refused, granted)
    sizes = []
    print(f"{'requests':>10}{'MiB':>8}")
    for tenth in range(1, 11):
        await make_requests(app, itertools.islice(scopes, requests // 10))
        gc.collect()
        sizes.append(resident_mib())
        print(f"{requests // 10 * tenth:10}{sizes[-1]:8.1f}", flush=True)
    growth = sizes[-1] - sizes[0]
    print(f"after the first tenth: {growth:.1f} MiB more, {growth * 2**20 / (requests * 0.9):.1f} bytes a request")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each server has its turn (5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a turn is (3)")
    memory = {"type": int, "nargs": "?", "const": 1_000_000, "metavar": "N"}
    parser.add_argument("--memory", help="watch the memory over N requests (1000000)", **memory)  # type: ignore[arg-type]
    arguments = parser.parse_args()
    logging.disable()
    if arguments.memory:
        with TemporaryDirectory() as folder:
            asyncio.run(watch_memory(arguments.memory, Path(folder)))
    elif shutil.which("wrk"):
        print(compare(arguments.rounds, arguments.seconds))
    else:
        parser.error("wrk is not installed: apt-get install wrk")


if __name__ == "__main__":
    main()
