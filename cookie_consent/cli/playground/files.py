"""The scripts and style sheets of the playground and of its site, as endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript"}


def file_endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that serves a file of this folder."""
    content = (files(__package__) / name).read_bytes()
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]

    async def serve(_: Request) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return serve
