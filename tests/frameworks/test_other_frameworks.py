"""Tests of what docs/frameworks.md says of Litestar, Quart and BlackSheep alone."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import blacksheep
import pytest
import quart
from blacksheep.server.authentication.cookie import CookieAuthentication
from blacksheep.server.normalization import UnsupportedForwardRefInSignatureError
from essentials.secrets import Secret
from litestar import Litestar, MediaType, Request, get
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.client_side import CookieBackendConfig

from cookie_consent import ConsentMiddleware
from tests.frameworks.newcomer import lifetimes, running, start_example
from tests.frameworks.page import page
from tests.support.asgi import drive, install, policy
from tests.support.policies import KEY

DAY = 86_400
OPTIONS: dict[str, Any] = {"policy": policy(), "secret_keys": KEY}
INSTALLED: Any = ConsentMiddleware


# Litestar.


@get("/", media_type=MediaType.HTML)
async def show_home() -> str:
    return "<!doctype html><title>Home</title><body>Hello"


@pytest.mark.parametrize(
    "middleware",
    [DefineMiddleware(INSTALLED, **OPTIONS), partial(INSTALLED, **OPTIONS), lambda app: install(app)],
    ids=["DefineMiddleware", "partial", "function"],
)
def test_middleware_behind_the_routing_of_litestar_stops_the_start_and_says_how_to_wrap(middleware: Any) -> None:
    with pytest.raises(ValueError, match=r"app = ConsentMiddleware\(Litestar\(\.\.\.\), policy="):
        Litestar([show_home], middleware=[middleware])


def test_middleware_of_one_handler_of_litestar_stops_the_start() -> None:
    handler = get("/other", middleware=[DefineMiddleware(INSTALLED, **OPTIONS)])(show_home.fn)
    with pytest.raises(ValueError, match="behind its routing"):
        Litestar([handler])


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_token_of_litestar_works_before_consent() -> None:
    async with running(start_example(page("litestar")).app) as visitor:
        await visitor.get("/")
        token = {"x-csrftoken": visitor.cookies["csrftoken"]}
        assert (await visitor.post("/comment", headers=token)).json() == {"comment": "kept"}


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_long_session_of_litestar_passes_before_consent_and_lasts_as_declared() -> None:
    start_example(page("litestar"))

    @get("/", media_type=MediaType.HTML)
    async def show_long_session(request: Request[Any, Any, Any]) -> str:
        size = len(request.session.get("text", ""))
        request.set_session({"text": "x" * 4000})
        return str(size)

    session = CookieBackendConfig(secret=os.urandom(16)).middleware
    site = ConsentMiddleware(Litestar([show_long_session], middleware=[session]), "consent.toml", KEY)
    async with running(site) as visitor:
        first = await visitor.get("/")
        second = await visitor.get("/")
    assert lifetimes(first) == {"session-0": 14 * DAY, "session-1": 14 * DAY}
    assert second.text.startswith("4000")


# Quart.


@pytest.mark.anyio
@pytest.mark.parametrize(("is_permanent", "lasts"), [(False, None), (True, 31 * DAY)])
async def test_session_of_quart_passes_before_consent_and_lasts_as_the_page_says(
    is_permanent: bool, lasts: int | None, folder: Path
) -> None:
    app = quart.Quart(__name__)
    app.secret_key = KEY

    @app.get("/")
    async def show_home() -> str:
        quart.session["visits"] = 1
        quart.session.permanent = is_permanent
        await quart.flash("Welcome")
        return "Welcome"

    said = page("quart")
    start_example(said)
    file = folder / "consent.toml"
    (longer,) = re.findall(r'write `(duration = ".*?")`', said.text)
    if is_permanent:
        own = said.cookies.replace('duration = "session"', longer)
        file.write_text(file.read_text("utf-8").replace(said.cookies, own), "utf-8")
    for each in (app, ConsentMiddleware(cast(Any, app), file, KEY)):
        async with running(each) as visitor:
            assert lifetimes(await visitor.get("/")) == {"session": lasts}


@pytest.mark.anyio
async def test_middleware_around_the_app_of_quart_in_its_own_place_stops_the_start() -> None:
    app: Any = quart.Quart(__name__)
    app.asgi_app = install(app)
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    (failed,) = await drive(app, scope, [{"type": "lifespan.startup"}])
    assert failed["type"] == "lifespan.startup.failed"
    assert "app.asgi_app = ConsentMiddleware(app.asgi_app, ...)" in failed["message"]


# BlackSheep.


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_token_of_blacksheep_passes_before_consent_and_lasts_as_declared() -> None:
    async with running(start_example(page("blacksheep")).app) as visitor:
        form = await visitor.get("/comment")
        (token,) = re.findall('name="__RequestVerificationToken" value="(.*?)"', form.text)
        sent = await visitor.post("/comment", data={"__RequestVerificationToken": token})
    assert sent.text == "kept"
    assert lifetimes(form) == {"aftoken": None}


@pytest.mark.anyio
async def test_cookies_of_identities_of_blacksheep_pass_before_consent_and_last_as_declared(folder: Path) -> None:
    start_example(page("blacksheep"))
    site = blacksheep.Application(router=blacksheep.Router())
    secrets = [Secret.from_plain_text(KEY)]
    in_a_day = {"sub": "ann", "exp": time.time() + DAY}

    @site.router.get("/")
    async def sign_in(request: blacksheep.Request) -> blacksheep.Response:
        response = blacksheep.text("Welcome")
        CookieAuthentication(secret_keys=secrets).set_cookie({"sub": "ann"}, response)
        CookieAuthentication(cookie_name="openidconnect", secret_keys=secrets).set_cookie(in_a_day, response)
        for token in ("at", "rt"):
            response.set_cookie(blacksheep.Cookie(f"openidconnect.{token}", "token"))
        return response

    for_the_session = dict.fromkeys(("identity", "openidconnect.at", "openidconnect.rt"))
    for app in (site, ConsentMiddleware(site, folder / "consent.toml", KEY)):
        async with running(app) as visitor:
            assert lifetimes(await visitor.get("/")) == {**for_the_session, "openidconnect": DAY}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("middleware", "error"), [(install(), NameError), (ConsentMiddleware, UnsupportedForwardRefInSignatureError)]
)
async def test_middleware_among_those_of_blacksheep_stops_the_start(middleware: Any, error: type[Exception]) -> None:
    site = blacksheep.Application(router=blacksheep.Router())
    site.middlewares.append(middleware)
    with pytest.raises(error, match=r"ASGIApp|app"):
        await cast(Any, site).start()
