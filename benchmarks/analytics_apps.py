"""The apps that write access records: served ones, each with the sink that its environment names."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from benchmarks import apps
from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import MemorySink, Sink, open_sink

TARGET = "BENCHMARK_SINK"
"""The environment variable that tells a served app where its records go: a target of `open_sink`, or one of these."""
BARE, NO_SINK, MEMORY = "bare", "none", "memory"
STATS = "/benchmark/stats"
"""The path at which a served app tells the counters of its sink."""


def served_app() -> ASGIApp:
    """Return the app for a server's command line, which has no arguments for it."""
    target = os.environ[TARGET]
    return app_with_stats(None) if target == BARE else traced_app(sink_of(target))


def traced_app(sink: Sink | None) -> ASGIApp:
    """Return the app under the consent middleware.

    Args:
        sink: where its records go; None for nowhere.
    """
    return ConsentMiddleware(app_with_stats(sink), apps.POLICY, apps.KEY, prefix=apps.PREFIX, access_log=sink)


def app_with_stats(sink: Sink | None) -> ASGIApp:
    """Return the bare app, with one page more: the counters of a sink."""
    app = apps.bare_app()
    assert isinstance(app, Starlette), "a route can be added"

    async def stats(_: Request) -> Response:
        return JSONResponse(dict(sink.stats()) if sink else {})

    app.add_route(STATS, stats)
    return app


def sink_of(target: str) -> Sink | None:
    """Return the sink of a target; None for NO_SINK."""
    if target == NO_SINK:
        return None
    return MemorySink() if target == MEMORY else open_sink(target)
