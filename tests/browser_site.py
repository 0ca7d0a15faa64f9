"""A small site for what the registry site does not have: a strict policy for scripts, templates of all kinds."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.features import fallback_box
