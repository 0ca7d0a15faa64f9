"""NATS servers with JetStream for tests and benchmarks: one, or a cluster of three.

Each server has its data in a folder and listens only on 127.0.0.1. It can be stopped, killed, frozen and started again
on the same port with its data. It ends with the process that started it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.support.servers.processes import (
    LONGEST_START,
    free_port,
    kill_process_group,
    process_group_options,
    program_path,
)
from tests.support.waiting import wait_until

HOST = "127.0.0.1"
_SAID = 2000  # the length of the part of the log that an error shows
_NODES = 3
_TRIES, _LONGEST_ELECTION = 4, 15.0
"""How often a cluster is started, and how long its nodes may take to elect a leader (seconds): sometimes nodes that
start at the same time need a minute or more."""


class NatsServer:
    """A server, not started yet.

    Args:
        folder: the folder for its data, settings and log.
        name: its name in a cluster.
        settings: additional settings.
    """

    def __init__(self, folder: Path, name: str = "single", settings: Mapping[str, object] | None = None) -> None:
        self.folder, self.name = folder, name
        self.port, self._watch = free_port(), free_port()
        self.settings: dict[str, object] = {
            "server_name": name,
            "host": HOST,
            "port": self.port,
            "http": f"{HOST}:{self._watch}",
            "jetstream": {"store_dir": str(folder / "data"), "max_file_store": 1 << 30, "max_memory_store": 1 << 26},
            "log_file": str(folder / "log"),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port, for a URL."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start the server, and wait until it is healthy; in a cluster that includes an elected leader.

        Raises:
            RuntimeError: it does not start; the message contains its log.
        """
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the server without waiting."""
        assert self._process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "nats.conf"
        settings.write_text(json.dumps(self.settings), "utf-8")
        # The kernel kills the server when the tests end, for whatever reason.
        command = [
            program_path("setpriv", "util-linux"),
            "--pdeathsig",
            "KILL",
            program_path("nats-server", "nats-server"),
        ]
        self._process = subprocess.Popen(
            [*command, "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **process_group_options(),
        )

    def wait(self, seconds: float = LONGEST_START) -> None:
        """Wait until the server is healthy; raise RuntimeError if it is not in time."""
        process = self._running()
        with suppress(TimeoutError):
            wait_until(lambda: self._is_healthy() or process.poll() is not None, seconds)
        if not self._is_healthy():
            log = self.folder / "log"
            raise RuntimeError(f"nats-server did not start. {log.read_text('utf-8')[-_SAID:] if log.exists() else ''}")

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server, as kill -9 does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend the server with open connections."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: _is_stopped(process.pid))

    def thaw(self) -> None:
        """Resume the server."""
        self._running().send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the server if it runs."""
        if self._process:
            kill_process_group(self._process)
            self._process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process, "it does not run"
        return self._process

    def _end(self, by: signal.Signals) -> None:
        self._running().send_signal(by)
        self._running().wait(LONGEST_START)
        self._process = None

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._watch}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def nats_server(folder: Path, settings: Mapping[str, object] | None = None) -> Iterator[NatsServer]:
    """Start a server."""
    server = NatsServer(folder, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def nats_cluster(folder: Path) -> Iterator[Sequence[NatsServer]]:
    """Start three servers that replicate each message to all of them."""
    for number in range(1, _TRIES + 1):
        nodes = _nodes(folder / f"cluster{number}")
        with ExitStack() as stack:
            for node in nodes:
                stack.callback(node.close)
                node.launch()
            try:
                for node in nodes:
                    node.wait(_LONGEST_ELECTION)
            except RuntimeError:
                if number == _TRIES:
                    raise
                continue
            yield nodes
            return


def _nodes(folder: Path) -> list[NatsServer]:
    """Return the servers of a cluster, not started yet."""
    routes = {f"node{number}": free_port() for number in range(_NODES)}
    nodes = []
    for name, port in routes.items():
        others = [f"nats://{HOST}:{other}" for other in routes.values() if other != port]
        cluster = {"name": "tests", "listen": f"{HOST}:{port}", "routes": others}
        nodes.append(NatsServer(folder / name, name, {"cluster": cluster}))
    return nodes


def _is_stopped(process: int) -> bool:
    """Return whether all threads of a process are stopped."""
    threads = Path(f"/proc/{process}/task").glob("*/stat")
    return all(thread.read_text("utf-8").rpartition(") ")[2].startswith("T") for thread in threads)
