"""Tests of answers that a site's tests give, with each client and in each kind of installation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware, Policy, consent_of
from cookie_consent.audit.prefix import prefix_of
from cookie_consent.testing import aanswer, answer, arefuse, refuse
from tests.support.asgi import PREFIX, SITE, policy
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import KEY
from tests.support.servers.threads import served

BASE_URLS = ["http://testserver", "https://testserver", "https://site.example:8443"]


async def told(request: Request) -> Response:
    """Tell which purposes are allowed."""
    allowed = consent_of(request).purposes
    return PlainTextResponse(" ".join(sorted(purpose for purpose, allows in allowed.items() if allows)))


told_app = Starlette(routes=[Route("/", told)])


def starlette_site(policy_: str | Policy = SITE, **options: Any) -> Starlette:
    """Return a site as a developer makes it. It tells at / which purposes are allowed."""
    options["policy"] = policy(policy_) if isinstance(policy_, str) else policy_
    return Starlette(
        routes=[Route("/{path:path}", told)],
        middleware=[Middleware(GZipMiddleware), Middleware(ConsentMiddleware, secret_keys=[KEY], **options)],
    )


async def in_async_client(app: Any, base_url: str, work: Callable[[httpx.AsyncClient], Any]) -> str:
    """Let an asynchronous client answer, and return what the site then tells it."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as client:
        await work(client)
        return (await client.get("/")).text


# Clients.


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_test_client_is_a_visitor_who_answered(base_url: str) -> None:
    client = TestClient(starlette_site(), base_url=base_url)
    assert client.get("/").text == "necessary"
    state = answer(client, {"media"})
    assert (state["status"], state["purposes"]["media"], state["source"]) == ("partial", True, "api")
    assert client.get("/").text == "media necessary"
    answer(client)
    assert client.get("/").text == "analytics media necessary"
    refuse(client)
    assert client.get("/").text == "necessary"
    names = [cookie.name for cookie in client.cookies.jar]
    assert names == ["__Host-consent" if base_url.startswith("https") else "consent"]


@pytest.mark.parametrize("base_url", BASE_URLS)
def test_asynchronous_client_is_a_visitor_who_answered(base_url: str) -> None:
    def told_after(work: Callable[[httpx.AsyncClient], Any]) -> str:
        return asyncio.run(in_async_client(starlette_site(), base_url, work))

    assert told_after(aanswer) == "analytics media necessary"
    assert told_after(lambda client: aanswer(client, {"analytics"})) == "analytics necessary"
    assert told_after(arefuse) == "necessary"


@pytest.mark.server
def test_clients_of_a_live_server_answer() -> None:
    async def refused(address: str) -> str:
        async with httpx.AsyncClient(base_url=address) as client:
            await arefuse(client)
            return (await client.get("/")).text

    with served(starlette_site()) as port:
        address = f"http://127.0.0.1:{port}"
        for library in (httpx, httpx2):
            with library.Client(base_url=address) as client:
                answer(client, {"media"})
                assert client.get("/").text == "media necessary"
        with httpx.Client() as client:
            answer(client, prefix=f"{address}{PREFIX}/")
            assert client.get(f"{address}/").text == "analytics media necessary"
        assert asyncio.run(refused(address)) == "necessary"


# Installations.


def mounted(app: Any) -> Starlette:
    return Starlette(routes=[Route("/about", told), Mount("/shop", app)])


PREFIXES: dict[str, Callable[[], Any]] = {
    "/privacy-choices": starlette_site,
    "/my/choices": lambda: starlette_site(prefix="/my/choices"),
    "/of-an-app": lambda: ConsentMiddleware(told_app, policy(), KEY, prefix="/of-an-app"),
    "/inner": lambda: GZipMiddleware(ConsentMiddleware(told_app, policy(), KEY, prefix="/inner")),
    "/shop/choices": lambda: mounted(starlette_site(prefix="/choices")),
    "/outer": lambda: ConsentMiddleware(mounted(PlainTextResponse("ok")), policy(), KEY, prefix="/outer"),
}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefix_is_that_of_the_installation(prefix: str) -> None:
    client = TestClient(PREFIXES[prefix]())
    assert answer(client)["status"] == "granted"
    assert client.get(f"{prefix}/state").json()["status"] == "granted"
    assert asyncio.run(in_async_client(PREFIXES[prefix](), "http://testserver", aanswer))


def test_prefix_is_looked_for_once_in_an_app_that_names_itself() -> None:
    app = SimpleNamespace()
    app.app = app.asgi_app = app
    assert prefix_of(SimpleNamespace(app=app)) == PREFIX


def test_prefix_that_cannot_be_found_is_given() -> None:
    inner = starlette_site(prefix="/choices")

    class Opaque:
        def routes(self) -> None:
            """Be something else than in Starlette."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

    client = TestClient(Opaque())
    with pytest.raises(
        RuntimeError, match=r"POST /privacy-choices was answered with 405, and not by ConsentMiddleware"
    ):
        answer(client)
    assert answer(client, prefix="/choices")["status"] == "granted"
    assert refuse(client, prefix="/choices")["status"] == "refused"


def test_page_that_answers_any_post_is_not_taken_for_the_middleware() -> None:
    for response in (PlainTextResponse("hello"), Response('{"hello": 1}'), Response("[1]")):
        with pytest.raises(RuntimeError, match=r"answered with 200, and not by ConsentMiddleware.*The response: "):
            answer(TestClient(response))


def test_services_are_answered_for() -> None:
    client = TestClient(starlette_site())
    assert answer(client, service="whois")["purposes"]["analytics"] is False
    assert client.get("/").text == "media necessary"
    assert refuse(client, service="whois")["purposes"]["media"] is False


# Mistakes.


def test_unknown_purpose_names_the_known_ones() -> None:
    client = TestClient(starlette_site())
    with pytest.raises(LookupError, match=r'^there is no purpose "medai"\. Known: analytics, media, necessary$'):
        answer(client, {"medai"})
    assert client.get("/").text == "necessary"


def test_refusal_of_the_site_is_told_with_its_text() -> None:
    client = TestClient(starlette_site())
    with pytest.raises(RuntimeError, match=r"refused with 400: There is no service 'whoiss'. Did you mean \"whois\""):
        refuse(client, service="whoiss")


def test_ledger_that_is_down_is_told() -> None:
    with pytest.raises(RuntimeError, match=r"the answer was refused with 503: "):
        answer(TestClient(starlette_site(ledger=FaultyLedger(OSError("the disk is full")))))


def test_client_that_loses_the_cookie_is_told() -> None:
    client = TestClient(starlette_site())
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    with pytest.raises(RuntimeError, match=r"the client does not send back the cookie of the answer, '.*consent="):
        answer(client)


def test_kinds_of_clients_are_told_apart() -> None:
    with pytest.raises(TypeError, match="asynchronous: use `await aanswer"):
        answer(httpx.AsyncClient(transport=httpx.ASGITransport(starlette_site())))
    for work in (aanswer, arefuse):
        with pytest.raises(TypeError, match=r"not asynchronous: use `answer\(client\)`"):
            asyncio.run(work(TestClient(starlette_site())))


def test_string_of_purposes_is_refused() -> None:
    client = TestClient(starlette_site())
    with pytest.raises(TypeError, match=r'purposes are several: write \{"media"\} instead of "media"'):
        answer(client, "media")
