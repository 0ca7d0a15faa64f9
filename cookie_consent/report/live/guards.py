"""Who may reach a server that has no login of its own: programs on the same machine, or who knows a password."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from binascii import Error
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SHORTEST_PASSWORD = 12
"""Nobody counts how often somebody guesses."""


def is_loopback(host: str) -> bool:
    """Tell whether an address, or "localhost", is that of the machine itself."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class OnlyByLoopback:
    """Answers requests that name the machine itself, and no other host.

    A page of another site can make its own name resolve to 127.0.0.1, and would then be of the same origin ("DNS
    rebinding"). What the browser writes into the Host field still is that name.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if is_loopback(_name(Headers(scope=scope).get("host", ""))):
            await self._app(scope, receive, send)
        else:
            refusal = PlainTextResponse("Open this page as http://localhost, with its port.\n", 421)
            await refusal(scope, receive, send)


class OnlyByPassword:
    """Answers requests that carry a password, with any user's name (HTTP Basic, RFC 7617).

    Args:
        app: what answers.
        password: in full.
    """

    def __init__(self, app: ASGIApp, password: str) -> None:
        self._app, self._password = app, _digest(password.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        given = _given_password(Headers(scope=scope).get("authorization", ""))
        if hmac.compare_digest(_digest(given), self._password):
            await self._app(scope, receive, send)
        else:
            asks = {"www-authenticate": 'Basic realm="Report", charset="UTF-8"', "cache-control": "no-store"}
            await PlainTextResponse("The password is needed; the user's name may be any.\n", 401, asks)(
                scope, receive, send
            )


def _name(host: str) -> str:
    """Return a Host field without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _digest(password: bytes) -> bytes:
    """Return what is compared in place of a password: always as long, whatever was guessed."""
    return hashlib.sha256(password).digest()


def _given_password(authorization: str) -> bytes:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except (Error, ValueError):
        return b""
