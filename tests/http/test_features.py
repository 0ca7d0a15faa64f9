"""Tests of features without consent: `requires`, fallbacks and the page that explains."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import HTMLResponse as FastHTMLResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Decision, consent_of, requires
from cookie_consent.http.features import fallback_box
from tests.support.asgi import PREFIX, SITE, Reply, Visitor, call, drive, install, policy, scope
from tests.support.browsers.browser import forms
from tests.support.policies import KEY, text_of

HTML = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]


def site(*routes: Route | Mount, text: str = SITE) -> ASGIApp:
    """Return a Starlette app with the middleware, as a developer installs it."""
    options: dict[str, Any] = {"policy": policy(text), "secret_keys": [KEY]}
    return Starlette(routes=routes, middleware=[Middleware(ConsentMiddleware, **options)])


@requires("media")
async def async_map(request: Request) -> Response:
    return PlainTextResponse("the map")


@requires("media")
def sync_map(request: Request) -> Response:
    return PlainTextResponse("the map")


@requires("media", fallback=lambda request: PlainTextResponse("a list of addresses"))
async def map_or_list(request: Request) -> Response:
    return PlainTextResponse("the map")


async def _data(request: Request) -> Any:
    return {"addresses": ["Tokyo"], "needs": consent_of(request.scope).feature("map").missing}


@requires("media", fallback=_data)
async def map_or_data(request: Request) -> Response:
    return PlainTextResponse("the map")


class MapEndpoint(HTTPEndpoint):
    """An endpoint whose methods are decorated."""

    @requires("media")
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("the map")


@requires("media", "analytics")
async def needs_both(request: Request) -> Response:
    return PlainTextResponse("both")


def site_with(endpoint: Any) -> ASGIApp:
    return site(Route("/map", endpoint, methods=None if endpoint is MapEndpoint else ["GET", "POST"]))


ENDPOINTS = [async_map, sync_map, map_or_list, map_or_data, MapEndpoint]


# Starlette endpoints.


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_endpoint_answers_only_with_consent(endpoint: Any) -> None:
    visitor = Visitor(site_with(endpoint), HTML)
    visitor.save(media=True)
    assert visitor.get("/map").text == "the map"
    visitor.refuse()
    assert visitor.get("/map").text != "the map"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("state", ["unknown", "refused", "gpc"])
@pytest.mark.parametrize("accept", [[], HTML, [("accept", "application/json")], [("accept", "")]])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_missing_consent_is_never_error_or_redirect(
    endpoint: Any, state: str, accept: list[tuple[str, str]], method: str
) -> None:
    visitor = Visitor(site_with(endpoint), [*accept, *([("sec-gpc", "1")] if state == "gpc" else [])])
    if state == "refused":
        visitor.refuse()
    reply = visitor.request(method, "/map") if endpoint is not MapEndpoint or method == "GET" else visitor.get("/map")
    assert reply.status == 200
    assert reply.get("location") == ""
    assert "the map" not in reply.text


@pytest.mark.parametrize("prefix", ["/privacy-choices", "/legal/cookies"])
@pytest.mark.parametrize("root", ["", "/shop"])
def test_page_in_place_of_endpoint_has_a_link_to_the_start_of_the_site(root: str, prefix: str) -> None:
    options: dict[str, Any] = {"policy": policy(), "secret_keys": [KEY], "prefix": prefix}
    inner = Mount("/tours", routes=[Route("/map", async_map)])
    app = Starlette(routes=[inner], middleware=[Middleware(ConsentMiddleware, **options)])
    reply = call(app, path=f"{root}/tours/map", headers=HTML, root_path=root)
    assert f'<p class="pchoice-site"><a href="{root}/"' in reply.text


def test_fallback_answers_instead_of_endpoint() -> None:
    assert call(site_with(map_or_list), path="/map").text == "a list of addresses"
    assert call(site_with(map_or_data), path="/map").json == {"addresses": ["Tokyo"], "needs": ["media"]}


def test_endpoint_requires_each_of_its_purposes() -> None:
    visitor = Visitor(site_with(needs_both))
    assert visitor.get("/map").json["missing"] == ["media", "analytics"]
    visitor.save(media=True)
    assert visitor.get("/map").json["missing"] == ["analytics"]
    visitor.accept()
    assert visitor.get("/map").text == "both"


def test_endpoint_may_be_partial_function() -> None:
    async def endpoint(greeting: str, request: Request) -> Response:
        return PlainTextResponse(greeting)

    decorated = requires("necessary")(functools.partial(endpoint, "hello"))
    assert call(site(Route("/map", decorated)), path="/map").text == "hello"


def test_synchronous_fallback_may_return_awaitable() -> None:
    decorated = requires("media", fallback=lambda request: _data(request))(sync_map)
    assert call(site_with(decorated), path="/map").json["addresses"] == ["Tokyo"]


# The page that explains.


@pytest.mark.parametrize("language", ["en", "ja"])
def test_fallback_page_explains_in_visitor_language(language: str) -> None:
    visitor = Visitor(site_with(async_map), [*HTML, ("accept-language", language)])
    feature = policy().features[0]
    for answer, why in ((None, "why_unanswered"), (visitor.refuse, "why_refused")):
        if answer:
            answer()
        reply = visitor.get("/map")
        assert reply.get("content-type") == "text/html; charset=utf-8"
        assert reply.get("content-language") == language
        assert f'<html lang="{language}"' in reply.text
        assert reply.get("cache-control") == "no-store"
        assert "Cookie" in reply.get("vary")
        assert "Accept-Language" in reply.get("vary")
        purpose = policy().in_force["media"]
        for expected in (
            feature.title[language],
            feature.fallback[language],
            purpose.title[language],
            text_of(policy(), language, why),
        ):
            assert expected in reply.text
        assert f'href="{PREFIX}?language={language}' in reply.text


def test_fallback_page_says_that_gpc_refuses() -> None:
    text = call(site_with(async_map), path="/map", headers=[*HTML, ("sec-gpc", "1")]).text
    assert text_of(policy(), "en", "why_gpc") in text


def press_grant(reply: Reply) -> str:
    """Press the button that grants the missing purposes, and return the body that the browser sends."""
    (form,) = [form for form in forms(reply.text) if ("choice", "grant") in form.buttons]
    assert (form.action, form.method) == (PREFIX, "post")
    return form.pressed("grant")


@pytest.mark.parametrize("answer", [lambda visitor: None, Visitor.refuse, Visitor.accept])
def test_what_a_signal_refuses_can_be_allowed_in_the_settings_alone(answer: Callable[[Visitor], object]) -> None:
    visitor = Visitor(site_with(async_map), HTML)
    answer(visitor)
    visitor.headers.append(("sec-gpc", "1"))
    text = visitor.get("/map").text
    assert not any(("choice", "grant") in form.buttons for form in forms(text))
    assert f'href="{PREFIX}?language=en&amp;next=/map' in text
    for choice in ("grant", "accept_all"):
        visitor.post({"choice": choice, "purposes": {"media": True}})
        assert not visitor.state()["purposes"]["media"]
    visitor.save(media=True)
    assert visitor.get("/map").text == "the map"


@pytest.mark.parametrize("answer", ["none", "refused"])
def test_grant_button_grants_missing_purpose_and_returns_to_page(answer: str) -> None:
    visitor = Visitor(site_with(async_map), HTML)
    if answer == "refused":
        visitor.refuse()
    body = press_grant(visitor.get("/map", query=b"office=tokyo&zoom=2"))
    reply = visitor.send_form(body)
    assert (reply.status, reply.get("location")) == (303, "/map?office=tokyo&zoom=2#pchoice-off-map")
    assert visitor.get("/map").text == "the map"
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert state["source"] == "feature"
    assert state["should_ask"] is (answer == "none")


def test_fallback_page_has_no_grant_button_if_service_refuses() -> None:
    refusing = SITE + "\n[services.whois.purposes.media]\nrefused = true\n"
    visitor = Visitor(site(Route("/whois/map", async_map), text=refusing), HTML)
    visitor.accept()
    reply = visitor.get("/whois/map")
    assert reply.status == 200
    assert text_of(policy(), "en", "refused_here") in reply.text
    assert not any(("choice", "grant") in form.buttons for form in forms(reply.text))
    assert f'href="{PREFIX}' in reply.text


def test_fallback_page_has_no_banner() -> None:
    reply = call(site_with(async_map), path="/map", headers=HTML)
    assert "accept_all" not in reply.text


def test_fallback_page_explains_endpoint_without_feature() -> None:
    reply = call(site_with(needs_both), path="/map", headers=HTML)
    assert text_of(policy(), "en", "unavailable_page") in reply.text
    assert "Access tracing" in reply.text
    assert "Maps and videos" in reply.text
    press_grant(reply)


TWO = f"""{SITE}
[features.videos]
title = {{ en = "Videos", ja = "動画" }}
purposes = ["media"]
fallback = {{ en = "No videos without consent.", ja = "同意がないため動画はありません。" }}
"""


@pytest.mark.parametrize("feature", ["map", "videos", None])
def test_endpoint_can_name_its_feature(feature: str | None) -> None:
    async def endpoint(request: Request) -> Response:
        raise AssertionError("not reached")

    app = site(Route("/it", requires("media", feature=feature)(endpoint)), text=TWO)
    text, data = call(app, path="/it", headers=HTML).text, call(app, path="/it").json
    assert ("No videos without consent." in text) is (feature == "videos")
    assert ("No map without consent." in text) is (feature == "map")
    assert data["feature"] == feature
    assert text_of(policy(), "en", "why_unanswered") in data["message"]


def test_undeclared_feature_of_no_route_raises_with_suggestion() -> None:
    async def endpoint(request: Request) -> Response:
        assert requires("media", feature="mpa").unmet(request)
        raise AssertionError("not reached")

    with pytest.raises(LookupError, match=r'there is no feature "mpa".*Did you mean "map"'):
        call(site_with(endpoint), path="/map")


@pytest.mark.parametrize("endpoint", [async_map, needs_both])
def test_fallback_for_programs_is_json(endpoint: Any) -> None:
    reply = call(site_with(endpoint), path="/map", headers=[("accept-language", "ja")])
    assert reply.get("content-type") == "application/json"
    assert reply.get("cache-control") == "no-store"
    data = reply.json
    assert data["available"] is False
    assert data["feature"] == ("map" if endpoint is async_map else None)
    assert data["missing"][0] == "media"
    assert data["settings"] == PREFIX
    assert "地図と動画" in data["message"]
    assert text_of(policy(), "ja", "why_unanswered") in data["message"]
    if endpoint is async_map:
        assert "同意がないため地図はありません。" in data["message"]


def test_grant_button_works_in_mounted_app() -> None:
    app = Starlette(routes=[Mount("/shop", site_with(async_map))])
    visitor = Visitor(app, HTML)
    text = visitor.get("/shop/map").text
    (form,) = [form for form in forms(text) if ("choice", "grant") in form.buttons]
    assert form.action == f"/shop{PREFIX}"
    reply = visitor.send_form(form.pressed("grant"), path=f"/shop{PREFIX}")
    assert reply.get("location") == "/shop/map#pchoice-off-map"
    assert visitor.get("/shop/map").text == "the map"


def test_grant_button_works_for_mounted_endpoint() -> None:
    visitor = Visitor(site(Mount("/deep", routes=[Route("/map", async_map)])), HTML)
    reply = visitor.send_form(press_grant(visitor.get("/deep/map")))
    assert reply.get("location") == "/deep/map#pchoice-off-map"
    assert visitor.get("/deep/map").text == "the map"


# Mistakes of developers.


def test_undeclared_purpose_of_no_route_raises_with_suggestion() -> None:
    @requires("medai")
    async def inner(request: Request) -> Response:
        raise AssertionError("not reached")

    async def endpoint(request: Request) -> Response:
        return await inner(request)

    with pytest.raises(LookupError, match=r'"medai".*Did you mean "media"'):
        call(site_with(endpoint), path="/map")


def test_missing_middleware_raises_with_instructions() -> None:
    app = Starlette(routes=[Route("/map", async_map)])
    with pytest.raises(RuntimeError, match="add_middleware"):
        call(app, path="/map")
    with pytest.raises(RuntimeError, match="add_middleware"):
        consent_of({"state": {"consent": "something else"}})
    with pytest.raises(RuntimeError, match="add_middleware"):
        consent_of({})


def test_endpoint_without_request_parameter_raises() -> None:
    def endpoint() -> str:
        return "no request"

    with pytest.raises(TypeError, match='takes no "request"'):
        requires("media")(endpoint)


# FastAPI.


def fastapi_site(text: str = SITE, **options: Any) -> tuple[FastAPI, Visitor]:
    app = FastAPI()
    app.add_middleware(ConsentMiddleware, policy=policy(text), secret_keys=[KEY], **options)
    return app, Visitor(app, HTML)


def test_fastapi_endpoint_can_be_decorated() -> None:
    app, visitor = fastapi_site()

    @app.get("/offices/{office}")
    @requires("media")
    async def offices(office: str, request: Request, zoom: int = 1) -> dict[str, Any]:
        return {"office": office, "zoom": zoom}

    assert "No map without consent." in visitor.get("/offices/tokyo").text
    visitor.accept()
    assert visitor.get("/offices/tokyo", query=b"zoom=3").json == {"office": "tokyo", "zoom": 3}


def test_fastapi_endpoint_can_depend_on_requires() -> None:
    app, visitor = fastapi_site()
    ran: list[str] = []

    @app.get("/map", dependencies=[Depends(requires("media"))])
    async def show_map() -> FastHTMLResponse:
        ran.append("map")
        return FastHTMLResponse("<p>the map</p>")

    reply = visitor.get("/map")
    assert (reply.status, reply.get("content-type")) == (200, "text/html; charset=utf-8")
    assert "No map without consent." in reply.text
    assert "consent that was not given" not in reply.text
    assert ran == []
    assert visitor.send_form(press_grant(reply)).get("location") == "/map#pchoice-off-map"
    assert "<p>the map</p>" in visitor.get("/map").text
    as_json = Visitor(app).get("/map")
    assert (as_json.status, as_json.json["available"], as_json.json["feature"]) == (200, False, "map")


@pytest.mark.parametrize("more", ["", "[security]\ncontent_security_policy = \"default-src 'self'\"\n"])
def test_fallback_is_sent_in_place_of_an_error_page_of_the_app(more: str) -> None:
    app, visitor = fastapi_site(f"{SITE}\n{more}")

    layout = '<!doctype html><html lang="en"><head><title>t</title></head><body>{}</body></html>'

    @app.exception_handler(HTTPException)
    async def error_page(request: Request, error: HTTPException) -> FastHTMLResponse:
        return FastHTMLResponse(layout.format("our error page"), error.status_code)

    @app.get("/")
    async def ordinary_page() -> FastHTMLResponse:
        return FastHTMLResponse(layout.format("our page"))

    @app.get("/map", dependencies=[Depends(requires("media"))])
    async def show_map() -> None: ...

    assert "our page" in visitor.get("/").text  # pages that begin as an earlier one may take the quick way
    reply = visitor.get("/map")
    assert "No map without consent." in reply.text
    assert "our error page" not in reply.text
    assert bool(reply.get("content-security-policy")) is bool(more)


NeedsMedia = Annotated[None, Depends(requires("media", fallback=_data))]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_fastapi_dependency_answers_with_its_fallback(method: str) -> None:
    app, visitor = fastapi_site()

    @app.api_route("/map", methods=["GET", "POST"])
    def show_map(needed: NeedsMedia) -> dict[str, str]:
        return {"map": "whole"}

    assert visitor.request(method, "/map").json == {"addresses": ["Tokyo"], "needs": ["media"]}
    visitor.accept()
    assert visitor.request(method, "/map").json == {"map": "whole"}


def test_fastapi_dependency_answers_before_handler_of_exceptions() -> None:
    app, visitor = fastapi_site()

    @app.get("/map", dependencies=[Depends(requires("media"))])
    async def show_map() -> None:
        raise AssertionError("not reached")

    @app.exception_handler(Exception)
    async def on_error(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 500)

    assert visitor.get("/map").status == 200


def test_fastapi_dependency_adds_no_openapi_parameters() -> None:
    app, visitor = fastapi_site()

    @app.get("/map", dependencies=[Depends(requires("media"))])
    async def show_map() -> None:
        """Show the map."""

    operation = json.loads(visitor.get("/openapi.json").body)["paths"]["/map"]["get"]
    assert "parameters" not in operation


def test_cookies_of_fallback_are_gated() -> None:
    app, visitor = fastapi_site()

    def setting(request: Request) -> Response:
        response = PlainTextResponse("list")
        response.set_cookie("_ga", "1")
        response.set_cookie("session", "1")
        return response

    @app.get("/map", dependencies=[Depends(requires("media", fallback=setting))])
    async def show_map() -> None:
        raise AssertionError("not reached")

    reply = visitor.get("/map")
    assert (reply.text, list(reply.set_cookies)) == ("list", ["session"])


# The decision and the fallback box.


def test_app_reads_feature_from_decision() -> None:
    found: list[tuple[bool, str, tuple[str, ...]]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        consent = scope["state"]["consent"]
        assert isinstance(consent, Decision)
        feature = consent.feature("map")
        found.append((feature.available, feature.fallback, feature.missing))
        with pytest.raises(LookupError, match=r'there is no feature "mpa".*Did you mean "map"'):
            consent.feature("mpa")
        with pytest.raises(LookupError, match='there is no purpose "maps"'):
            consent.allows("maps")
        await PlainTextResponse("ok")(scope, receive, send)

    visitor = Visitor(install(app), [("accept-language", "ja")])
    visitor.get()
    visitor.accept()
    visitor.get()
    assert found == [
        (False, "同意がないため地図はありません。", ("media",)),
        (True, "同意がないため地図はありません。", ()),
    ]


def test_fallback_box_replaces_feature() -> None:
    boxes: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        boxes.append(fallback_box(scope, "map"))
        with pytest.raises(LookupError, match="there is no feature"):
            fallback_box(scope, "nonsense")
        await PlainTextResponse("ok")(scope, receive, send)

    visitor = Visitor(install(app))
    visitor.get("/offices", query=b"a=b")
    (form,) = forms(boxes[0])
    assert "No map without consent." in boxes[0]
    assert ("next", "/offices?a=b#pchoice-off-map") in form.hidden
    visitor.send_form(form.pressed("grant"))
    assert visitor.state()["purposes"]["media"] is True


async def map_with_other_argument(req: Request) -> Response:
    return PlainTextResponse("the map")


class MapClass(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("the map")


class ListClass(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("the list")


class MapMethod(HTTPEndpoint):
    @requires("media")
    async def get(self, r: Request) -> Response:
        return PlainTextResponse("the map")


@pytest.mark.parametrize(
    "endpoint",
    [requires("media")(map_with_other_argument), requires("media")(MapClass), MapMethod],
    ids=["function", "class", "method"],
)
def test_every_kind_of_endpoint_has_fallback(endpoint: Any) -> None:
    visitor = Visitor(site(Route("/map", endpoint)))
    assert visitor.get("/map").json["missing"] == ["media"]
    visitor.accept()
    assert visitor.get("/map").text == "the map"


def test_fallback_may_be_class() -> None:
    assert (
        call(site_with(requires("media", fallback=ListClass)(map_with_other_argument)), path="/map").text == "the list"
    )


def test_websocket_dependency_closes_without_consent() -> None:
    app = FastAPI()

    @app.websocket("/live")
    async def live(websocket: WebSocket, allowed: Annotated[None, Depends(requires("media"))]) -> None:
        await websocket.accept()
        await websocket.close()

    installed = install(app)
    visitor = Visitor(installed)
    visitor.accept()
    for headers, sent in (
        ([], ["websocket.close"]),
        ([("cookie", visitor.cookies)], ["websocket.accept", "websocket.close"]),
    ):
        connection = scope(path="/live", kind="websocket", headers=headers)
        messages = asyncio.run(drive(installed, connection, [{"type": "websocket.connect"}]))
        assert [message["type"] for message in messages] == sent
