"""Tests of docs/frameworks.md: what it says of each framework, and of one alone where it differs.

Django, of which a process has one app, and what only the extra `full` installs have modules of their own.
"""

from __future__ import annotations

import textwrap
import tomllib
from typing import Any, cast

import falcon
import falcon.asgi
import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from cookie_consent import ConsentMiddleware, requires
from tests.frameworks.newcomer import SAME_ORIGIN, lifetimes, run_tests, running, start_example, take_first_steps
from tests.frameworks.page import COMMON, EXAMPLES, FALLBACK, PAGES, Page, page
from tests.support.asgi import install, policy
from tests.support.policies import KEY

DAY = 86_400
COOKIES: dict[str, dict[str, int | None]] = {
    "starlette": {"session": 14 * DAY},
    "fastapi": {"session": 14 * DAY},
    "falcon": {"visits": 14 * DAY},
    "litestar": {"session": 14 * DAY, "csrftoken": None},
    "quart": {"session": None},
    "blacksheep": {"session": None},
}
"""Framework -> the cookies that its example sets on the first page, and for how many seconds."""
GRANT = 'value="grant"'
PATHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "/suggestions": (('["for everybody"]',), ('["for you"]',)),
    "/tour": ((FALLBACK, GRANT), ("The film",)),
    "/offices": ((FALLBACK, GRANT), ("<iframe", "/privacy-choices?language=en")),
}
"""Path of each example -> what its page says before consent, and after it."""
BRANCHES = (("Ginza, Shibuya",), ("The map",))
FILM = ((GRANT,), ("The film",))
MORE_PATHS = {
    "starlette": {"/branches": BRANCHES, "/film": FILM},
    "fastapi": {"/branches": BRANCHES},
    "litestar": {"/film": FILM},
}
each_framework = pytest.mark.parametrize(
    "name",
    ["starlette", "fastapi", "falcon"]
    + [pytest.param(name, marks=pytest.mark.full_matrix) for name in ("litestar", "quart", "blacksheep")],
)
each_page = pytest.mark.parametrize("said", [COMMON, *PAGES], ids=lambda said: said.name)
in_a_folder = pytest.mark.usefixtures("folder")


# What the page says.


@each_page
def test_blocks_are_parts_of_an_example_that_runs(said: Page) -> None:
    assert {block.kind for block in said.blocks} <= {"console", "python", "toml", "html+jinja", "html+django"}
    example = said.example_text
    parts = [(part, textwrap.indent(part, "    ")) for part in said.excerpts]
    assert [part for part, indented in parts if part not in example and indented not in example] == []
    templates = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES.rglob("*.html"))
    lines = [line for block in said.blocks if block.kind.startswith("html+") for line in block.text.splitlines()]
    assert [line for line in lines if line.strip() not in templates] == []
    assert {cookie["purpose"] for cookie in tomllib.loads(said.cookies).get("cookies", [])} <= {"necessary"}


@each_framework
@pytest.mark.anyio
@pytest.mark.slow
@in_a_folder
async def test_first_steps_lead_to_a_record(name: str) -> None:
    await take_first_steps(page(name))


@each_framework
@in_a_folder
def test_tests_of_the_page_pass(name: str) -> None:
    run_tests(page(name))


# What each example does.


@each_framework
@pytest.mark.anyio
@in_a_folder
async def test_features_follow_the_answer(name: str) -> None:
    paths = PATHS | MORE_PATHS.get(name, {})
    async with running(start_example(page(name)).app) as visitor:
        off = {path: (await visitor.get(path)).text for path in paths}
        data = await visitor.get("/tour", headers={"accept": "application/json"})
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        on = {path: (await visitor.get(path)).text for path in paths}
    for path, (before, after) in paths.items():
        assert [part for part in before if part not in off[path]] == []
        assert [part for part in after if part not in on[path]] == []
    assert data.json()["missing"] == ["media"]


@each_framework
@pytest.mark.anyio
@in_a_folder
async def test_compressed_pages_ask_and_have_the_link_after_an_answer(name: str) -> None:
    async with running(start_example(page(name)).app) as visitor:
        asking = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
        await visitor.post("/privacy-choices", json={"choice": "refuse_all"}, headers=SAME_ORIGIN)
        answered = await visitor.get("/offices", headers={"accept-encoding": "gzip"})
    assert [reply.headers["content-encoding"] for reply in (asking, answered)] == ["gzip", "gzip"]
    assert "refuse_all" in asking.text
    assert 'class="pchoice-way-back"' in answered.text


@each_framework
@in_a_folder
def test_websocket_follows_the_answer(name: str) -> None:
    # Without its lifespan, in which Falcon would wait for ever.
    client = TestClient(start_example(page(name)).app)
    with client.websocket_connect("/live") as socket:
        assert socket.receive_json() == {"media": False}
    client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
    with client.websocket_connect("/live") as socket:
        assert socket.receive_json() == {"media": True}


@each_framework
@pytest.mark.anyio
@in_a_folder
async def test_cookies_of_the_framework_pass_before_consent_and_last_as_declared(name: str) -> None:
    example = start_example(page(name))
    async with running(example.app) as visitor:
        first = await visitor.get("/")
        second = await visitor.get("/")
    assert lifetimes(first) == COOKIES[name]
    assert "Visit 2." in second.text
    if hasattr(example, "site"):  # the same without the middleware
        async with running(example.site) as visitor:
            assert lifetimes(await visitor.get("/")) == COOKIES[name]


# FastAPI.


@pytest.mark.anyio
@in_a_folder
async def test_pages_about_the_api_are_left_out_and_set_no_cookies() -> None:
    async with running(start_example(page("fastapi")).app) as visitor:
        for path in ("/docs", "/docs/oauth2-redirect", "/redoc"):
            reply: httpx.Response = await visitor.get(path)
            assert reply.status_code == 200
            assert "privacy-choices" not in reply.text
            assert "set-cookie" not in reply.headers


@pytest.mark.anyio
async def test_policy_of_ours_forbids_the_third_parties_of_the_pages_about_the_api() -> None:
    async with running(ConsentMiddleware(FastAPI(), policy(), KEY, csp="enforce")) as visitor:
        for path in ("/docs", "/redoc"):
            reply = await visitor.get(path)
            assert "https://cdn.jsdelivr.net" in reply.text
            assert "cdn.jsdelivr.net" not in reply.headers["content-security-policy"]


@in_a_folder
def test_websocket_that_needs_consent_is_closed_without_it() -> None:
    with TestClient(start_example(page("fastapi")).app) as client:
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/live-tour"):
            """It is closed at once."""
        client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        with client.websocket_connect("/live-tour") as socket:
            assert socket.receive_text() == "The film"
    assert closed.value.code == 1008


# Falcon.


def test_middleware_in_the_option_of_falcon_stops_the_start() -> None:
    with pytest.raises(TypeError, match="must implement at least one middleware method"):
        falcon.asgi.App(middleware=cast(Any, [install()]))


def test_wsgi_app_of_falcon_stops_the_start_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"It is a WSGI app.*falcon\.asgi\.App\(\)"):
        install(cast(Any, falcon.App()))


@pytest.mark.anyio
async def test_fallback_responds_in_the_words_of_the_framework() -> None:
    class Map:
        async def on_get_list(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            resp.text = "a list"

        @requires("media", fallback=on_get_list)
        async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            resp.text = "the map"

    app = falcon.asgi.App()
    app.add_route("/", Map())
    async with running(ConsentMiddleware(app, policy(), KEY)) as client:
        assert (await client.get("/", headers={"accept": "text/plain"})).text == "a list"
        await client.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        assert (await client.get("/", headers={"accept": "text/plain"})).text == "the map"
