"""Third parties on this machine that note who reaches them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from tests.support.servers.child_site import LOOPBACK


@dataclass
class Recipient:
    """A third party.

    Attributes:
        ways: the names of the ways by which requests have come.
        kinds: what the requests were for, as Sec-Purpose or Sec-Fetch-Dest says: "prefetch" or "image", for example.
        connections: how many connections were opened, also without a request.
        port: the port that it listens on.
    """

    ways: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    connections: int = 0
    port: int = 0

    @property
    def origin(self) -> str:
        """Its origin. Another host name makes it another site to browsers."""
        return f"http://localhost:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    """Notes each request."""

    recipient: ClassVar[Recipient]

    def setup(self) -> None:
        super().setup()
        self.recipient.connections += 1

    def do_GET(self) -> None:
        self.recipient.ways.append(self.path.partition("?")[0].strip("/"))
        self.recipient.kinds.add(self.headers.get("sec-purpose", self.headers.get("sec-fetch-dest", "")))
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("access-control-allow-origin", "*")
        self.send_header("content-type", "text/html")
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_GET  # noqa: N815 (http.server finds them by these names)

    def log_message(self, *said: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # a page opens many connections at once


@contextmanager
def listening(recipient: Recipient) -> Iterator[None]:
    """Run a recipient. Its port also takes datagrams, as a STUN server does; they count as the way "webrtc"."""
    handler = type("_Handler", (_Handler,), {"recipient": recipient})
    with _Server((LOOPBACK, 0), handler) as server, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        recipient.port = server.server_port
        datagrams.bind((LOOPBACK, recipient.port))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=_note_datagrams, args=(datagrams, recipient), daemon=True).start()
        yield
        datagrams.sendto(b"", (LOOPBACK, recipient.port))
        server.shutdown()


def _note_datagrams(datagrams: socket.socket, recipient: Recipient) -> None:
    while datagrams.recvfrom(2048)[0]:
        recipient.ways.append("webrtc")
