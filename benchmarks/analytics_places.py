"""Where access records go to while it is measured: files, and servers that run or are down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from benchmarks.analytics_apps import BARE, MEMORY, NO_SINK
from cookie_consent.sinks import open_sink
from tests.clickhouse_server import clickhouse_server
from tests.nats_server import nats_server
from tests.postgres import private_server

REMOTE, FILES = 0.80, 0.85
"""How many of the bare app's requests should be served with such a sink."""
_A_DAY = 86_400.0


class Server(Protocol):
    """A server of our own."""

    def start(self) -> object:
        """Start it on the same port with its data."""

    def stop(self) -> object:
        """Stop it in good order."""


@dataclass(frozen=True)
class Place:
    """Where the records of a served app go to.

    Args:
        name: what the sink is called.
        target: tells the served app.
        to_reach: the share of the bare app's requests that it should serve; None where nothing is said.
        server: what keeps them; None for files and memory.
        is_down: whether that is down while it is measured.
    """

    name: str
    target: str
    to_reach: float | None = None
    server: Server | None = None
    is_down: bool = False

    @property
    def keeps(self) -> bool:
        """Whether records are kept where another process can count them."""
        return self.target not in (BARE, NO_SINK, MEMORY)

    def kept(self) -> int:
        """Return how many records are kept: those that would go if all that is older than tomorrow did."""
        return open_sink(self.target).purge(time.time() + 2 * _A_DAY, timedelta(0), dry_run=True)


def places(stack: ExitStack, folder: Path, wanted: Callable[[str], bool]) -> tuple[list[Place], list[str]]:
    """Start servers, and return where records can go; those that others are compared with come first.

    Args:
        stack: ends the servers.
        folder: where files are.
        wanted: whether a sink is to be measured, by its name.

    Returns:
        The places, and of each server that cannot be had here, why.
    """
    found = [
        Place("no middleware", BARE),
        Place("no sink", NO_SINK),
        Place("memory", MEMORY),
        Place("files", str(folder / "files" / "access.jsonl"), FILES),
    ]
    found = [place for place in found if place.target in (BARE, NO_SINK) or wanted(place.name)]
    missing = []
    for name, start in _SERVERS.items():
        for is_down in (False, True) if wanted(name) else ():
            own = folder / f"{name}-{'down' if is_down else 'up'}"
            try:
                server, url = stack.enter_context(start(own))
            except RuntimeError as error:
                missing.append(f"No {name}: {error}")
                break
            found.append(Place(name, f"{url}?spill={own / 'spill'}", REMOTE, server, is_down))
    return found, missing


def sinks() -> list[str]:
    """Return the names of what can be measured."""
    return ["memory", "files", *_SERVERS]


@contextmanager
def _postgresql(_: Path) -> Iterator[tuple[Server, str]]:
    with private_server() as server:
        yield server, server.new_database()


@contextmanager
def _clickhouse(_: Path) -> Iterator[tuple[Server, str]]:
    with clickhouse_server() as server:
        yield server, server.new_database()


@contextmanager
def _nats(folder: Path) -> Iterator[tuple[Server, str]]:
    with nats_server(folder) as server:
        yield server, f"nats://{server.address}/BENCHMARK"


_SERVERS: dict[str, Callable[[Path], AbstractContextManager[tuple[Server, str]]]] = {
    "postgresql": _postgresql,
    "clickhouse": _clickhouse,
    "nats": _nats,
}
