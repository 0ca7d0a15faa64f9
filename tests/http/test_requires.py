"""Tests of `requires`: what is sent in place of an endpoint, the page that explains, and the box in a page.

What `assert_type` says is checked by mypy, which runs on the tests too.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, assert_type

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Response, WebSocket
from fastapi.responses import HTMLResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Decision, consent_of, requires
from cookie_consent.http.features import fallback_box
from tests.support.asgi import PREFIX, SITE, Reply, Visitor, call, drive, install, policy, scope
from tests.support.browsers.browser import forms
from tests.support.policies import KEY, text_of

HTML = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]
TWO_FEATURES = f"""{SITE}
[features.videos]
title = {{ en = "Videos", ja = "動画" }}
purposes = ["media"]
fallback = {{ en = "No videos without consent.", ja = "同意がないため動画はありません。" }}
"""


@requires("media")
async def async_tour(request: Request, zoom: int = 1) -> HTMLResponse:
    return HTMLResponse(f"the tour at {zoom}")


@requires("media")
def sync_tour(request: Request) -> HTMLResponse:
    return HTMLResponse("the tour")


@requires("media", "analytics")
async def needs_both(request: Request) -> Response:
    return PlainTextResponse("both")


async def never(request: Any) -> Any:
    raise AssertionError("not reached")


class Tour(HTTPEndpoint):
    name = "the tour"

    async def get(self, request: Request) -> Response:
        return PlainTextResponse(self.name)


class Listener:
    async def __call__(self, request: Request) -> Any:
        return PlainTextResponse("the tour")


def site(endpoint: Any = async_tour, path: str = "/tour", text: str = SITE) -> ASGIApp:
    """Return a Starlette app with the middleware, as a developer installs it."""
    options: dict[str, Any] = {"policy": policy(text), "secret_keys": [KEY]}
    return Starlette(routes=[Route(path, endpoint)], middleware=[Middleware(ConsentMiddleware, **options)])


def fastapi_site(text: str = SITE) -> tuple[FastAPI, Visitor]:
    app = FastAPI()
    app.add_middleware(ConsentMiddleware, policy=policy(text), secret_keys=[KEY])
    return app, Visitor(app, HTML)


def scope_after(answer: Callable[[Visitor], Any]) -> Scope:
    """Return the scope that the app gets after an answer."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await PlainTextResponse("ok")(scope, receive, send)

    visitor = Visitor(install(app))
    answer(visitor)
    visitor.get()
    return scopes[0]


def offers_grant(reply: Reply) -> bool:
    return any(("choice", "grant") in form.buttons for form in forms(reply.text))


def press_grant(reply: Reply) -> str:
    """Press the button that grants the missing purposes, and return the body that the browser sends."""
    (form,) = [form for form in forms(reply.text) if ("choice", "grant") in form.buttons]
    return form.pressed("grant")


# Endpoints of every kind.


def test_endpoint_keeps_its_type() -> None:
    request = Request(scope_after(Visitor.accept))
    assert_type(sync_tour(request), HTMLResponse)
    assert_type(requires("media")(Tour).name, str)
    assert_type(requires("media")(request), None)
    kept: Callable[[Request], Coroutine[Any, Any, HTMLResponse]] = async_tour
    assert asyncio.run(kept(request)).body == b"the tour at 1"
    with pytest.raises(TypeError):
        asyncio.run(async_tour(request, zooom=2))  # type: ignore[call-arg]
    assert (inspect.iscoroutinefunction(async_tour), inspect.iscoroutinefunction(sync_tour)) == (True, False)


async def _async_list(request: Request) -> Any:
    return {"addresses": ["Tokyo"], "needs": consent_of(request.scope).feature("map").missing}


class _ListClass(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("a list", 202)


FALLBACKS = {
    "none": (None, None, 200, "No map without consent."),
    "none, with a status": (None, 403, 403, "No map without consent."),
    "async function": (_async_list, 403, 403, '"needs":["media"]'),
    "function": (lambda request: PlainTextResponse("a list"), None, 200, "a list"),
    "function that returns an awaitable": (lambda request: _async_list(request), None, 200, "Tokyo"),
    "class": (_ListClass, None, 202, "a list"),
    "class, with a status": (_ListClass, 451, 451, "a list"),
}
"""Name -> a fallback, the option status, and the status and text of what is sent."""


class _Method(HTTPEndpoint):
    async def get(self, r: Request) -> Response:
        return PlainTextResponse("the tour")


def _decorate_method(needs: Any) -> Any:
    return type("Decorated", (_Method,), {"get": needs(_Method.get)})


KINDS: dict[str, Callable[[Any], Any]] = {
    "async": lambda needs: needs(inspect.unwrap(async_tour)),
    "sync": lambda needs: needs(inspect.unwrap(sync_tour)),
    "without annotation": lambda needs: needs(lambda incoming: PlainTextResponse("the tour")),
    "class": lambda needs: needs(Tour),
    "method": _decorate_method,
    "object": lambda needs: needs(Listener()),
    "partial": lambda needs: needs(functools.partial(inspect.unwrap(async_tour), zoom=2)),
}


@pytest.mark.requirement("DG-01")
@pytest.mark.parametrize("kind", [*KINDS, "dependency"])
@pytest.mark.parametrize("fallback", FALLBACKS)
def test_endpoint_answers_with_consent_and_its_fallback_without(kind: str, fallback: str) -> None:
    endpoint, option, status, text = FALLBACKS[fallback]
    needs = requires("media", fallback=endpoint, status=option)
    if kind == "dependency":
        app, visitor = fastapi_site()
        app.get("/tour", dependencies=[Depends(needs)])(lambda: PlainTextResponse("the tour"))
    else:
        visitor = Visitor(site(KINDS[kind](needs)), HTML)
    reply = visitor.get("/tour")
    assert reply.status == status
    assert text in reply.text
    assert "the tour" not in reply.text
    visitor.refuse()
    assert text in visitor.get("/tour").text
    visitor.accept()
    granted = visitor.get("/tour")
    assert (granted.status, granted.text[:8]) == (200, "the tour")


def test_endpoint_requires_each_of_its_purposes() -> None:
    visitor = Visitor(site(needs_both))
    assert visitor.get("/tour").json["missing"] == ["media", "analytics"]
    visitor.save(media=True)
    assert visitor.get("/tour").json["missing"] == ["analytics"]
    visitor.accept()
    assert visitor.get("/tour").text == "both"


@pytest.mark.parametrize("status", [100, 199, 204, 205, 304, 600, "403"])
def test_status_without_body_is_refused(status: Any) -> None:
    with pytest.raises(ValueError, match=rf"status={status} is none of a response with a body, such as 200 or 403"):
        requires("media", status=status)


@pytest.mark.parametrize("status", [None, 403])
def test_endpoint_that_asks_itself_gets_the_status_too(status: int | None) -> None:
    async def tour(request: Request) -> Response:
        return PlainTextResponse("" if requires("media", status=status).unmet(request) else "the tour")

    visitor = Visitor(site(tour))
    reply = visitor.get("/tour")
    assert (reply.status, reply.json["missing"]) == (status or 200, ["media"])
    visitor.accept()
    assert visitor.get("/tour").text == "the tour"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("fallback", "sent"), [(None, None), (lambda request: "a list", "a list")])
def test_endpoint_without_request_of_starlette_gives_nothing_or_its_fallback(
    fallback: Any, sent: str | None, is_async: bool
) -> None:
    class OtherRequest:
        scope = scope_after(Visitor.refuse)

    def show(request: Any) -> str:
        raise AssertionError("not reached")

    result: Any = requires("media", fallback=fallback)(never if is_async else show)(OtherRequest())
    assert (asyncio.run(result) if is_async else result) == sent


def test_mistakes_of_developers_are_explained() -> None:
    async def ask_purpose(request: Request) -> None:
        requires("medai").unmet(request)

    async def ask_feature(request: Request) -> None:
        requires("media", feature="mpa").unmet(request)

    with pytest.raises(LookupError, match=r'"medai".*Did you mean "media"'):
        call(site(ask_purpose), path="/tour")
    with pytest.raises(LookupError, match=r'there is no feature "mpa".*Did you mean "map"'):
        call(site(ask_feature), path="/tour")
    with pytest.raises(RuntimeError, match="add_middleware"):
        call(Starlette(routes=[Route("/tour", async_tour)]), path="/tour")
    with pytest.raises(TypeError, match='takes no "request"'):
        requires("media")(lambda: "no request")


# The page that explains.


@pytest.mark.requirement("DG-02")
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    ("answer", "headers", "why"),
    [
        (lambda visitor: None, [], "why_unanswered"),
        (Visitor.refuse, [], "why_refused"),
        (lambda visitor: None, [("sec-gpc", "1")], "why_gpc"),
    ],
)
def test_page_explains_in_language_of_visitor(
    language: str, answer: Callable[[Visitor], Any], headers: list[tuple[str, str]], why: str
) -> None:
    visitor = Visitor(site(), [*HTML, ("accept-language", language)])
    answer(visitor)
    reply = visitor.get("/tour", headers)
    fields = ("content-type", "content-language", "cache-control")
    assert [reply.get(name) for name in fields] == ["text/html; charset=utf-8", language, "no-store"]
    assert {"Cookie", "Accept-Language"} <= set(reply.get("vary").split(", "))
    feature = policy().features[0]
    for expected in (feature.title[language], feature.fallback[language], policy().in_force["media"].title[language]):
        assert expected in reply.text
    assert text_of(policy(), language, why) in reply.text
    assert f'href="{PREFIX}?language={language}' in reply.text
    assert "accept_all" not in reply.text
    # What a signal refuses can be allowed in the settings alone.
    assert offers_grant(reply) is (why != "why_gpc")


@pytest.mark.parametrize("endpoint", [async_tour, needs_both])
def test_programs_get_json(endpoint: Any) -> None:
    reply = call(site(endpoint), path="/tour", headers=[("accept-language", "ja")])
    assert (reply.get("content-type"), reply.get("cache-control")) == ("application/json", "no-store")
    message = reply.json.pop("message")
    assert reply.json | {"message": message} == {
        "available": False,
        "feature": "map" if endpoint is async_tour else None,
        "missing": ["media"] if endpoint is async_tour else ["media", "analytics"],
        "message": message,
        "settings": PREFIX,
    }
    assert "地図と動画" in message
    assert message.count(text_of(policy(), "ja", "why_unanswered")) == 1
    assert ("同意がないため地図はありません。" in message) is (endpoint is async_tour)


@pytest.mark.requirement("DG-04")
@pytest.mark.parametrize("refuses", [False, True])
def test_grant_button_grants_missing_purpose_and_returns_to_page(refuses: bool) -> None:
    visitor = Visitor(site(), HTML)
    if refuses:
        visitor.refuse()
    reply = visitor.send_form(press_grant(visitor.get("/tour", query=b"office=tokyo&zoom=2")))
    assert (reply.status, reply.get("location")) == (303, "/tour?office=tokyo&zoom=2#pchoice-off-map")
    assert visitor.get("/tour").text.startswith("the tour")
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert (state["source"], state["should_ask"]) == ("feature", not refuses)


def test_grant_button_works_in_mounted_app() -> None:
    visitor = Visitor(Starlette(routes=[Mount("/shop", site())]), HTML)
    page = visitor.get("/shop/tour")
    assert f'action="/shop{PREFIX}"' in page.text
    assert '<p class="pchoice-site"><a href="/shop/"' in page.text
    reply = visitor.send_form(press_grant(page), path=f"/shop{PREFIX}")
    assert reply.get("location") == "/shop/tour#pchoice-off-map"
    assert visitor.get("/shop/tour").text.startswith("the tour")


def test_page_offers_nothing_where_the_service_refuses() -> None:
    refusing = SITE + "\n[services.whois.purposes.media]\nrefused = true\n"
    visitor = Visitor(site(path="/whois/tour", text=refusing), HTML)
    visitor.accept()
    reply = visitor.get("/whois/tour")
    assert text_of(policy(), "en", "refused_here") in reply.text
    assert not offers_grant(reply)


@pytest.mark.parametrize("choice", ["grant", "accept_all"])
@pytest.mark.parametrize("answer", [lambda visitor: None, Visitor.refuse, Visitor.accept])
def test_what_a_signal_refuses_is_granted_in_the_settings_alone(answer: Callable[[Visitor], Any], choice: str) -> None:
    visitor = Visitor(site(), HTML)
    answer(visitor)
    visitor.headers.append(("sec-gpc", "1"))
    assert f'href="{PREFIX}?language=en&amp;next=/tour' in visitor.get("/tour").text
    visitor.post({"choice": choice, "purposes": {"media": True}})
    assert not visitor.state()["purposes"]["media"]
    visitor.save(media=True)
    assert visitor.get("/tour").text.startswith("the tour")


@pytest.mark.parametrize("feature", ["map", "videos", None])
def test_endpoint_can_name_its_feature(feature: str | None) -> None:
    app = site(requires("media", feature=feature)(never), text=TWO_FEATURES)
    reply = call(app, path="/tour", headers=HTML)
    assert ("No videos without consent." in reply.text) is (feature == "videos")
    assert ("No map without consent." in reply.text) is (feature == "map")
    assert (text_of(policy(), "en", "unavailable_page") in reply.text) is (feature is None)
    assert call(app, path="/tour").json["feature"] == feature


# FastAPI.


def test_fastapi_endpoint_can_be_decorated() -> None:
    app, visitor = fastapi_site()
    ran: list[str] = []

    def note(tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "task")

    @app.get("/offices/{office}", dependencies=[Depends(note)])
    @requires("media", fallback=_async_list)
    def offices(office: str, request: Request, zoom: int = 1) -> dict[str, Any]:
        return {"office": office, "zoom": zoom}

    assert visitor.get("/offices/tokyo").json["needs"] == ["media"]
    assert ran == ["task"], "background tasks run after a fallback, too"
    visitor.accept()
    assert visitor.get("/offices/tokyo", query=b"zoom=3").json == {"office": "tokyo", "zoom": 3}


@pytest.mark.parametrize("more", ["", "[security]\ncontent_security_policy = \"default-src 'self'\"\n"])
def test_fallback_replaces_the_error_page_of_the_app_and_adds_no_parameter(more: str) -> None:
    app, visitor = fastapi_site(f"{SITE}\n{more}")
    app.get("/tour", dependencies=[Depends(requires("media"))])(lambda: "the tour")

    @app.exception_handler(HTTPException)
    async def error_page(request: Request, error: HTTPException) -> HTMLResponse:
        return HTMLResponse("our error page", error.status_code, headers={"x-error": "1"})

    reply = visitor.get("/tour")
    assert "No map without consent." in reply.text
    assert "our error page" not in reply.text
    assert reply.get("x-error") == ""
    assert bool(reply.get("content-security-policy")) is bool(more)
    assert reply.get("content-length") == str(len(reply.body))
    assert "parameters" not in visitor.get("/openapi.json").json["paths"]["/tour"]["get"]


def test_cookies_of_fallback_pass_the_gate() -> None:
    def setting(request: Request) -> Response:
        response = PlainTextResponse("list")
        response.set_cookie("_ga", "1")
        response.set_cookie("session", "1")
        return response

    app, visitor = fastapi_site()
    app.get("/tour", dependencies=[Depends(requires("media", fallback=setting))])(lambda: "the tour")
    reply = visitor.get("/tour")
    assert (reply.text, list(reply.set_cookies)) == ("list", ["session"])


@pytest.mark.parametrize(
    ("answer", "sent"),
    [(Visitor.refuse, ["websocket.close"]), (Visitor.accept, ["websocket.accept", "websocket.close"])],
)
def test_websocket_dependency_closes_without_consent(answer: Callable[[Visitor], Any], sent: list[str]) -> None:
    app = FastAPI()

    @app.websocket("/live")
    async def live(websocket: WebSocket, allowed: Annotated[None, Depends(requires("media"))]) -> None:
        await websocket.accept()
        await websocket.close()

    visitor = Visitor(install(app))
    answer(visitor)
    connection = scope(path="/live", kind="websocket", headers=[("cookie", visitor.cookies)])
    messages = asyncio.run(drive(visitor.app, connection, [{"type": "websocket.connect"}]))
    assert [message["type"] for message in messages] == sent


# The decision, and the box in a page.


def test_app_reads_feature_from_decision() -> None:
    for answer, missing in ((Visitor.refuse, ("media",)), (Visitor.accept, ())):
        consent = consent_of(scope_after(answer))
        assert isinstance(consent, Decision)
        feature = consent.feature("map")
        assert (feature.available, feature.fallback, feature.missing) == (
            not missing,
            "No map without consent.",
            missing,
        )
        assert consent.degraded == ({"map"} if missing else set())
    with pytest.raises(LookupError, match=r'there is no feature "mpa".*Did you mean "map"'):
        consent.feature("mpa")
    with pytest.raises(LookupError, match='there is no purpose "maps"'):
        consent.allows("maps")


def test_fallback_box_replaces_feature() -> None:
    boxes: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        boxes.append(fallback_box(scope, "map"))
        assert scope["state"]["consent"].degraded == {"map"}
        await PlainTextResponse("ok")(scope, receive, send)

    visitor = Visitor(install(app))
    visitor.get("/offices", query=b"a=b")
    (form,) = forms(boxes[0])
    assert "No map without consent." in boxes[0]
    assert ("next", "/offices?a=b#pchoice-off-map") in form.hidden
    visitor.send_form(form.pressed("grant"))
    assert visitor.state()["purposes"]["media"] is True
    with pytest.raises(LookupError, match="there is no feature"):
        fallback_box(scope_after(Visitor.refuse), "nonsense")
