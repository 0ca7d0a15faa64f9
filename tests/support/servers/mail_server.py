"""A small mail server (RFC 5321) that keeps the mails it receives."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from tests.support.servers.processes import program_path

HOST = "localhost"


@dataclass
class MailServer:
    """A mail server, and what it received.

    Args:
        tls: its certificate and key; None if it cannot encrypt.
        from_the_start: whether connections are encrypted from the start.
        refuses: the command that it refuses, like "RCPT"; "" for none.
        silent: whether it never responds.
    """

    tls: ssl.SSLContext | None = None
    from_the_start: bool = False
    refuses: str = ""
    silent: bool = False
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MailServer]:
        """Listen on a free port."""
        secure = self.tls if self.from_the_start else None
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=secure)
        self.port = server.sockets[0].getsockname()[1]
        self._end = asyncio.Event()
        self._served: set[asyncio.Task[None]] = set()
        yield self
        self._end.set()
        server.close()
        await asyncio.sleep(0)  # for a connection that was accepted just now
        await asyncio.gather(*self._served)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Start a task for a client. `running` waits for it, also if it has not run yet."""
        self._served.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.silent:
                await self._end.wait()
            else:
                await _Conversation(self, reader, writer).run()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.close()


class _Conversation:
    """The conversation with one client."""

    def __init__(self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._encrypted = server.from_the_start

    async def run(self) -> None:
        await self._say("220 ready")
        answers = {"EHLO": self._hello, "STARTTLS": self._encrypt, "AUTH": self._log_in, "DATA": self._take}
        while line := (await self._reader.readline()).decode().strip():
            command = line.partition(" ")[0].upper()
            self._server.commands.append(command)
            if command == self._server.refuses:
                await self._say("550 not here")
            elif command in answers:
                await answers[command](line)
            else:
                await self._say("221 bye" if command == "QUIT" else "250 well")

    async def _say(self, *lines: str) -> None:
        for number, line in enumerate(lines, 1):
            self._writer.write(f"{line[:3]}{' ' if number == len(lines) else '-'}{line[4:]}\r\n".encode())
        await self._writer.drain()

    async def _hello(self, line: str) -> None:
        offers = [] if self._server.tls is None or self._encrypted else ["250 STARTTLS"]
        await self._say("250 hello", *offers, "250 SMTPUTF8", "250 8BITMIME", "250 AUTH PLAIN")

    async def _encrypt(self, line: str) -> None:
        await self._say("220 go on")
        assert self._server.tls is not None
        await self._writer.start_tls(self._server.tls)
        self._encrypted = True

    async def _log_in(self, line: str) -> None:
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        self._server.logins.append((user, password))
        await self._say("235 welcome")

    async def _take(self, line: str) -> None:
        await self._say("354 go on")
        data = await self._reader.readuntil(b"\r\n.\r\n")
        mail = message_from_bytes(data[:-3].replace(b"\r\n..", b"\r\n."), policy=default)
        self._server.mails.append(mail)
        self._server.encrypted.append(self._encrypted)
        await self._say("250 kept")


def make_certificate(folder: Path) -> Path:
    """Make a self-signed certificate for this machine, with its key in the same file."""
    path = folder / "localhost.pem"
    subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = [program_path("openssl", "openssl"), "req", *kind, *subject, "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text("ascii") + Path(f"{path}.crt").read_text("ascii"), "ascii")
    return path


def tls_context(path: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
