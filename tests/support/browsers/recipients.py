"""Third parties on this machine that note who reaches them, and a site with a hostile page that tries to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from tests.support.browsers.visitor_browser import ROOT, Sites
from tests.support.servers.child_site import LOOPBACK, started

EVERY = ["script", "img", "connect", "frame", "font", "style", "media", "form"]
_TYPES = {"stylesheet": "text/css", "css-import": "text/css"}
_SCRIPTS = ("script", "module", "appended", "import", "modulepreload")


@dataclass
class Recipient:
    """A third party.

    Args:
        purpose: the purpose that it serves; "" if it is not declared.
        directives: where its origins belong in a Content-Security-Policy.

    Attributes:
        ways: the names of the ways by which requests have come.
        connections: how many connections were opened, also without a request.
        port: the port that it listens on.
    """

    purpose: str
    directives: list[str] = field(default_factory=lambda: list(EVERY))
    ways: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def origin(self) -> str:
        """Its origin. Another host name makes it another site to browsers."""
        return f"http://localhost:{self.port}"

    def declaration(self) -> dict[str, Any]:
        """Return its declaration for `hostile_site`."""
        return {
            "purpose": self.purpose,
            "origins": [self.origin, f"ws://localhost:{self.port}"],
            "directives": self.directives,
        }


class _Handler(BaseHTTPRequestHandler):
    """Notes each request, and answers with something that the way can use."""

    recipient: ClassVar[Recipient]

    def setup(self) -> None:
        super().setup()
        self.recipient.connections += 1

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/")
        self.recipient.ways.append(name)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("access-control-allow-origin", "*")
        self.send_header("content-type", "text/javascript" if name in _SCRIPTS else _TYPES.get(name, "text/html"))
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


@contextmanager
def hostile_site(folder: Path, recipients: Mapping[str, Recipient], **environ: Any) -> Iterator[Sites]:
    """Run the recipients and the site with the hostile page.

    Args:
        folder: a folder for the site's log.
        recipients: id -> recipient.
        environ: further variables of `hostile_site`, as data for JSON.
    """
    with ExitStack() as running:
        for recipient in recipients.values():
            running.enter_context(listening(recipient))
        declared = {id_: recipient.declaration() for id_, recipient in recipients.items()}
        values = {"HOSTILE_RECIPIENTS": declared, **environ}
        texts = {name: json.dumps(value) for name, value in values.items()}
        app = "tests.support.sites.hostile_site:app"
        site = running.enter_context(started(app, ROOT, folder / "site.log", (LOOPBACK, 0), texts))
        yield Sites(site.address, "", folder / "none")
