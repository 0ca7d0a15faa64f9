"""Watches, inside the middleware, which cookies the code of an app sets, and in which line."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookies import BaseCookie
from pathlib import Path
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.audit.prefix import listed, walk
from cookie_consent.middleware import ConsentMiddleware

_FRAMEWORKS = frozenset(
    ("http", "starlette", "fastapi", "django", "flask", "werkzeug", "quart", "litestar", "anyio", "asyncio")
)
"""Packages whose lines set cookies for an app."""


class Wanted(NamedTuple):
    """A Set-Cookie field of the app, before the middleware decides on it.

    Args:
        field: its value.
        source: the file and the line of the code that set it, or of the endpoint.
    """

    field: str
    source: str


class _Watched:
    """An app between the middleware and the site's own app, which notes Set-Cookie fields."""

    def __init__(self, app: ASGIApp, lines: Mapping[str, str], wanted: list[Wanted]) -> None:
        self.app = app
        self._lines = lines
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in message.get("headers", ()):
                    if bytes(name).lower() == b"set-cookie":
                        field = bytes(value).decode("latin-1")
                        source = self._lines.get(field.partition("=")[0].strip()) or line_of(scope.get("endpoint"))
                        self._wanted.append(Wanted(field, source or f"the response to {scope['path']}"))
            await send(message)

        await self.app(scope, receive, note)


@contextmanager
def watch_app(app: Any) -> Iterator[list[Wanted]]:
    """Yield a list that gets the cookies that an app sets, until the block ends. Take them out after each request.

    Args:
        app: the app, after its start: frameworks make their middlewares then.
    """
    wanted: list[Wanted] = []
    lines: dict[str, str] = {}
    set_item = BaseCookie.__setitem__

    def note_line(self: Any, key: str, value: Any) -> None:
        lines[key] = _caller()
        set_item(self, key, value)

    installed = [one for one, _ in walk(app, "", []) if isinstance(one, ConsentMiddleware)]
    for middleware in installed:
        middleware.app = _Watched(middleware.app, lines, wanted)
    BaseCookie.__setitem__ = note_line  # type: ignore[method-assign]
    try:
        yield wanted
    finally:
        BaseCookie.__setitem__ = set_item  # type: ignore[method-assign]
        for middleware in installed:
            if isinstance(middleware.app, _Watched):
                middleware.app = middleware.app.app


def list_paths(app: Any) -> Iterator[str]:
    """Yield the paths without parameters that an app answers to GET, by its tables of routes."""
    for one, base in walk(app, "", []):
        for route in listed(one, "routes"):
            path = base + getattr(route, "path", "")
            if "GET" in (getattr(route, "methods", None) or ()) and "{" not in path:
                yield path


def line_of(endpoint: Any) -> str:
    """Return the file and the line where an endpoint is defined; "" if they are not known."""
    code = getattr(inspect.unwrap(endpoint), "__code__", None) if callable(endpoint) else None
    return f"{_short(code.co_filename)}:{code.co_firstlineno}" if code else ""


def _caller() -> str:
    frame = sys._getframe(2)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _FRAMEWORKS:
        frame = frame.f_back
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


def _short(file: str) -> str:
    """Return a file's path from the current folder, if it is inside."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def load_app(target: str) -> Any:
    """Return the app that `module:app` names.

    Raises:
        ValueError: there is none. The message says what is missing.
    """
    module, _, name = target.partition(":")
    if not module or not name:
        raise ValueError(f"{target!r} is no app: write module:app, as for uvicorn, or the address of a site.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        app = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not error.name or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise ValueError(f"{target!r}: there is no module {error.name!r} here.") from None
    for part in name.split("."):
        if not hasattr(app, part):
            raise ValueError(f"{target!r}: the module has no {name!r}.")
        app = getattr(app, part)
    if isinstance(app, type) or not callable(app):
        raise ValueError(f"{target!r} is no app, but a {type(app).__name__}.")
    return app
