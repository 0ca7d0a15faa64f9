"""The second origin: a company that counts visits and serves maps. It stands for all that a site loads from elsewhere.

uvicorn --app-dir examples/registry analytics:app --port 8001
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


async def collect(request: Request) -> Response:
    """Take a report of analytics.js."""
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/collect", collect),
        Mount("/", StaticFiles(directory=Path(__file__).parent / "partner")),
    ]
)
