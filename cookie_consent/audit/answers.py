"""Answers the question with a test client, as a visitor does: `answer(client, {"media"})`."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol

from cookie_consent.audit.prefix import prefix_of

# Browsers say so themselves when a page of the site sends a request. Without it, a POST is refused.
_HEADERS = {"sec-fetch-site": "same-origin", "accept": "application/json"}
_LONGEST_SHOWN = 500
"""Characters of a response that a message shows."""


class Client(Protocol):
    """A client that keeps cookies, such as Starlette's `TestClient`, `httpx.Client` and `httpx.AsyncClient`."""

    @property
    def request(self) -> Any:
        """The method that sends a request: `request(method, url, *, headers, json)`."""
        ...


def answer(
    client: Client, purposes: Iterable[str] | None = None, *, service: str = "", prefix: str = ""
) -> dict[str, Any]:
    """Answer as a visitor who grants these purposes and refuses all others. By default, everything is granted.

    The answer is posted to the site, as the script of the question does. The client then has the cookies that a browser
    has after it.

    The answer, and what the client visits then, is recorded where the app keeps its records. Let tests run without:
    take the places from the environment, as in `access_log=os.environ.get("ACCESS_LOG")`, or give the app of the tests
    a `MemorySink()` and a `MemoryLedger()`.

    Args:
        client: the client.
        purposes: ids of the granted purposes; None for all of them.
        service: the id of the service on whose page the answer is given; "" for none.
        prefix: the path of the endpoints, or their address. By default it is found in the app, if the client calls one
            in this process, and is "/privacy-choices" otherwise.

    Returns:
        The state after the answer, as `GET /privacy-choices/state` tells it.

    Raises:
        LookupError: the policy has no such purpose. The message names the known ones.
        RuntimeError: the site refused the answer, or the client does not keep its cookie. The message says why.
        TypeError: the client is asynchronous, or the purposes are a string.
    """
    return _run(_give(client, _body(purposes, service), prefix))


def refuse(client: Client, *, service: str = "", prefix: str = "") -> dict[str, Any]:
    """Answer as a visitor who refuses everything; see `answer`."""
    return _run(_give(client, {"choice": "refuse_all", "service": service}, prefix))


async def aanswer(
    client: Client, purposes: Iterable[str] | None = None, *, service: str = "", prefix: str = ""
) -> dict[str, Any]:
    """Answer with an asynchronous client, such as `httpx.AsyncClient`; see `answer`."""
    return await _give(client, _body(purposes, service), prefix, is_async=True)


async def arefuse(client: Client, *, service: str = "", prefix: str = "") -> dict[str, Any]:
    """Refuse everything with an asynchronous client, such as `httpx.AsyncClient`; see `answer`."""
    return await _give(client, {"choice": "refuse_all", "service": service}, prefix, is_async=True)


def _body(purposes: Iterable[str] | None, service: str) -> dict[str, Any]:
    if isinstance(purposes, str):
        raise TypeError(f'purposes are several: write {{"{purposes}"}} instead of "{purposes}"')
    if purposes is None:
        return {"choice": "accept_all", "service": service}
    return {"choice": "save", "purposes": dict.fromkeys(purposes, True), "service": service}


async def _give(client: Client, body: Mapping[str, Any], prefix: str, *, is_async: bool = False) -> dict[str, Any]:
    """Post an answer, and return the state after it."""
    if inspect.iscoroutinefunction(client.request) != is_async:
        wrong, right = ("not asynchronous", "") if is_async else ("asynchronous", "await a")
        raise TypeError(f"the client is {wrong}: use `{right}answer(client)` or `{right}refuse(client)`")

    async def send(method: str, url: str, **options: Any) -> Any:
        response = client.request(method, url, headers=_HEADERS, **options)
        return await response if is_async else response

    prefix = (prefix or prefix_of(client)).rstrip("/")
    posted = await send("POST", prefix, json=body)
    told = _state_in(posted)
    after = None
    if told is not None or posted.status_code == 400:
        after = _state_in(await send("GET", f"{prefix}/state"))
    if told is None:
        raise _refused(posted, prefix, body, after or {})
    if after is None or any(after[key] != told[key] for key in ("status", "decided_at")):
        raise RuntimeError(
            f"the client does not send back the cookie of the answer, {posted.headers.get('set-cookie')!r}. Its base "
            "URL has to be one of the site's hosts, and the client has to keep cookies."
        )
    return told


def _run(giving: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run a coroutine that waits for nothing, also where an event loop runs."""
    while True:
        try:
            giving.send(None)
        except StopIteration as end:
            state: dict[str, Any] = end.value
            return state


def _state_in(response: Any) -> dict[str, Any] | None:
    """Return the state that a response tells, or None if it tells none."""
    if response.status_code != 200:
        return None
    try:
        state = response.json()
    except ValueError:
        return None
    return state if isinstance(state, dict) and "decided_at" in state else None


def _refused(posted: Any, prefix: str, body: Mapping[str, Any], state: Mapping[str, Any]) -> Exception:
    """Return the exception for an answer that was not taken."""
    known = state.get("purposes", {})
    unknown = [name for name in body.get("purposes", ()) if name not in known]
    if unknown and known:
        return LookupError(f'there is no purpose "{unknown[0]}". Known: {", ".join(sorted(known))}')
    if not posted.headers.get("content-type", "").startswith("application/problem+json"):
        return RuntimeError(
            f"POST {prefix} was answered with {posted.status_code}, and not by ConsentMiddleware. If its prefix is "
            f'another one, name it: answer(client, prefix="…"). The response: {posted.text[:_LONGEST_SHOWN]}'
        )
    return RuntimeError(f"the answer was refused with {posted.status_code}: {posted.json()['detail']}")
