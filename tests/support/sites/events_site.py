"""A site whose pages send events, under a strict Content-Security-Policy."""

from __future__ import annotations

import os
import tomllib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from cookie_consent.integrations.jinja import consent_context
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Reading Room"
controller = "Reading Room Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Counting" }
description = { en = "We count visits." }
retention = "30 days"
traces = true

[purposes.ads]
title = { en = "Offers" }
description = { en = "We look which offers are liked." }

[services.members]
path = "/members"
policy_url = "/members/terms"

[services.members.purposes.analytics]
refused = true
"""
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
TRACK = '<script type="module" src="/privacy-choices/track.js"></script>'
OUTBOUND = TRACK.replace(">", " data-outbound>", 1)
VIEWS = TRACK.replace(">", " data-views>", 1)
CHOICES = '<script type="module" src="/privacy-choices/choices.js"></script>'
LINKS = (
    '<a id="next" href="/next">Next</a> <a id="report" href="/files/report.pdf?key=secret">Report</a>'
    '<a id="named" href="/files/%E5%B9%B4%E5%A0%B1" download><b id="inside">Yearbook</b></a>'
    '<a id="elsewhere" href="https://files.example/a.zip?key=secret">Archive</a><a id="blob" download>Made here</a>'
    '<a id="partner" href="https://partner.example/%E5%B9%B4?key=secret#part">Partner</a>'
    '<a id="broken" href="/missing">Moved</a> <a id="after" href="/after">After</a>'
)
HEADS = {
    "": TRACK,
    "next": TRACK,
    "views": VIEWS,
    "outbound": OUTBOUND,
    "before": TRACK + CHOICES,
    "after": CHOICES + TRACK,
    "plain": "",
}


def document(head: str, status: int = 200) -> HTMLResponse:
    """Return a page with links and this head."""
    html = f'<!doctype html><html lang="en"><head><title>Reading Room</title>{head}</head><body><h1>Read</h1>{LINKS}'
    return HTMLResponse(f"{html}</body></html>", status, headers={"content-security-policy": STRICT})


async def page(request: Request) -> HTMLResponse:
    """Show a page that loads the script as `HEADS` says."""
    return document(HEADS[request.path_params["name"]])


async def missing(request: Request) -> HTMLResponse:
    """Return an error page."""
    return document(TRACK, 404)


async def members(request: Request) -> HTMLResponse:
    """Show a page of the service that refuses tracing."""
    return document(VIEWS)


async def helper(request: Request) -> HTMLResponse:
    """Show a page whose template variable loads the script."""
    return document(consent_context(request)["privacy_tracking"])


async def file(request: Request) -> Response:
    """Return a file to download."""
    return Response(b"%PDF-", media_type="application/pdf", headers={"content-disposition": "attachment"})


class Watched:
    """Notes the user agent of every posted event, also of refused ones, and lists them at /told."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.told = app, list[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and scope["path"] == "/told":
            app = JSONResponse(self.told)
        elif scope["type"] == "http" and scope["path"].endswith("/events"):
            self.told.append(dict(scope["headers"])[b"user-agent"].decode())
        await app(scope, receive, send)


app = Starlette(
    routes=[
        Route("/members/room", members),
        Route("/helper", helper),
        Route("/missing", missing),
        Route("/files/{name}", file),
        Route("/{name:path}", page),
    ],
)
app.add_middleware(
    ConsentMiddleware,
    policy=policy_of(tomllib.loads(POLICY)),
    secret_keys=KEY,
    access_log=os.environ["EVENTS_ACCESS_LOG"],
    inject=not os.environ.get("EVENTS_ASK_BY_SCRIPT"),
)
app.add_middleware(Watched)
