"""Tests of events: who may send them, which bodies are accepted, and what is recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware
from cookie_consent.http.forms import Problem, read_json_object
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.pages.assets import assets, script_address
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.events import Event, read_event
from tests.support.asgi import (
    PHONE,
    PREFIX,
    ROBOT,
    SITE,
    Clock,
    Fields,
    Reply,
    Visitor,
    call,
    install,
    policy,
    request_time,
)
from tests.support.policies import KEY

EVENTS = f"{PREFIX}/events"
BEACON = ("content-type", "text/plain;charset=UTF-8")
OWN = ("sec-fetch-site", "same-origin")
DOWNLOAD = {"name": "download", "path": "/docs", "properties": {"file": "/report.pdf", "pages": 12, "new": True}}


class EventVisitor(Visitor):
    """A visitor with a phone, and the events that the site recorded."""

    def __init__(self, headers: Fields = (("user-agent", PHONE),), **options: Any) -> None:
        self.sink = MemorySink()
        super().__init__(install(**{"access_log": self.sink, **options}), headers)

    def send_event(self, event: object = DOWNLOAD, headers: Fields = (), **more: Any) -> Reply:
        return self.post(event, headers, EVENTS, **more)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [record for record in self.sink.records if record["record.kind"] == "event"]


@pytest.fixture
def visitor() -> EventVisitor:
    """A visitor who granted all."""
    visitor = EventVisitor()
    visitor.accept()
    return visitor


def assert_refused(reply: Reply, status: int, detail: str = "") -> None:
    assert (reply.status, reply.get("content-type")) == (status, "application/problem+json")
    assert detail in reply.json["detail"]
    assert reply.all("set-cookie") == []


# What is recorded.


def test_event_is_recorded_for_its_visitor() -> None:
    visitor = EventVisitor(clock=Clock())
    visitor.accept()
    visitor.get("/docs")
    reply = visitor.send_event()
    assert (reply.status, reply.body, reply.all("set-cookie")) == (204, b"", [])
    (event,) = visitor.events
    visit = visitor.sink.records[0]
    same = ("visitor.id", "client.address", "user_agent.name", "user_agent.device", "consent.policy", "server.address")
    assert {key: event[key] for key in same} == {key: visit[key] for key in same}
    assert event["log.record.uid"] != visit["log.record.uid"]
    assert event.keys() - visit.keys() == {"event.name", "event.properties"}
    assert (event["event.name"], event["url.path"]) == ("download", "/docs")
    assert event["event.properties"] == DOWNLOAD["properties"]
    assert request_time(event) == pytest.approx(1_750_000_000.25, abs=0.002)
    assert not event.keys() & {"http.request.method", "http.response.status_code", "duration_ms", "consent.purpose"}


def test_event_with_own_purpose_needs_that_purpose_too() -> None:
    visitor = EventVisitor()
    visitor.save(analytics=True, media=False)
    for_media = {"name": "played", "path": "/videos", "purpose": "media", "duration_ms": 1500}
    assert_refused(visitor.send_event(for_media), 403, "'media'")
    assert visitor.events == []
    visitor.save(analytics=True, media=True)
    assert visitor.send_event(for_media).status == 204
    assert (visitor.events[0]["consent.purpose"], visitor.events[0]["duration_ms"]) == ("media", 1500)
    visitor.save(analytics=False, media=True)
    assert_refused(visitor.send_event(for_media), 403)
    assert len(visitor.events) == 1


def test_event_without_visitor_cookie_sets_a_new_one(visitor: EventVisitor) -> None:
    old = visitor.jar.pop("__Host-visitor")
    assert visitor.send_event().status == 204
    assert visitor.jar["__Host-visitor"] != old
    visitor.get("/")
    assert len({record["visitor.id"] for record in visitor.sink.records}) == 1


# Who may send events.


def test_event_without_consent_is_refused() -> None:
    visitor = EventVisitor()
    assert_refused(visitor.send_event(), 403, "does not allow tracing")
    visitor.refuse()
    assert_refused(visitor.send_event(), 403)
    visitor.save(media=True)
    assert_refused(visitor.send_event(), 403)
    visitor.accept()
    assert visitor.send_event().status == 204
    visitor.refuse()
    assert_refused(visitor.send_event(), 403)
    assert len(visitor.events) == 1


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        *((path, 403, "tracing") for path in ("/whois", "/whois/", "/whois/a", "/%77hois/a", "/whois%2Fa")),
        *((path, 400, "not traced") for path in (PREFIX, f"{PREFIX}/", f"{PREFIX}/requests")),
        *((path, 400, '"path"') for path in ("/a/../whois", "/a/%2e%2E/whois", "/./whois", "//whois", "/\\whois")),
    ],
)
def test_event_is_refused_for_path(visitor: EventVisitor, path: str, status: int, detail: str) -> None:
    assert_refused(visitor.send_event({"name": "x", "path": path}), status, detail)
    assert visitor.events == []
    assert visitor.send_event({"name": "x", "path": "/whoiswho"}).status == 204


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([OWN, ("dnt", "1")], "does not allow tracing"),
        ([OWN, ("user-agent", ROBOT)], "Robots"),
        ([OWN, ("sec-purpose", "prefetch;prerender")], "Robots"),
        ([OWN, ("purpose", "prefetch")], "Robots"),
        ([("sec-fetch-site", "cross-site")], "own pages"),
        ([("origin", "https://other.example")], "own pages"),
        ([], "own pages"),
    ],
)
def test_event_is_refused_from(visitor: EventVisitor, headers: Fields, detail: str) -> None:
    body = json.dumps(DOWNLOAD).encode()
    if ("user-agent", ROBOT) in headers:
        visitor.headers = []
    assert_refused(visitor.request("POST", EVENTS, [BEACON, *headers], body), 403, detail)
    assert visitor.events == []


def test_events_are_limited_per_visitor_and_minute() -> None:
    clock = Clock()
    visitor = EventVisitor(clock=clock)
    visitor.accept()
    assert {visitor.send_event().status for _ in range(120)} == {204}
    clock.forward(seconds=20)
    reply = visitor.send_event()
    assert_refused(reply, 429)
    assert reply.get("retry-after") == "40"
    other = Visitor(visitor.app, visitor.headers)
    other.accept()
    assert other.post(DOWNLOAD, path=EVENTS).status == 204
    clock.forward(seconds=40)
    assert visitor.send_event().status == 204
    assert len(visitor.events) == 122


def test_event_without_access_log_is_not_found() -> None:
    visitor = EventVisitor(access_log=None)
    visitor.accept()
    assert_refused(visitor.send_event(), 404, "access log")


# Which bodies are accepted.


def test_event_with_all_fields_is_read() -> None:
    fields: dict[str, Any] = {
        "name": "a_1.b:c-d",
        "path": "/" + "a" * 1023,
        "query": "q" * 1024,
        "properties": {"text": "x" * 200, "k" * 40: -1.5, "no": False, "most": 2**53 - 1},
        "duration_ms": 7 * 86_400_000,
        "purpose": "media",
    }
    assert read_event(fields) == Event(**fields)
    assert read_event({"name": "x" * 64, "path": "/"}) == Event(name="x" * 64, path="/")
    assert read_event({"name": "x", "path": "/%41", "duration_ms": 0}) == Event(name="x", path="/A", duration_ms=0)


WRONG: dict[str, list[Any]] = {
    "name": ["", "X", "a b", "a" * 65, "x\n", "é", 1, None, []],
    "path": ["", "a", "/a?b", "/a#b", "/a b", "/é", "/" + "a" * 1024, "/%00", "/a\n", 1, None],
    "query": ["a" * 1025, "\0", 1],
    "properties": [
        *([], "x", None, {str(number): 1 for number in range(11)}),
        *({"a": "x" * 201}, {"a": None}, {"a": []}, {"a": {}}, {"a": "\0"}, {"a": "\ud800"}),
        *({"a": 2**53}, {"a": -(2**53)}, {"a": 10**400}),
        *({"": 1}, {"k" * 41: 1}, {"\0": 1}, {"\udfff": 1}),
    ],
    "duration_ms": [-1, "1", True, 7 * 86_400_000 + 1, None],
    "purpose": [1, None, [], "x" * 201],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_invalid_event_field_is_refused_with_advice(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f'^"{key}": Write '):
        read_event({**DOWNLOAD, key: value})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 4000, "JSON"),
        (b"[]", "JSON object"),
        (b'{"name": "x", "name": "y", "path": "/"}', "each key once"),
        (b'{"path": "/"}', '"name" is missing: Write '),
        (b'{"name": "x"}', '"path" is missing: Write '),
        (b'{"name": "x", "path": "/", "visitor": "y"}', "'visitor'"),
        (b'{"name": "x", "path": "/", "duration_ms": NaN}', "JSON"),
        (b'{"name": "x", "path": "/", "properties": {"a": 1e999}}', '"properties": Write '),
        (b'{"name": "x", "path": "/", "purpose": "medai"}', '"media"'),
        (b'{"name": "x", "path": "/", "purpose": "necessary"}', "'necessary'"),
    ],
)
def test_invalid_event_body_is_refused(visitor: EventVisitor, body: bytes, detail: str) -> None:
    assert_refused(visitor.send_event(body), 400, detail)
    assert_refused(visitor.request("POST", EVENTS, [BEACON, OWN], body), 400, detail)
    assert visitor.events == []


def test_event_body_has_a_size_limit_and_two_content_types(visitor: EventVisitor) -> None:
    event = json.dumps(DOWNLOAD).encode()
    assert visitor.send_event(event.ljust(4096)).status == 204
    assert visitor.request("POST", EVENTS, [BEACON, OWN], event).status == 204
    assert_refused(visitor.send_event(event.ljust(4097)), 413)
    for kind in ("", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"):
        assert_refused(visitor.request("POST", EVENTS, [("content-type", kind), OWN], event), 400, "text/plain")
    assert len(visitor.events) == 2


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_likely = st.fixed_dictionaries(
    {"name": st.text() | st.just("x"), "path": st.text().map("/".__add__)},
    optional=dict.fromkeys(("query", "properties", "duration_ms", "purpose", "other"), _json),
)


@given(st.binary() | (_json | _likely).map(lambda data: json.dumps(data).encode()))
@example(b'{"name": "x", "path": "/%ff%fe"}')
def test_any_event_body_is_refused_or_read_within_limits(body: bytes) -> None:
    try:
        event = read_event(read_json_object(body))
    except (Problem, ValueError):
        return
    assert re.fullmatch(r"[a-z0-9_.:-]{1,64}", event.name)
    assert event.path.startswith("/")
    assert len(event.path) <= 1024
    assert len(json.dumps(dict(event.properties), ensure_ascii=False).encode()) < 10_000


# The script.


def test_script_is_under_1500_bytes_and_stores_nothing() -> None:
    script = assets()["track.js"].content
    assert len(brotli.compress(script, quality=11)) < 1500
    never = (b"cookie;", b".cookie", b"cookieStore", b"Storage", b"indexedDB", b"caches", b"HTML =", b"eval(", b"http:")
    assert [word for word in never if word in script] == []


def test_script_address_names_tracing_purposes() -> None:
    reply = call(install(), path=f"{PREFIX}/track.js")
    assert reply.get("content-type") == "text/javascript; charset=utf-8"
    assert reply.text == f'export * from "./assets/{script_address(["analytics"])}";\n'
    assert script_address({"b", "a"}).endswith(".js?for=a&for=b")
    name, _, query = script_address(["analytics"]).partition("?")
    script = call(install(), path=f"{PREFIX}/assets/{name}", query=query.encode())
    assert (script.status, script.body) == (200, assets()["track.js"].content)


def test_template_includes_script_only_when_tracing_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>{{ privacy_tracking }}</p>")
    templates = Jinja2Templates(tmp_path, context_processors=[consent_context])

    async def page(request: Request) -> Response:
        request.state.consent.nonce = request.query_params.get("nonce", "")
        return templates.TemplateResponse(request, "page.html")

    two = SITE + (
        '[purposes.study]\ntitle = { en = "a", ja = "b" }\ndescription = { en = "a", ja = "b" }\n'
        'retention = "1 day"\ntraces = true\n'
    )
    middleware = Middleware(ConsentMiddleware, policy=policy(two), secret_keys=[KEY], settings_link=False)
    visitor = Visitor(Starlette(routes=[Route("/{path:path}", page)], middleware=[middleware]))
    assert "<p></p>" in visitor.get("/").text
    visitor.accept()
    address = f"{PREFIX}/assets/{assets()['track.js'].name}?for=analytics&amp;for=study"
    assert visitor.get("/").text == f'<p><script type="module" src="{address}"></script></p>'
    assert visitor.get("/", query=b"nonce=a%22").text == (
        f'<p><script type="module" src="{address}" nonce="a&#34;"></script></p>'
    )
    assert visitor.get("/", headers=[("dnt", "1")]).text == "<p></p>"
    visitor.save(media=True)
    assert visitor.get("/").text == "<p></p>"
