"""A NATS connection for synchronous code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.js.errors import BadRequestError, NotFoundError

from cookie_consent.base.process.forking import call_after_fork, leave_to_parent
from cookie_consent.sinks.nats.address import NatsAddress

_CONNECT_TIMEOUT = 3.0
_CONNECT_TIMEOUT_OF_SERVER = 2
"""How long one server may take to connect (seconds). There may be others to try."""
_CLOSE_TIMEOUT = 1.0
LONGEST = 10.0
"""The default time limit of a task (seconds)."""

T = TypeVar("T")


class Connection:
    """Runs tasks that need a NATS client on its own event loop, never the app's.

    The loop has a thread, because a client must answer its server's pings between tasks. Thread and connection start
    with the first task, so after a fork in the right process. The client does not reconnect by itself: running tasks
    fail, and the next task connects again, to any of the servers.

    Args:
        address: the servers and credentials.
    """

    def __init__(self, address: NatsAddress) -> None:
        self._address = address
        self._client: _Client | None = None
        self.after_fork()
        call_after_fork(self)
        self._loop: asyncio.AbstractEventLoop
        self._connecting: asyncio.Lock
        self._end: asyncio.Event

    def after_fork(self) -> None:
        """Drop thread and client: they belong to the parent process."""
        leave_to_parent(self._client)
        self._client, self._thread, self._guard = None, threading.Thread(), threading.Lock()

    def run(self, work: Callable[[Client], Coroutine[Any, Any, T]], seconds: float | None = LONGEST) -> T:
        """Run a task and return its result. Several threads may do so at the same time.

        Args:
            work: is called with a connected client.
            seconds: the time limit; None for no limit.

        Raises:
            Exception: any error of the task or the client; TimeoutError after the time limit.
        """
        with self._guard:
            if not self._thread.is_alive():
                self._start()
            # Submitted under the guard, so that a closing loop cancels it. Submitted later, it would wait forever.
            working = asyncio.run_coroutine_threadsafe(self._do(work, seconds), self._loop)
        return working.result()

    def close(self) -> None:
        """Close the connection and end the thread, within about a second. Tasks may be run again."""
        with self._guard:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._end.set)
                self._thread.join()

    def _start(self) -> None:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(started)), name="nats", daemon=True)
        self._thread.start()
        started.wait()

    async def _live(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._connecting, self._end = asyncio.Lock(), asyncio.Event()
        started.set()
        await self._end.wait()
        await self._disconnect()

    async def _do(self, work: Callable[[Client], Coroutine[Any, Any, T]], seconds: float | None) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await self._on_client(work)
        except (BadRequestError, NotFoundError):
            raise  # the connection is fine
        except TimeoutError as error:
            await self._disconnect()
            raise TimeoutError(f"{self._address} did not answer in time.") from error  # the original has no message
        except Exception:
            await self._disconnect()
            raise

    async def _on_client(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        client = await self._connected()
        working = asyncio.ensure_future(work(client))
        client.working.add(working)
        try:
            return await working
        except asyncio.CancelledError:
            if client.is_connected:
                raise  # the time limit
            raise ConnectionError(f"{self._address} ended the connection.") from None
        finally:
            client.working.discard(working)

    async def _connected(self) -> _Client:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self._disconnect()
                self._client = await self._new_client()
            return self._client

    async def _new_client(self) -> _Client:
        client = _Client(secret=self._address.is_secret)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await client.connect(
                    servers=list(self._address.servers),
                    user=self._address.user,
                    password=self._address.password,
                    token=self._address.token,
                    name="cookie-consent",
                    error_cb=_ignore_error,
                    disconnected_cb=client.on_disconnect,
                    allow_reconnect=False,
                    connect_timeout=_CONNECT_TIMEOUT_OF_SERVER,
                    max_reconnect_attempts=1,  # at most two attempts for each server
                    reconnect_time_wait=0,
                )
        except BaseException:
            await _ended(client)
            raise
        return client

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _ended(client)


class _Client(Client):
    """A client that cancels tasks when the connection is lost, and insists on TLS if it has to.

    nats-py would wait for replies that cannot come. It would also continue in plain text if a server, or an impostor,
    offers no TLS.

    Args:
        secret: whether TLS is required.

    Attributes:
        working: the running tasks.
    """

    def __init__(self, *, secret: bool) -> None:
        super().__init__()
        self._secret = secret
        self.working: set[asyncio.Future[Any]] = set()

    async def on_disconnect(self) -> None:
        """Cancel all running tasks."""
        for work in self.working:
            work.cancel()

    def _connect_command(self) -> bytes:
        if self._secret and not self._server_info.get("tls_required"):
            raise ConnectionError("The server does not ask for TLS. Set it up there, or write nats:// in the URL.")
        return super()._connect_command()


async def _ended(client: Client) -> None:
    with suppress(Exception):  # the client is discarded anyway
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await client.close()


async def _ignore_error(_: Exception) -> None:
    """Do nothing: errors are raised to the caller of the task."""
