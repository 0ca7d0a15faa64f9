"""A connection to NATS servers for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.js.errors import BadRequestError, NotFoundError

from cookie_consent.base.process.forking import call_after_fork, leave_to_parent
from cookie_consent.sinks.nats.address import Place

_CONNECT = 3.0
_EACH = 2
"""How long one server may take to greet (seconds); there may be others."""
_END = 1.0
LONGEST = 10.0
"""How long a work may take unless it says otherwise (seconds)."""

T = TypeVar("T")


class Connection:
    """Does works that need a client of NATS, on an event loop of its own: never on the app's.

    The loop has a thread, since a client has to answer its server also between two works. Thread and connection come
    with the first work, in the process that asks for it, also after a fork. The client never reconnects by itself:
    what was under way has failed then, and the next work connects anew, to any of the servers.

    Args:
        place: says which servers, and who asks.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: _Client | None = None
        self.after_fork()
        call_after_fork(self)
        self._loop: asyncio.AbstractEventLoop
        self._connecting: asyncio.Lock
        self._end: asyncio.Event

    def after_fork(self) -> None:
        """Have no thread, and so no client: that of the parent is the parent's."""
        leave_to_parent(self._client)
        self._client, self._thread, self._guard = None, threading.Thread(), threading.Lock()

    def run(self, work: Callable[[Client], Coroutine[Any, Any, T]], seconds: float | None = LONGEST) -> T:
        """Do a work and return what it returns. Several threads may have one done at the same time.

        Args:
            work: is given a client that is connected.
            seconds: how long it may take; None for as long as it goes on.

        Raises:
            Exception: what the work or the client raises; a TimeoutError where it took too long.
        """
        with self._guard:
            if not self._thread.is_alive():
                self._start()
            # With the guard: a loop that ends has it among its tasks, and cancels it. It would wait for ever otherwise.
            working = asyncio.run_coroutine_threadsafe(self._do(work, seconds), self._loop)
        return working.result()

    def close(self) -> None:
        """End the connection and the thread, within a second or so. There may be works again."""
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
            raise  # the servers are well
        except TimeoutError as error:
            await self._disconnect()
            raise TimeoutError(f"{self._place} did not answer in time.") from error  # it says nothing of its own
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
                raise  # it took too long
            raise ConnectionError(f"{self._place} ended the connection.") from None
        finally:
            client.working.discard(working)

    async def _connected(self) -> _Client:
        async with self._connecting:
            if self._client is None or not self._client.is_connected:
                await self._disconnect()
                self._client = await self._new_client()
            return self._client

    async def _new_client(self) -> _Client:
        client = _Client(secret=self._place.is_secret)
        try:
            async with asyncio.timeout(_CONNECT):
                await client.connect(
                    servers=list(self._place.servers),
                    user=self._place.user,
                    password=self._place.password,
                    token=self._place.token,
                    name="cookie-consent",
                    error_cb=_say_nothing,
                    disconnected_cb=client.let_go,
                    allow_reconnect=False,
                    connect_timeout=_EACH,
                    max_reconnect_attempts=1,  # each server is tried twice at most
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
    """Lets go of works at once when the connection ends, and tells a server nothing without TLS if it must not.

    nats-py waits for answers that cannot come, and goes on in plain text where a server, or who poses as it, has no
    TLS.

    Args:
        secret: whether only TLS will do.

    Attributes:
        working: the works that need this connection.
    """

    def __init__(self, *, secret: bool) -> None:
        super().__init__()
        self._secret = secret
        self.working: set[asyncio.Future[Any]] = set()

    async def let_go(self) -> None:
        """End all works."""
        for work in self.working:
            work.cancel()

    def _connect_command(self) -> bytes:
        if self._secret and not self._server_info.get("tls_required"):
            raise ConnectionError("The server does not ask for TLS. Set it up there, or write nats:// in the URL.")
        return super()._connect_command()


async def _ended(client: Client) -> None:
    with suppress(Exception):  # it is dropped, whatever it says of that
        async with asyncio.timeout(_END):
            await client.close()


async def _say_nothing(_: Exception) -> None:
    """Whoever asked for a work is told by what it raises."""
