"""Finds the middleware in an app, and the path of the endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cookie_consent.middleware import ConsentMiddleware

DEFAULT = "/privacy-choices"
_INNER = ("middleware_stack", "app", "asgi_app")
"""Attributes with which middlewares and frameworks name the app that they wrap."""


def prefix_of(client: Any) -> str:
    """Return the path of the endpoints for a client that calls an app in the same process; else the default.

    Args:
        client: a `TestClient`, or a client of httpx with an `ASGITransport`.
    """
    return next(_prefixes(app_of(client)), DEFAULT)


def app_of(client: Any) -> Any:
    """Return the app that a client calls in the same process; None for another client."""
    return getattr(client, "app", None) or getattr(getattr(client, "_transport", None), "app", None)


def walk(app: Any, base: str, seen: list[Any]) -> Iterator[tuple[Any, str]]:
    """Yield an app and all that it wraps and mounts, each with the path that it is mounted at, the outermost first.

    Args:
        app: an app, or a middleware around one.
        base: the path that it is mounted at.
        seen: the apps that were looked into. An app may name itself, or one around it.
    """
    if app is None or any(app is one for one in seen):
        return
    seen.append(app)
    yield app, base
    for name in _INNER:
        yield from walk(getattr(app, name, None), base, seen)
    for route in listed(app, "routes"):
        yield from walk(getattr(route, "app", None), base + getattr(route, "path", ""), seen)


def _prefixes(app: Any) -> Iterator[str]:
    """Yield the prefixes of all installations in an app, the outermost first."""
    for one, base in walk(app, "", []):
        if isinstance(one, ConsentMiddleware):
            yield base + one.prefix
        for added in listed(one, "user_middleware"):
            if added.cls is ConsentMiddleware:
                yield base + added.kwargs.get("prefix", DEFAULT)


def listed(app: Any, name: str) -> list[Any]:
    """Return a list that Starlette's and FastAPI's apps have. In other frameworks, the name may be something else."""
    found = getattr(app, name, None)
    return found if isinstance(found, list) else []
