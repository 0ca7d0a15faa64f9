"""A site for any real server, with OpenTelemetry's spans and the server's own logs.

ACCESS_LOG is the file of access records, SERVER_LOGS the middleware's option, SPANS the file of the spans.
"""

from __future__ import annotations

import os
from pathlib import Path

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from cookie_consent import ConsentMiddleware
from cookie_consent.integrations.opentelemetry import ConsentSpanProcessor
from tests.support.asgi import SITE, policy
from tests.support.policies import KEY

SIGNALS = """
[signals]
gpc = ["analytics"]
"""


async def _page(request: Request) -> Response:
    return PlainTextResponse(request.state.consent.status)


async def _failing(request: Request) -> Response:
    raise RuntimeError("this page is broken")


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def _site() -> ASGIApp:
    routes = [Route("/pages/{name}", _page), Route("/broken/{name}", _failing), WebSocketRoute("/talk/{name}", _talk)]
    app = Starlette(routes=routes)
    app.add_middleware(
        ConsentMiddleware,
        policy=policy(SITE + SIGNALS),
        secret_keys=[KEY],
        access_log=os.environ["ACCESS_LOG"],
        server_logs=os.environ["SERVER_LOGS"],  # type: ignore[arg-type]
    )
    provider = TracerProvider()
    spans = Path(os.environ["SPANS"]).open("a", encoding="utf-8")  # noqa: SIM115 (as long as the process runs)
    provider.add_span_processor(ConsentSpanProcessor(SimpleSpanProcessor(ConsoleSpanExporter(out=spans))))
    return OpenTelemetryMiddleware(app, tracer_provider=provider)


site = _site()
