"""Tests of fixtures for visitors who have answered. The fixtures of this module are made as in a site's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware
from cookie_consent.testing.fixtures import aanswering, answering, arefusing, refusing, warning_anew
from tests.audit.test_answers import starlette_site
from tests.support.asgi import SITE, policy
from tests.support.policies import KEY


@pytest.fixture(scope="module")
def browser() -> Iterator[TestClient]:
    with TestClient(starlette_site()) as client:
        yield client


@pytest.fixture
async def remote() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(starlette_site(SITE, prefix="/choices"))
    async with httpx.AsyncClient(transport=transport, base_url="https://site.example") as client:
        yield client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


warns_each_test = warning_anew()
consenting = answering("browser")
viewer = answering("browser", {"media"})
refuser = refusing("browser", prefix="/privacy-choices")
remote_viewer = aanswering("remote", {"media"})
remote_refuser = arefusing("remote", prefix="/choices")


def test_fixture_is_the_client_of_a_visitor_who_granted_all(consenting: TestClient, browser: TestClient) -> None:
    assert consenting is browser
    assert consenting.get("/").text == "analytics media necessary"


def test_fixture_grants_some_purposes(viewer: TestClient) -> None:
    assert viewer.get("/").text == "media necessary"


def test_fixture_refuses_all(refuser: TestClient) -> None:
    assert refuser.get("/privacy-choices/state").json()["status"] == "refused"


@pytest.fixture
def names_around_the_answer(browser: TestClient) -> Iterator[list[set[str]]]:
    """The names of the client's cookies: before the answer, and once the test has ended.

    Fixtures end in the order opposite to the one in which a test names them.
    """
    browser.cookies.set("session", "1", domain="testserver.local")
    names = [names_of(browser)]
    yield names
    names.append(names_of(browser))
    browser.cookies.clear()
    assert names == [{"session"}] * 2


def names_of(client: TestClient) -> set[str]:
    return {cookie.name for cookie in client.cookies.jar}


def test_client_keeps_its_own_cookies_and_loses_those_of_the_answer_after_the_test(
    names_around_the_answer: list[set[str]], viewer: TestClient
) -> None:
    assert names_around_the_answer == [{"session"}]
    assert names_of(viewer) == {"session", "consent"}


@pytest.mark.anyio
async def test_fixture_of_asynchronous_client_grants(remote_viewer: httpx.AsyncClient) -> None:
    assert (await remote_viewer.get("/")).text == "media necessary"


@pytest.mark.anyio
async def test_fixture_of_asynchronous_client_refuses(remote_refuser: httpx.AsyncClient) -> None:
    assert (await remote_refuser.get("/choices/state")).json()["status"] == "refused"


async def page(request: Request) -> Response:
    response = HTMLResponse("<!doctype html><script src='https://cdn.example.net/tag.js'></script>")
    response.headers["etag"] = '"1"'
    response.set_cookie("undeclared", "1")
    response.set_cookie("session", "1", max_age=86400)
    return response


@pytest.fixture(scope="module")
def shop() -> TestClient:
    """The client of a site about which there is much to say. It is the same one in both tests."""
    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY])
    return TestClient(app)


@pytest.mark.parametrize("test", ["first", "second"])
def test_each_test_is_warned_of_what_it_does(test: str, shop: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        shop.get("/", headers={"cookie": "unknown=1; _ga=1", "accept": "text/html"})
    told = [
        *('The cookie "undeclared" was held back: no policy declares it.', 'The cookie "unknown" was held back from'),
        *('The cookie "session" is kept for the browser session', 'A browser sends the cookie "_ga"'),
        *("loads from cdn.example.net", "is private and, while it asks, has no ETag"),
    ]
    assert {text: caplog.text.count(text) for text in told} == dict.fromkeys(told, 1)
