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
import signal
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


@dataclass
class Case:
    """One kind of request to one of the servers."""

    name: str
    server: Server
    cookie: bytes
    to_reach: float | None = None
    records: apps.Records | None = None
    rates: list[float] = field(default_factory=list)
    requests: int = 0


def free_port() -> int:
    """Finds a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(server: Server, path: str, cookie: bytes = b"") -> bytes:
    """Gets a page."""
    request = urllib.request.Request(server.origin + path, headers={"Cookie": cookie.decode()})  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        content: bytes = response.read()
        return content


def wait_until_up(process: subprocess.Popen[bytes], server: Server) -> None:
    """Waits for the first page."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            get(server, apps.ROUTE)
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
        else:
            return


@contextmanager
def serve(factory: str, access_log: Path) -> Iterator[Server]:
    """Runs a server with one worker, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", f"benchmarks.apps:{factory}"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "error"]
    environment = {**os.environ, apps.ACCESS_LOG: str(access_log)}
    with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as process:
        try:
            server = Server(process.pid, f"http://127.0.0.1:{port}")
            wait_until_up(process, server)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def load(case: Case, seconds: int) -> int:
    """Makes load for a while; how many requests were answered."""
    headers = [(name, value) for name, value in apps.BROWSER if name not in (b"host", b"connection")]
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
    for name, value in [*headers, (b"cookie", case.cookie)]:
        command += ["--header", f"{name.decode()}: {value.decode()}"]
    command.append(case.server.origin + apps.ROUTE)
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    counted = re.search(r"(\d+) requests in", output)
    assert counted, output
    return int(counted[1])


def wait_for_records(case: Case) -> None:
    """Waits until no more come: what is written late belongs to the requests as well."""
    if case.records:
        before = -1
        while before < case.records.count:
            before = case.records.count
            time.sleep(1.2)
            case.records.read()


def measure(case: Case, seconds: int) -> None:
    """Adds one round's requests for each second of the server's CPU."""
    before = case.server.cpu_seconds()
    requests = load(case, seconds)
    wait_for_records(case)
    case.rates.append(requests / (case.server.cpu_seconds() - before))
    case.requests += requests


def check(server: Server, cookie: bytes, status: str) -> None:
    """The served app takes the cookie for what it should be."""
    state = get(server, apps.PREFIX + "/state", cookie).replace(b" ", b"")
    assert b'"status":"%s"' % status.encode() in state, state


def make_cases(stack: ExitStack, folder: Path) -> list[Case]:
    """Starts the servers and makes the cases; what the others are compared with is the first."""
    log = folder / "access.jsonl"
    bare, session, ours = (
        stack.enter_context(serve(factory, log)) for factory in ("bare_app", "session_app", "served_consent_app")
    )
    local = apps.consent_app(folder / "local.jsonl")
    signed_in = asyncio.run(apps.sign_in(apps.session_app()))
    refused = asyncio.run(apps.visit(local, "refuse_all", "http"))
    granted = asyncio.run(apps.visit(local, "accept_all", "http"))
    check(ours, refused, "refused")
    check(ours, granted, "granted")
    return [
        Case("bare", bare, refused),
        Case("session", session, signed_in),
        Case("refused", ours, refused, 0.92),
        Case("granted and traced", ours, granted, 0.78, apps.Records(log)),
    ]


def server_parts() -> str:
    """Names what uvicorn picks of what is installed: the figures differ a lot."""
    faster = (("uvloop", "asyncio"), ("httptools", "h11"))
    return " and ".join(one if importlib.util.find_spec(one) else other for one, other in faster)


def print_rates(cases: list[Case]) -> None:
    """Prints the figures; a ratio is taken within each round, since a busy machine changes from one to the next."""
    print(f"uvicorn on {server_parts()}")
    print(f"{'case':20}{'requests / CPU s':>18}{'of bare':>9}{'rounds':>15}{'to reach':>10}  {'reached':9}records")
    for case in cases:
        ratios = [rate / bare for rate, bare in zip(case.rates, cases[0].rates, strict=True)]
        ratio, to_reach = median(ratios), case.to_reach
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        reached = "" if to_reach is None else "yes" if ratio >= to_reach else "NO"
        written = f"{case.records.count} of {case.requests}" if case.records else ""
        print(
            f"{case.name:20}{median(case.rates):18.0f}{ratio:9.2f}{spread:>15}{to_reach or '':>10}"
            f"  {reached:9}{written}"
        )


def compare(rounds: int, seconds: int) -> None:
    """Compares the servers in turns; a first short round warms up and does not count."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        cases = make_cases(stack, Path(folder))
        for case in cases:
            load(case, 1)
            wait_for_records(case)
            if case.records:
                case.records.count = 0
        for _ in range(rounds):
            for case in cases:
                measure(case, seconds)
        for case in cases:
            assert not case.records or case.records.count, "nothing was traced"
        print_rates(cases)


def resident_kib() -> int:
    """The memory of this process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


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
        sizes.append(resident_kib())
        print(f"{requests // 10 * tenth:10}{sizes[-1] / 1024:8.1f}", flush=True)
    growth = sizes[-1] - sizes[0]
    per_request = growth * 1024 / (requests * 0.9)
    print(f"growth after the first tenth: {growth / 1024:.1f} MiB, {per_request:.1f} bytes a request")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each server has its turn (5)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a turn is (3)")
    parser.add_argument(
        "--memory",
        type=int,
        nargs="?",
        const=1_000_000,
        metavar="N",
        help="watch the memory over N requests (1000000)",
    )
    arguments = parser.parse_args()
    logging.disable()
    if arguments.memory:
        with TemporaryDirectory() as folder:
            asyncio.run(watch_memory(arguments.memory, Path(folder)))
    elif shutil.which("wrk"):
        compare(arguments.rounds, arguments.seconds)
    else:
        parser.error("wrk is not installed: apt-get install wrk")


if __name__ == "__main__":
    main()
