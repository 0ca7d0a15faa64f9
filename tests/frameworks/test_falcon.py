"""Tests of docs/frameworks.md, and of the middleware where it cannot work in Falcon."""

from __future__ import annotations

from typing import Any, cast

import falcon
import falcon.asgi
import pytest

from tests.frameworks.examples import DAY, WhatEachPageSays, check_cookies
from tests.frameworks.newcomer import start_example
from tests.frameworks.page import page
from tests.support.asgi import install

PAGE = page("falcon")


class TestFalcon(WhatEachPageSays):
    page = PAGE


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_cookie_of_the_example_passes_before_consent_and_lasts_as_declared() -> None:
    example = start_example(PAGE)
    await check_cookies(example.site, example.app, {"visits": 14 * DAY})


def test_middleware_in_the_option_of_falcon_stops_the_start_as_the_page_says() -> None:
    with pytest.raises(TypeError, match="must implement at least one middleware method"):
        falcon.asgi.App(middleware=cast(Any, [install()]))
    assert "must implement at least one middleware method" in PAGE.text


def test_wsgi_app_stops_the_start_as_the_page_says() -> None:
    with pytest.raises(ValueError, match="It is a WSGI app") as error:
        install(cast(Any, falcon.App()))
    assert "falcon.asgi.App()" in str(error.value)
    assert "`It is a WSGI app`" in PAGE.text
