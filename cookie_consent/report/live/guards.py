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


def require_loopback(app: ASGIApp) -> ASGIApp:
    """Return an app that serves only requests whose Host field names the machine itself, and refuses others with 421.

    Another site can make its own name resolve to 127.0.0.1, so that its pages get the same origin as this server ("DNS
    rebinding"). The browser still sends that name in the Host field.
    """
    refusal = PlainTextResponse("Open this page as http://localhost, with its port.\n", 421)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        is_allowed = is_loopback(_name(Headers(scope=scope).get("host", "")))
        await (app if is_allowed else refusal)(scope, receive, send)

    return guarded


def require_password(app: ASGIApp, password: str) -> ASGIApp:
    """Return an app that serves only requests with a password, and any user name (HTTP Basic, RFC 7617); else 401."""
    wanted = _digest(password.encode())
    challenge = {"www-authenticate": 'Basic realm="Report", charset="UTF-8"', "cache-control": "no-store"}
    refusal = PlainTextResponse("The password is needed; the user's name may be any.\n", 401, challenge)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        password_sent = _password_of(Headers(scope=scope).get("authorization", ""))
        is_allowed = hmac.compare_digest(_digest(password_sent), wanted)
        await (app if is_allowed else refusal)(scope, receive, send)

    return guarded


def _name(host: str) -> str:
    """Return a Host field without its port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _digest(password: bytes) -> bytes:
    """Return a hash to compare. All hashes are of one length, so the comparison takes the same time for every guess."""
    return hashlib.sha256(password).digest()


def _password_of(authorization: str) -> bytes:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        # The user name may be empty, and a password may contain a colon (RFC 7617, section 2).
        return b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except (Error, ValueError):
        return b""
