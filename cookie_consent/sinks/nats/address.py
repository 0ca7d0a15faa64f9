"""URLs of NATS servers and a stream."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from cookie_consent.base.paths import split_address

_STREAM = "ACCESS_RECORDS"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_REPLICAS = re.compile(r"[1-5]")
"""JetStream stores a message on at most five servers."""
_RIGHT = "Write it like nats://user:password@host:4222,host2:4222/STREAM?replicas=3, or tls:// in place of nats://."


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """A stream, its servers and the credentials.

    Args:
        servers: the URL of each server, without credentials.
        stream: the name of the stream.
        user: the user; None with a token or without credentials.
        password: the user's password.
        token: used in place of user and password.
        replicas: on how many servers to store each message if the stream is created; None for three of a cluster.
    """

    servers: tuple[str, ...]
    stream: str = _STREAM
    user: str | None = None
    password: str | None = None
    token: str | None = None
    replicas: int | None = None

    @classmethod
    def of(cls, url: str) -> NatsAddress:
        """Parse a URL.

        Raises:
            ValueError: the URL is invalid. The message shows a valid one and no password.
        """
        parts = split_address(url)  # `urlsplit` cannot parse a list of hosts
        credentials, _, hosts = parts.authority.rpartition("@")
        servers = tuple(f"{parts.scheme}://{host}" for host in hosts.split(","))
        stream = parts.path.strip("/") or _STREAM
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        replicas = options.pop("replicas", None)
        if parts.scheme not in ("nats", "tls") or "@" in credentials or not all(map(_is_server, servers)):
            raise ValueError(f"access_log: this is no URL of NATS servers. {_RIGHT}")
        if not _NAME.fullmatch(stream):
            raise ValueError(f'access_log: "{stream}" cannot be the name of a stream: letters, digits, "_", "-" can.')
        if options or (replicas is not None and not _REPLICAS.fullmatch(replicas)):
            raise ValueError(f"access_log: after the ? only replicas=1 to replicas=5 may come. {_RIGHT}")
        user, colon, password = (unquote(part) for part in credentials.partition(":"))
        arguments = {"user": user, "password": password} if colon else {"token": user or None}
        return cls(servers, stream, replicas=int(replicas) if replicas else None, **arguments)

    @property
    def is_secret(self) -> bool:
        """Whether TLS is required."""
        return self.servers[0].startswith("tls:")

    @property
    def records(self) -> str:
        """The subject of access records."""
        return f"{self.stream}.records"

    @property
    def counts(self) -> str:
        """The subject of counts."""
        return f"{self.stream}.counts"

    @property
    def erasures(self) -> str:
        """The subject of erasure messages."""
        return f"{self.stream}.erasures"

    def __str__(self) -> str:
        return f"{','.join(self.servers)}/{self.stream}"


def _is_server(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
