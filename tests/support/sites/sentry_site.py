"""A site with Sentry and three visitors: python -m tests.support.sites.sentry_site [stream].

It prints one line of JSON for each visitor: a list of all texts that Sentry's transport got. It needs a process of its
own, because Sentry patches Starlette and logging permanently.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.integrations.sentry import before_send, before_send_attributes, before_send_transaction
from tests.support.asgi import PHONE, Visitor, policy
from tests.support.policies import KEY

_QUERY = "q=secret"
"""Defined far from its use, because Sentry sends the surrounding lines of code."""
_STREAMS = sys.argv[1:] == ["stream"]
_sent: list[str] = []


class _RecordingTransport(Transport):
    """Keeps the envelopes instead of sending them."""

    def capture_envelope(self, envelope: Envelope) -> None:
        _sent.append(envelope.serialize().decode())


def _start(**more: Any) -> None:
    sentry_sdk.init(
        dsn="https://key@sentry.example/1",
        transport=_RecordingTransport,
        data_collection={"user_info": True},
        traces_sample_rate=1.0,
        enable_logs=True,
        before_send=before_send,
        before_send_transaction=before_send_transaction,
        before_send_log=before_send_attributes,
        before_send_metric=before_send_attributes,
        **more,
    )


def _call_another_site() -> None:
    attributes: dict[str, Any] = {"http.query": _QUERY, "url": f"https://other.example/?{_QUERY}"}
    if _STREAMS:
        with sentry_sdk.traces.start_span(name="call", attributes=attributes):
            return
    with sentry_sdk.start_span(op="http.client", name="call") as span:
        for name, value in attributes.items():
            span.set_data(name, value)


async def _page(request: Request) -> Response:
    address = request.client.host if request.client else ""
    sentry_sdk.set_user({"id": "anna", "ip_address": address})
    logging.getLogger("app").warning("a page is asked for")
    sentry_sdk.metrics.count("pages", 1)
    _call_another_site()
    sentry_sdk.add_breadcrumb(category="httplib", data={"url": "https://other.example/", "http.query": _QUERY})
    if request.path_params["name"] == "broken":
        raise RuntimeError(f"the page {request.path_params['name']} is broken")
    sentry_sdk.capture_message("a page was made")
    return PlainTextResponse("ok")


def _site() -> Starlette:
    app = Starlette(routes=[Route("/pages/{name}", _page)])
    app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY])
    return app


def _visit(visitor: Visitor) -> None:
    headers = [("referer", f"https://other.example/?{_QUERY}"), ("x-forwarded-for", "203.0.113.77")]
    visitor.get("/pages/fine", headers, query=_QUERY.encode())
    try:
        visitor.get("/pages/broken", headers, query=_QUERY.encode())
    except RuntimeError:
        sentry_sdk.flush()
    print(json.dumps(_sent))  # noqa: T201 (the test reads the output)
    _sent.clear()


def _run() -> None:
    app = _site()
    granting, refusing, silent = (Visitor(app, [("user-agent", PHONE)]) for _ in range(3))
    granting.accept()
    refusing.refuse()
    sentry_sdk.flush()
    _sent.clear()
    for visitor in (granting, refusing, silent):
        _visit(visitor)


if __name__ == "__main__":
    if _STREAMS:
        _start(trace_lifecycle="stream", before_send_span=before_send_attributes)
    else:
        _start()
    _run()
