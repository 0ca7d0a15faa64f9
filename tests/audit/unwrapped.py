"""An app without the middleware."""

from __future__ import annotations

from starlette.applications import Starlette

app = Starlette()
