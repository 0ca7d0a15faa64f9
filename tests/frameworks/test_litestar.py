"""Tests of the middleware in Litestar: in its option "middleware", where it cannot work."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from litestar import Litestar, MediaType, get
from litestar.middleware import DefineMiddleware

from cookie_consent import ConsentMiddleware
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
