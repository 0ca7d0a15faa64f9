"""Tests of the check of what the middleware wraps."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.base.startup import check_app


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    pass


class WithoutSignature:
    """An app whose parameters Python cannot tell."""

    __signature__ = "none"

    async def __call__(self, *message: Any) -> None:
        pass


@pytest.mark.parametrize("app", [asgi_app, WithoutSignature()])
def test_asgi_app_is_taken(app: Any) -> None:
    check_app(app)


@pytest.mark.parametrize(("app", "remedy"), [(wsgi_app, "It is a WSGI app"), ("app", "It is the ASGI app")])
def test_other_app_is_refused_with_a_remedy(app: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        check_app(app)


def test_app_that_litestar_wraps_for_a_route_is_refused_with_a_remedy() -> None:
    def build_route_middleware_stack() -> None:  # as Litestar's function is called
        check_app(asgi_app)

    with pytest.raises(ValueError, match="Wrap the app instead"):
        build_route_middleware_stack()
