"""Tests of fixtures for visitors who have answered. The fixtures of this module are made as in a site's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from cookie_consent.testing.fixtures import aanswering, answering, arefusing, refusing
from tests.support.asgi import SITE
from tests.testing.test_answers import starlette_site


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
