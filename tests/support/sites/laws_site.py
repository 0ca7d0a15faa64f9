"""A site that follows the law of the visitor's place, for uvicorn: tests.support.sites.laws_site:site."""

from __future__ import annotations

import tomllib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.endpoints.test_do_not_sell import SELLS
from tests.endpoints.test_laws import COUNTRY, with_laws
from tests.support.asgi import PAGE
from tests.support.policies import KEY, policy_of


async def _page(_: Request) -> Response:
    return HTMLResponse(PAGE)


def site() -> Starlette:
    """Return the app."""
    app = Starlette(routes=[Route("/made", _page), Route("/", _page)])
    policy = policy_of(tomllib.loads(with_laws(SELLS)))
    app.add_middleware(ConsentMiddleware, policy=policy, secret_keys=KEY, country=COUNTRY)
    return app
