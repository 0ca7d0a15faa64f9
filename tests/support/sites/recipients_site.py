"""A site whose visitors choose each recipient of its advertising: two of them, and at /many sixty."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware
from cookie_consent.policy.policy import Policy
from tests.support.policies import KEY, chosen_policy

MANY = 60


async def page(request: Request) -> HTMLResponse:
    """Show a page."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><title>A page</title>'
        '<meta name="viewport" content="width=device-width"></head><body><main><h1>A page</h1></main></body></html>'
    )


def site(policy: Policy) -> Starlette:
    """Return the site under a policy."""
    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(ConsentMiddleware, policy=policy, secret_keys=KEY)
    return app


app = Starlette(
    routes=[
        Mount("/many", site(chosen_policy(*(f"recipient-{number}" for number in range(MANY))))),
        Mount("/", site(chosen_policy("adnet", "bidder"))),
    ]
)
