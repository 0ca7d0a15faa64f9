"""Tests of docs/frameworks.md, and of the middleware where it cannot work in Litestar."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import litestar
import pytest
from litestar import Litestar, MediaType, Request, get
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig

from cookie_consent import ConsentMiddleware
from tests.frameworks.examples import DAY, WhatEachPageSays, check_cookies
from tests.frameworks.newcomer import lifetimes, start_example
from tests.frameworks.page import page
from tests.frameworks.running import SAME_ORIGIN, running
from tests.support.asgi import install, policy
from tests.support.policies import KEY

OPTIONS: dict[str, Any] = {"policy": policy(), "secret_keys": KEY}
INSTALLED: Any = ConsentMiddleware


@get("/", media_type=MediaType.HTML)
async def home() -> str:
    return "<!doctype html><title>Home</title><body>Hello"


@pytest.mark.parametrize(
    "middleware",
    [
        DefineMiddleware(INSTALLED, **OPTIONS),
        partial(INSTALLED, **OPTIONS),
        lambda app: install(app),
    ],
    ids=["DefineMiddleware", "partial", "function"],
)
def test_middleware_behind_the_routing_stops_the_start_and_says_how_to_wrap(middleware: Any) -> None:
    with pytest.raises(ValueError, match=r"app = ConsentMiddleware\(Litestar\(\.\.\.\), policy="):
        Litestar([home], middleware=[middleware])


def test_middleware_of_one_handler_stops_the_start() -> None:
    handler = get("/other", middleware=[DefineMiddleware(INSTALLED, **OPTIONS)])(home.fn)
    with pytest.raises(ValueError, match="behind its routing"):
        Litestar([handler])


PAGE = page("litestar")


class TestLitestar(WhatEachPageSays):
    page = PAGE


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_cookies_of_the_example_pass_before_consent_and_last_as_declared() -> None:
    example = start_example(PAGE)
    await check_cookies(example.site, example.app, {"session": 14 * DAY, "csrftoken": None})


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_session_and_token_work_before_consent() -> None:
    async with running(start_example(PAGE).app) as visitor:
        assert "Visit 1." in (await visitor.get("/")).text
        assert "Visit 2." in (await visitor.get("/")).text
        token = {"x-csrftoken": visitor.cookies["csrftoken"]}
        assert (await visitor.post("/comment", headers=token)).json() == {"comment": "kept"}


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_long_session_in_cookies_passes_before_consent_and_lasts_as_declared() -> None:
    start_example(PAGE)

    @get("/", media_type=MediaType.HTML)
    async def long(request: Request[Any, Any, Any]) -> str:
        size = len(request.session.get("text", ""))
        request.set_session({"text": "x" * 4000})
        return str(size)

    session = CookieBackendConfig(secret=os.urandom(16)).middleware
    site = ConsentMiddleware(Litestar([long], middleware=[session]), "consent.toml", KEY)
    async with running(site) as visitor:
        first, second = await visitor.get("/"), await visitor.get("/")
    assert lifetimes(first) == {"session-0": 14 * DAY, "session-1": 14 * DAY}
    assert second.text.startswith("4000")


def test_cookie_of_tokens_lasts_as_declared() -> None:
    # Its module needs PyJWT, so this reads the defaults in its text.
    text = (Path(litestar.__file__).parent / "security" / "jwt" / "auth.py").read_text(encoding="utf-8")
    fields = text.partition("class JWTCookieAuth")[2].partition("\nclass ")[0]
    assert re.search(r'key: str = field\(default="token"\)', fields)
    assert re.search(
        r"default_token_expiration: timedelta = field\(default_factory=lambda: timedelta\(days=1\)\)", fields
    )
    assert 'name = "token"\npurpose = "necessary"\nduration = "1 day"' in PAGE.cookies


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_template_of_the_example_is_replaced_without_consent() -> None:
    async with running(start_example(PAGE).app) as visitor:
        off = await visitor.get("/film")
        await visitor.post("/privacy-choices", json={"choice": "accept_all"}, headers=SAME_ORIGIN)
        on = await visitor.get("/film")
    assert 'value="grant"' in off.text
    assert "<h1>The film</h1>" in on.text
