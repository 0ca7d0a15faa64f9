"""Makes pytest's fixtures for visitors who have answered: `map_client = answering("client", {"media"})`.

They are functions to call, and no plugin: sites name their client as they like, and nothing is loaded into tests that
do not ask for it.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from cookie_consent.audit.answers import aanswer, answer, arefuse, refuse
from cookie_consent.base.messages import forget_warnings

__all__ = ["aanswering", "answering", "arefusing", "refusing", "warning_anew"]


def answering(client: str, purposes: Iterable[str] | None = None, *, service: str = "", prefix: str = "") -> Any:
    """Return a fixture: the client of a visitor who has granted these purposes, or everything.

    It is the same client as that of the other fixture. After the test, its cookies are as they were. What it visits is
    recorded where the app keeps its records; `cookie_consent.testing.answer` says how not to.

    Args:
        client: the name of the fixture with the client.
        purposes: see `cookie_consent.testing.answer`, as for the other arguments.
        service: the id of the service on whose page the answer is given.
        prefix: the path of the endpoints.
    """
    return _fixture(client, partial(answer, purposes=purposes, service=service, prefix=prefix))


def refusing(client: str, *, service: str = "", prefix: str = "") -> Any:
    """Return a fixture: the client of a visitor who has refused everything; see `answering`."""
    return _fixture(client, partial(refuse, service=service, prefix=prefix))


def aanswering(client: str, purposes: Iterable[str] | None = None, *, service: str = "", prefix: str = "") -> Any:
    """Return a fixture for an asynchronous client, run by the plugin of anyio or pytest-asyncio; see `answering`."""
    return _afixture(client, partial(aanswer, purposes=purposes, service=service, prefix=prefix))


def arefusing(client: str, *, service: str = "", prefix: str = "") -> Any:
    """Return a fixture for an asynchronous client of a visitor who has refused everything; see `aanswering`."""
    return _afixture(client, partial(arefuse, service=service, prefix=prefix))


def warning_anew() -> Any:
    """Return a fixture that has each test warned of what it does, such as a cookie that is held back.

    The middleware warns once in a process. Without this fixture, the first test gets the warning, and no other one.
    Pytest uses the fixture in each test of the module or folder that has it: in `conftest.py`, write
    `warns_each_test = warning_anew()`.
    """
    return pytest.fixture(autouse=True)(forget_warnings)


def _fixture(client: str, give: Callable[[Any], object]) -> Any:
    def fixture(**fixtures: Any) -> Iterator[Any]:
        own = fixtures[client]
        before = list(own.cookies.jar)
        give(own)
        yield own
        _restore(own, before)

    return pytest.fixture(_asking_for(client, fixture))


def _afixture(client: str, give: Callable[[Any], Awaitable[object]]) -> Any:
    async def fixture(**fixtures: Any) -> AsyncIterator[Any]:
        own = fixtures[client]
        before = list(own.cookies.jar)
        await give(own)
        yield own
        _restore(own, before)

    return pytest.fixture(_asking_for(client, fixture))


def _asking_for(name: str, function: Any) -> Any:
    """Let pytest pass the fixture of this name to a function: it reads its signature."""
    function.__signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)])
    return function


def _restore(client: Any, cookies: Iterable[Any]) -> None:
    """Let a client have these cookies only, because tests of a wider scope may use it, too."""
    jar = client.cookies.jar
    jar.clear()
    for cookie in cookies:
        jar.set_cookie(cookie)
