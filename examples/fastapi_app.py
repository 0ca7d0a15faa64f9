"""A FastAPI app with consent, on one screen.

uvicorn --app-dir examples fastapi_app:app
"""

import os
import secrets
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import DictLoader, Environment

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.integrations.jinja import consent_context

PAGE = """<!doctype html>
<html lang="en">
<title>Village Museum</title>
<h1>How to find us</h1>
{% if consent.feature("map").available %}
<iframe src="https://maps.example.com/museum" title="Map"></iframe>
{% else %}
{{ consent_fallback("map") }}
{% endif %}
<p><a href="/film">Our film</a> - <a href="{{ privacy_settings_url }}">Privacy settings</a></p>
"""
POLICY = Path(__file__).with_name("fastapi_consent.toml")
KEY = os.environ.get("CONSENT_KEY") or secrets.token_urlsafe(32)  # without one, each start forgets all answers

app = FastAPI()
app.add_middleware(ConsentMiddleware, policy=POLICY, secret_keys=[KEY], csp="enforce")

environment = Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True)
templates = Jinja2Templates(env=environment, context_processors=[consent_context])


@app.get("/")
async def page(request: Request) -> HTMLResponse:
    """A page with a feature, or what stands in its place."""
    return templates.TemplateResponse(request, "page.html")


@app.get("/film", dependencies=[Depends(requires("media"))])
async def film() -> HTMLResponse:
    """Here only with consent; else a page explains what is off, and offers to allow it."""
    return HTMLResponse('<!doctype html><title>Film</title><iframe src="https://maps.example.com/film"></iframe>')


@app.get("/api/embeds")
async def embeds(request: Request) -> dict[str, str | None]:
    """Data that depends on the answer."""
    consent = request.state.consent
    return {"status": consent.status, "map": "https://maps.example.com/museum" if consent.allows("media") else None}
