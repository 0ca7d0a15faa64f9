"""Finds at the start what the routes of a Starlette or FastAPI app require, and checks that the policy has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from starlette.routing import Host, Mount

from cookie_consent.base.startup import FailsAtStart
from cookie_consent.http.requires import REQUIRED, Requires
from cookie_consent.policy.policy import Policy

_LEAD_ON = (
    *("app", "routes", "endpoint", REQUIRED),  # of Starlette
    *("dependant", "dependencies", "call", "dependency", "original_router", "include_context"),  # of FastAPI
)
"""The attributes that lead from an app to what its routes require."""
_MOST_PARTS = 50_000
"""An app that makes up attributes has no end."""


def check_required(app: Any, policy: Policy) -> None:
    """Check what the routes of an app require. Of an app of another kind nothing is known, and nothing is checked.

    Args:
        app: the ASGI app.
        policy: its policy. An app inside it that has a middleware of its own has its own policy, too.

    Raises:
        ValueError: the policy lacks a purpose or a feature. The message names those that it has.
    """
    waiting, seen = [app], dict[int, Any]()
    while waiting and len(seen) < _MOST_PARTS:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, Requires):
            _check(part, policy)
            continue
        with suppress(Exception):  # an app of another kind may raise anything
            waiting.extend(_parts(part))


def _parts(part: Any) -> Iterator[Any]:
    """Yield what leads on from a part of an app."""
    if isinstance(part, list):
        yield from part
    elif isinstance(part, Mount | Host):
        yield part.app  # its routes are those inside that app, which may have a policy of its own
    elif not _has_own_policy(part):
        for name in _LEAD_ON:
            yield getattr(part, name, None)


def _check(required: Requires, policy: Policy) -> None:
    try:
        required.check(policy)
    except LookupError as error:
        raise ValueError(f"requires(): {error}") from None


def _has_own_policy(part: Any) -> bool:
    if isinstance(part, FailsAtStart):
        return True
    middleware = getattr(part, "user_middleware", None)
    classes = [getattr(one, "cls", None) for one in middleware] if isinstance(middleware, list) else []
    return any(isinstance(one, type) and issubclass(one, FailsAtStart) for one in classes)
