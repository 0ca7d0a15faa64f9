"""Access control for a server without a login: loopback only, or a password."""

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
"""Guesses are not counted or slowed down, so passwords have to be long."""


def is_loopback(host: str) -> bool:
    """Tell whether an address, or "localhost", is the machine itself."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class OnlyByLoopback:
    """Serves only requests whose Host field names the machine itself; refuses others with 421.

    Another site can make its own name resolve to 127.0.0.1, so that its pages get the same origin as this server ("DNS
    rebinding"). The browser still sends that name in the Host field.

    Args:
        app: the app to protect.
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
    """Serves only requests with the password, and any user name (HTTP Basic, RFC 7617); refuses others with 401.

    Args:
        app: the app to protect.
        password: the password as plain text.
    """

    def __init__(self, app: ASGIApp, password: str) -> None:
        self._app, self._password = app, _digest(password.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        given = _given_password(Headers(scope=scope).get("authorization", ""))
        if hmac.compare_digest(_digest(given), self._password):
            await self._app(scope, receive, send)
        else:
            challenge = {"www-authenticate": 'Basic realm="Report", charset="UTF-8"', "cache-control": "no-store"}
            await PlainTextResponse("The password is needed; the user's name may be any.\n", 401, challenge)(
                scope, receive, send
            )


def _name(host: str) -> str:
    """Return a Host field without its port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _digest(password: bytes) -> bytes:
    """Return a hash to compare. All hashes are of one length, so the comparison takes the same time for every guess."""
    return hashlib.sha256(password).digest()


def _given_password(authorization: str) -> bytes:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        # The user name may be empty, and a password may contain a colon (RFC 7617, section 2).
        return b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except (Error, ValueError):
        return b""
