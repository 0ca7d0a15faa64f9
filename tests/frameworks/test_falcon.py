"""Tests of docs/frameworks/falcon.md, and of the middleware where it cannot work in Falcon."""

from __future__ import annotations

from typing import Any, cast

import falcon
import falcon.asgi
import pytest
from starlette.testclient import TestClient

from tests.frameworks.examples import DAY, check_compression, check_cookies, check_features, check_websocket
from tests.frameworks.newcomer import run_tests, start_example, take_first_steps
from tests.frameworks.page import page
from tests.support.asgi import install

PAGE = page("falcon")


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_first_steps_of_the_page_lead_to_a_record() -> None:
    await take_first_steps(PAGE)


@pytest.mark.usefixtures("folder")
def test_tests_of_the_page_pass() -> None:
    run_tests(PAGE)


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_features_of_the_example_follow_the_answer() -> None:
    await check_features(start_example(PAGE).app)


@pytest.mark.anyio
@pytest.mark.usefixtures("folder")
async def test_compressed_pages_of_the_example_have_what_they_need() -> None:
    await check_compression(start_example(PAGE).app)


@pytest.mark.usefixtures("folder")
def test_websocket_of_the_example_follows_the_answer() -> None:
    check_websocket(TestClient(start_example(PAGE).app))


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
