"""Tests of docs/frameworks.md, and of the middleware where it cannot work in Quart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import quart

from cookie_consent import ConsentMiddleware
from tests.frameworks.examples import DAY, WhatEachPageSays, check_cookies
from tests.frameworks.newcomer import start_example
from tests.frameworks.page import page
from tests.support.asgi import drive, install
from tests.support.policies import KEY

PAGE = page("quart")


class TestQuart(WhatEachPageSays):
    page = PAGE


def app_with_session(*, permanent: bool) -> quart.Quart:
    app = quart.Quart(__name__)
    app.secret_key = KEY

    @app.get("/")
    async def home() -> str:
        quart.session["visits"], quart.session.permanent = 1, permanent
        await quart.flash("Welcome")
        return "Welcome"

    return app


@pytest.mark.anyio
async def test_session_passes_before_consent_and_lasts_as_declared(folder: Path) -> None:
    start_example(PAGE)
    app = ConsentMiddleware(app_with_session(permanent=False), folder / "consent.toml", KEY)
    await check_cookies(app_with_session(permanent=False), app, {"session": None})


@pytest.mark.anyio
async def test_permanent_session_lasts_as_the_page_says(folder: Path) -> None:
    (longer,) = re.findall(r'write `(duration = ".*?")`', PAGE.text)
    longer_session = PAGE.cookies.replace('duration = "session"', longer)
    policy_file = folder / "consent.toml"
    start_example(PAGE)
    policy_file.write_text(policy_file.read_text("utf-8").replace(PAGE.cookies, longer_session), "utf-8")
    app = ConsentMiddleware(app_with_session(permanent=True), policy_file, KEY)
    await check_cookies(app_with_session(permanent=True), app, {"session": 31 * DAY})


@pytest.mark.anyio
async def test_middleware_around_the_app_in_its_own_place_stops_the_start_as_the_page_says() -> None:
    app: Any = app_with_session(permanent=False)
    app.asgi_app = install(app)
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    (failed,) = await drive(app, scope, [{"type": "lifespan.startup"}])
    assert failed["type"] == "lifespan.startup.failed"
    assert "app.asgi_app = ConsentMiddleware(app.asgi_app, ...)" in failed["message"]
    assert failed["message"].startswith(re.findall(r"\*\*`(app: .*)`\*\* stops the start", PAGE.text)[0])
