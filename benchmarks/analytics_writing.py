"""How many granted and traced requests a real server serves, with every sink: up, and down."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import apps, serve
from benchmarks.analytics_apps import BARE, NO_SINK, STATS, TARGET, traced_app
from benchmarks.analytics_places import Place, places
from benchmarks.table import Cell, Table, ratio
from cookie_consent.sinks import MemorySink

_SETTLES_WITHIN = 60.0
"""How long after a turn all lines are on their way out of the server's memory; and after an outage at their place."""
_POLL = 0.2


@dataclass
class Case:
    """A server with one sink, and what it did in each round.

    Args:
        place: where its records go.
        server: serves.
        cookie: of a visitor who granted.
    """

    place: Place
    server: serve.Server
    cookie: bytes
    rates: list[float] = field(default_factory=list)
    by_cpu: list[float] = field(default_factory=list)
    requests: int = 0

    def stats(self) -> dict[str, int]:
        """Return the counters of its sink."""
        found = json.loads(serve.get(self.server, STATS))
        assert isinstance(found, dict), found
        return found


def measure(folder: Path, rounds: int, seconds: int, wanted: Callable[[str], bool]) -> Table:
    """Serve from the bare app and with each sink in turns, while `wrk` makes load.

    Args:
        folder: where files are.
        rounds: how often each has its turn; a first short one warms up and does not count.
        seconds: how long a turn is.
        wanted: whether a sink is to be measured, by its name.
    """
    table = Table(f"Granted and traced requests to uvicorn on {serve.server_parts()}, one worker")
    with ExitStack() as stack:
        found, table.notes = places(stack, folder, wanted)
        cookie = granted_cookie()
        cases = [Case(place, stack.enter_context(_serve(place)), cookie) for place in found]
        for case in cases:
            _turn(case, 1)
            if case.place.is_down and case.place.server:
                case.place.server.stop()
        for case in cases:
            case.rates.clear()
            case.by_cpu.clear()
        for _ in range(rounds):
            for case in cases:
                _turn(case, seconds)
        # The columns of what they are compared with.
        compared = {case.place.target: case for case in cases[:2]}
        table.rows = [_row(case, compared[BARE], compared[NO_SINK]) for case in cases]
    return table


def granted_cookie() -> bytes:
    """Return the cookies of a visitor who granted all, over plain http."""
    return asyncio.run(apps.visit(traced_app(MemorySink()), "accept_all", "http"))


@contextmanager
def _serve(place: Place) -> Iterator[serve.Server]:
    """Run a server with one worker, until the block ends."""
    port = serve.free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.analytics_apps:served_app"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "error"]
    environment = {**os.environ, TARGET: place.target}
    with subprocess.Popen([*command, *options], cwd=serve.ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            server = serve.Server(process.pid, f"http://127.0.0.1:{port}")
            serve.wait_until_up(process, server)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(serve.STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()


def _turn(case: Case, seconds: int) -> None:
    """Make load for a while; what is written late belongs to the requests as well. Fails if a page does."""
    before = case.server.cpu_seconds()
    requests = serve.load(serve.Case(case.place.name, case.server, case.cookie), seconds)
    _until(lambda: not case.stats().get("waiting"), f"{case.place.name}: lines wait in memory")
    case.rates.append(requests / seconds)
    case.by_cpu.append(requests / (case.server.cpu_seconds() - before))
    case.requests += requests


def _row(case: Case, bare: Case, no_sink: Case) -> dict[str, Cell]:
    place, spilled = case.place, case.stats().get("spilled", 0)
    shares = sorted(one / other for one, other in zip(case.rates, bare.rates, strict=True))
    row: dict[str, Cell] = {
        "sink": place.name,
        "server": None if place.server is None else "down" if place.is_down else "up",
        "requests/s": round(median(case.rates)),
        "of bare": ratio(case.rates, bare.rates),
        "spread": f"{shares[0]:.2f}-{shares[-1]:.2f}",
        "to reach": place.to_reach,
        "of no sink": ratio(case.rates, no_sink.rates),
        "CPU µs": round(1e6 / median(case.by_cpu), 1),
        "reached at": None if place.to_reach is None else _reached_at(case, bare, place.to_reach),
        "CPU of bare": ratio(case.by_cpu, bare.by_cpu),
        "CPU of no sink": ratio(case.by_cpu, no_sink.by_cpu),
        "MiB": _resident_mib(case.server.pid),
        "requests": case.requests,
        "spilled": spilled if place.server else None,
        "kept": None,
        "dropped": None,
    }
    if place.keeps:
        if place.is_down and place.server:
            place.server.start()
        # A few more than `wrk` counted were on their way when it stopped.
        _until(lambda: place.kept() >= case.requests or _dropped(case) > 0, f"{place.name}: records are missing")
        row |= {"kept": place.kept(), "dropped": _dropped(case)}
    return row


def _reached_at(case: Case, bare: Case, share: float) -> int:
    """Return how long an app has to work for an answer, with its server, so that it serves such a share (µs of CPU)."""
    added = 1e6 / median(case.by_cpu) - 1e6 / median(bare.by_cpu)
    return round(added * share / (1 - share))


def _dropped(case: Case) -> int:
    return sum(number for name, number in case.stats().items() if name.startswith("dropped"))


def _until(holds: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + _SETTLES_WITHIN
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(_POLL)


def _resident_mib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, "proc(5)"
    return round(int(found[1]) / 1024)
