"""A site whose pages shared caches may keep: python -m uvicorn --factory tests.support.sites.shared_site:site."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.support.asgi import policy
from tests.support.policies import KEY

STRICT = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'"
_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title></head><body><main><h1>A page</h1>'
    '<template data-purpose="media"><p id="map">The map</p></template>'
    '<template data-purpose="analytics media"><p id="both">Both</p></template></main></body></html>'
)


async def _page(request: Request) -> Response:
    """Respond with a page that is public, and count it."""
    request.app.state.made += 1
    strict = {"content-security-policy": STRICT} if "strict" in request.path_params["name"] else {}
    return HTMLResponse(_PAGE, headers={"cache-control": "public, max-age=600", **strict})


async def _mine(request: Request) -> Response:
    """Respond with what this visitor allows, and with a cookie of the visitor's own."""
    response = JSONResponse({"status": request.state.consent.status, "media": request.state.consent.allows("media")})
    response.set_cookie("session", request.query_params["visitor"])
    return response


async def _made(request: Request) -> Response:
    return JSONResponse(request.app.state.made, headers={"cache-control": "no-store"})


def site() -> Starlette:
    """Return the app."""
    app = Starlette(routes=[Route("/pages/{name}", _page), Route("/mine", _mine), Route("/made", _made)])
    app.state.made = 0
    app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=KEY, shared_pages=True)
    return app
