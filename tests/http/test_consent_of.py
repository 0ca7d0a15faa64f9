"""Tests of `consent_of`, and of what is typed and frozen for apps. What `assert_type` says is checked by mypy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, assert_type

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cookie_consent import FeatureState, RequestConsent, consent_of
from cookie_consent.decision.decision import decide
from cookie_consent.pages.pages import Pages
from tests.support.asgi import Visitor, call, drive, install, scope
from tests.support.policies import small_policy

PAGES = Pages(prefix="/privacy-choices")


class _RequestOfAnotherFramework:
    """A request that has its scope, as those of Litestar, Quart and Django have."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


@pytest.mark.parametrize("kind", [dict, Request, HTTPConnection, _RequestOfAnotherFramework])
def test_consent_is_that_of_the_request_in_any_form(kind: Callable[[Scope], Any]) -> None:
    found: list[RequestConsent] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(assert_type(consent_of(kind(scope)), RequestConsent))
        assert found[0] is scope["state"]["consent"]
        await PlainTextResponse("ok")(scope, receive, send)

    call(install(app))
    assert found[0].status == "unknown"


@pytest.mark.parametrize("request_", [{}, {"state": None}, _RequestOfAnotherFramework({"state": {}}), object(), None])
def test_missing_middleware_is_said_of_whatever_is_no_request_with_consent(request_: Any) -> None:
    """A request of Django's test client has no scope, for example."""
    with pytest.raises(RuntimeError, match="install the middleware"):
        consent_of(request_)


Consent = Annotated[RequestConsent, Depends(consent_of)]


def test_consent_is_a_fastapi_dependency_of_endpoints_and_websockets() -> None:
    app = FastAPI()

    @app.get("/suggestions")
    async def suggestions(consent: Consent) -> list[str]:
        return ["for you"] if consent.allows("media") else ["for everybody"]

    @app.websocket("/live")
    async def live(websocket: WebSocket, consent: Consent) -> None:
        await websocket.accept()
        await websocket.send_text(consent.status)
        await websocket.close()

    installed = install(app)
    visitor = Visitor(installed)
    assert visitor.get("/suggestions").json == ["for everybody"]
    visitor.accept()
    assert visitor.get("/suggestions").json == ["for you"]
    assert "parameters" not in visitor.get("/openapi.json").json["paths"]["/suggestions"]["get"]
    connection = scope(path="/live", kind="websocket", headers=[("cookie", visitor.cookies)])
    messages = asyncio.run(drive(installed, connection, [{"type": "websocket.connect"}]))
    assert [message.get("text") for message in messages] == [None, "granted", None]


def test_consent_is_typed() -> None:
    consent = RequestConsent(decide(small_policy(), None, frozenset(), 0), {"headers": []}, PAGES)
    assert_type(consent.should_ask, bool)
    assert_type(consent.purposes, Mapping[str, bool])
    with pytest.raises(LookupError):
        assert_type(consent.feature("map"), FeatureState)
