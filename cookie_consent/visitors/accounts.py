"""The functions with which an app keeps answers with its accounts, and how they are called."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from anyio import fail_after
from starlette.requests import HTTPConnection

from cookie_consent.base.checks import check
from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.base.process.workers import Workers

LONGEST = 2.0
"""Seconds that a page waits for a function of the app."""
_AT_A_TIME = 8
_log = logging.getLogger("cookie_consent")

User = Callable[[HTTPConnection], "str | Awaitable[str | None] | None"]
Load = Callable[[str], "Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None"]
Save = Callable[[str, dict[str, Any]], "object | Awaitable[object]"]


@dataclass(frozen=True, slots=True)
class AccountAnswers:
    """Where the app keeps its users' answers, for the middleware's option `accounts`.

    The functions may be asynchronous. Others run in threads of ours, so they may block.

    Args:
        user: takes a request and returns the id of the account that is signed in, or None. It is asked for each page
            that a visitor opens and for each answer, outside of all other middlewares: there is no `request.session`.
        load: takes the id of an account and returns the answer that `save` was given last, or None.
        save: takes the id of an account and an answer, plain data for JSON, and keeps it.
        time_limit: how long to wait for each function, in seconds.

    Raises:
        ValueError: an argument is not valid.
    """

    _: KW_ONLY
    user: User
    load: Load
    save: Save
    time_limit: float = LONGEST

    def __post_init__(self) -> None:
        for name in ("user", "load", "save"):
            function = getattr(self, name)
            check(f"accounts: {name}", function, is_valid=callable(function), remedy="Write a function.")
        limit = self.time_limit
        is_valid = isinstance(limit, int | float) and not isinstance(limit, bool) and 0 < limit < float("inf")
        check("accounts: time_limit", limit, is_valid=is_valid, remedy="Write a number of seconds.")


def accounts_of(given: AccountAnswers | None) -> Accounts | None:
    """Return what calls the app's functions; None without the option.

    Raises:
        ValueError: the option is something else.
    """
    remedy = "Write AccountAnswers(user=…, load=…, save=…)."
    check("accounts", given, is_valid=given is None or isinstance(given, AccountAnswers), remedy=remedy)
    return None if given is None else Accounts(given)


class Accounts:
    """Calls the app's functions. One that fails or takes too long is logged once, and breaks no page.

    Args:
        functions: the app's functions.
    """

    def __init__(self, functions: AccountAnswers) -> None:
        self._functions = functions
        self._workers = Workers(_AT_A_TIME, "accounts")
        self._logged: set[tuple[str, str]] = set()

    async def user(self, scope: Mapping[str, Any]) -> str | None:
        """Return the id of the account that is signed in, or None.

        Args:
            scope: the ASGI scope as the app sees it.
        """
        # A copy: Starlette adds `state` to the scope of a request whose state is read.
        user = await self._call("user", self._functions.user, HTTPConnection({**scope}))
        if user is None or (isinstance(user, str) and 0 < len(user) <= LONGEST_KEPT):
            return user
        self._log("user", ValueError(f"it has to return None or a text of 1 to {LONGEST_KEPT} characters"))
        return None

    async def load(self, user: str) -> object:
        """Return what the app keeps for an account. It may be of any shape."""
        return await self._call("load", self._functions.load, user)

    async def save(self, user: str, document: dict[str, Any]) -> None:
        """Have the app keep an answer for an account."""
        await self._call("save", self._functions.save, user, document)

    async def _call(self, name: str, function: Callable[..., Any], *arguments: object) -> Any:
        """Return the result of a function of the app; None if it fails."""
        try:
            with fail_after(self._functions.time_limit):
                if inspect.iscoroutinefunction(function):
                    return await function(*arguments)
                result = await self._workers.run(partial(function, *arguments))
                return await result if inspect.isawaitable(result) else result
        except Exception as error:  # noqa: BLE001 (no page depends on it)
            self._log(name, error)
            return None

    def _log(self, name: str, error: Exception) -> None:
        kind = (name, type(error).__name__)
        if kind not in self._logged:
            self._logged.add(kind)
            _log.error(
                "accounts: %s= failed, and further failures of this kind are not logged. %s: %s",
                name,
                kind[1],
                str(error) or f"no result within {self._functions.time_limit:g} seconds",
                exc_info=_log.isEnabledFor(logging.DEBUG) and error,
            )
