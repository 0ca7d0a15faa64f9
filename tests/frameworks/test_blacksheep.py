"""Tests of docs/frameworks.md, and of the middleware where it cannot work in BlackSheep."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, cast

import blacksheep
import pytest
from blacksheep.server.authentication.cookie import CookieAuthentication
from blacksheep.server.normalization import UnsupportedForwardRefInSignatureError
from essentials.secrets import Secret

from cookie_consent import ConsentMiddleware
from tests.frameworks.examples import DAY, WhatEachPageSays, check_cookies
from tests.frameworks.newcomer import lifetimes, start_example
from tests.frameworks.page import page
from tests.frameworks.running import running
from tests.support.asgi import install
from tests.support.policies import KEY

PAGE = page("blacksheep")


class TestBlackSheep(WhatEachPageSays):
    page = PAGE


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_session_and_token_of_the_example_pass_before_consent_and_last_as_declared() -> None:
    example = start_example(PAGE)
    await check_cookies(example.site, example.app, {"session": None})
    async with running(example.app) as visitor:
        form = await visitor.get("/comment")
        (token,) = re.findall('name="__RequestVerificationToken" value="(.*?)"', form.text)
        sent = await visitor.post("/comment", data={"__RequestVerificationToken": token})
    assert sent.text == "kept"
    assert lifetimes(form) == {"aftoken": None}


@pytest.mark.anyio
async def test_cookies_of_identities_pass_before_consent_and_last_as_declared(folder: Path) -> None:
    start_example(PAGE)
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

    app = ConsentMiddleware(site, folder / "consent.toml", KEY)
    for_the_session = dict.fromkeys(("identity", "openidconnect.at", "openidconnect.rt"))
    await check_cookies(site, app, {**for_the_session, "openidconnect": DAY})


def test_cookies_of_openid_connect_have_the_declared_names() -> None:
    # The module needs PyJWT, so this reads its text.
    text = (Path(blacksheep.__file__).parent / "server" / "authentication" / "oidc.py").read_text(encoding="utf-8")
    assert 'scheme_name = settings.scheme_name or "OpenIDConnect"' in text
    assert "cookie_name=scheme_name.lower()" in text
    assert set(re.findall(r'f"{self._scheme_name}[.](\w+)".lower[(][)]', text)) == {"at", "rt"}


@pytest.mark.anyio
async def test_middleware_among_those_of_blacksheep_stops_the_start_as_the_page_says() -> None:
    site = blacksheep.Application(router=blacksheep.Router())
    site.middlewares.append(cast(Any, install()))
    with pytest.raises(NameError, match="name 'ASGIApp' is not defined") as error:
        await cast(Any, site).start()
    assert str(error.value) in PAGE.text


@pytest.mark.anyio
async def test_class_of_the_middleware_among_those_of_blacksheep_stops_the_start_as_the_page_says() -> None:
    site = blacksheep.Application(router=blacksheep.Router())
    site.middlewares.append(cast(Any, ConsentMiddleware))
    with pytest.raises(UnsupportedForwardRefInSignatureError):
        await cast(Any, site).start()
    assert "UnsupportedForwardRefInSignatureError" in PAGE.text
