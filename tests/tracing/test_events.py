"""Events: who may send them, what is taken for one, and what becomes of it."""

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
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware
from cookie_consent.base.problem import Problem
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.events import Event, read_event
from cookie_consent.visitors.pages.assets import assets, script_address
from tests.support.asgi import PHONE, PREFIX, ROBOT, SITE, Clock, Fields, Reply, Visitor, call, came, install, policy
from tests.support.policies import KEY

EVENTS = f"{PREFIX}/events"
BEACON = ("content-type", "text/plain;charset=UTF-8")
OWN = ("sec-fetch-site", "same-origin")
DOWNLOAD = {"name": "download", "path": "/docs", "properties": {"file": "/report.pdf", "pages": 12, "new": True}}


class Reader(Visitor):
    """Somebody with a phone, and the events of all who visit the site."""

    def __init__(self, headers: Fields = (("user-agent", PHONE),), **options: Any) -> None:
        self.sink = MemorySink()
        super().__init__(install(**{"access_log": self.sink, **options}), headers)

    def tell(self, event: object = DOWNLOAD, headers: Fields = (), **more: Any) -> Reply:
        return self.post(event, headers, EVENTS, **more)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [record for record in self.sink.records if record["record.kind"] == "event"]


@pytest.fixture
def reader() -> Reader:
    """Somebody who allows all."""
    reader = Reader()
    reader.accept()
    return reader


def is_refused(reply: Reply, status: int, detail: str = "") -> None:
    assert (reply.status, reply.get("content-type")) == (status, "application/problem+json")
    assert detail in reply.json["detail"]
    assert reply.all("set-cookie") == []


# What is recorded.


def test_an_event_becomes_a_record_of_its_visitor() -> None:
    reader = Reader(clock=Clock())
    reader.accept()
    reader.get("/docs")
    reply = reader.tell()
    assert (reply.status, reply.body, reply.all("set-cookie")) == (204, b"", [])
    (event,) = reader.events
    visit = reader.sink.records[0]
    assert visit["record.kind"] != "event"
    same = ("visitor.id", "client.address", "user_agent.name", "user_agent.device", "consent.policy", "server.address")
    assert {key: event[key] for key in same} == {key: visit[key] for key in same}
    assert event["log.record.uid"] != visit["log.record.uid"]
    assert event.keys() - visit.keys() == {"event.name", "event.properties"}
    assert (event["event.name"], event["url.path"]) == ("download", "/docs")
    assert event["event.properties"] == DOWNLOAD["properties"]
    assert came(event) == pytest.approx(1_750_000_000.25, abs=0.002)
    assert not event.keys() & {"http.request.method", "http.response.status_code", "duration_ms", "consent.purpose"}


def test_a_text_as_beacons_send_it_is_an_event_too(reader: Reader) -> None:
    body = json.dumps({"name": "page_leave", "path": "/", "duration_ms": 1500}).encode()
    assert reader.request("POST", EVENTS, [BEACON, OWN], body).status == 204
    assert (reader.events[0]["event.name"], reader.events[0]["duration_ms"]) == ("page_leave", 1500)


def test_a_path_is_recorded_as_that_of_a_request_for_it(reader: Reader) -> None:
    reader.tell({"name": "x", "path": "/%E6%96%87%E6%9B%B8%20a%25"})
    reader.get("/文書 a%")
    assert [record["url.path"] for record in reader.sink.records] == ["/文書 a%"] * 2


def test_of_a_query_just_the_allowed_parameters_are_kept() -> None:
    reader = Reader(query_keys=["utm_*"])
    reader.accept()
    reader.tell({"name": "page_view", "path": "/", "query": "utm_source=letter&token=secret"})
    reader.tell({"name": "page_view", "path": "/", "query": "token=secret"})
    assert reader.events[0]["url.query"] == "utm_source=letter"
    assert "secret" not in json.dumps(reader.sink.records)


def test_an_event_may_be_for_a_purpose_of_its_own_which_has_to_be_allowed_as_well() -> None:
    reader = Reader()
    reader.save(analytics=True, media=False)
    for_media = {"name": "played", "path": "/videos", "purpose": "media"}
    is_refused(reader.tell(for_media), 403, "'media'")
    assert reader.events == []
    reader.save(analytics=True, media=True)
    assert reader.tell(for_media).status == 204
    assert reader.events[0]["consent.purpose"] == "media"
    reader.save(analytics=False, media=True)
    is_refused(reader.tell(for_media), 403)
    assert len(reader.events) == 1


def test_who_lost_the_visitor_cookie_gets_another_with_the_event(reader: Reader) -> None:
    old = reader.jar.pop("__Host-visitor")
    assert reader.tell().status == 204
    assert reader.jar["__Host-visitor"] != old
    reader.get("/")
    assert len({record["visitor.id"] for record in reader.sink.records}) == 1


def test_a_sink_that_takes_nothing_costs_the_event_and_no_more() -> None:
    class Full(MemorySink):
        def write(self, line: bytes) -> None:
            raise OSError("no space left")

    reader = Reader(access_log=Full())
    reader.accept()
    assert reader.tell().status == 204


# Who may send them.


def test_without_consent_nothing_is_recorded() -> None:
    reader = Reader()
    is_refused(reader.tell(), 403, "does not allow tracing")
    reader.refuse()
    is_refused(reader.tell(), 403)
    reader.save(media=True)
    is_refused(reader.tell(), 403)
    reader.accept()
    assert reader.tell().status == 204
    reader.refuse()
    is_refused(reader.tell(), 403)
    assert len(reader.events) == 1


def test_a_signal_that_refuses_tracing_refuses_events(reader: Reader) -> None:
    is_refused(reader.tell(headers=[("dnt", "1")]), 403)
    assert reader.events == []


@pytest.mark.parametrize("path", ["/whois", "/whois/", "/whois/a", "/%77hois/a", "/whois%2Fa"])
def test_a_service_that_refuses_tracing_is_not_traced_by_an_event_that_names_its_path(
    reader: Reader, path: str
) -> None:
    is_refused(reader.tell({"name": "x", "path": path}), 403)
    assert reader.events == []
    assert reader.tell({"name": "x", "path": "/whoiswho"}).status == 204


@pytest.mark.parametrize("path", ["/a/../whois", "/a/%2e%2E/whois", "/./whois", "//whois", "/\\whois", "/%2E/whois"])
def test_no_detour_leads_to_it(reader: Reader, path: str) -> None:
    is_refused(reader.tell({"name": "x", "path": path}), 400, '"path"')


def test_where_the_app_is_mounted_a_service_is_found_below() -> None:
    sink = MemorySink()
    app = ConsentMiddleware(Starlette(), policy(), KEY, access_log=sink, settings_link=False)
    reader = Visitor(Starlette(routes=[Mount("/shop", app)]), [("user-agent", PHONE)])
    reader.post({"choice": "accept_all"}, path=f"/shop{PREFIX}")
    told = [
        reader.post({"name": "x", "path": path}, path=f"/shop{EVENTS}").status
        for path in ("/shop/whois", "/shop/offers", f"/shop{PREFIX}")
    ]
    assert told == [403, 204, 400]
    assert [record["url.path"] for record in sink.records] == ["/shop/offers"]


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/", f"{PREFIX}/requests"])
def test_the_privacy_choices_themselves_are_not_traced(reader: Reader, path: str) -> None:
    is_refused(reader.tell({"name": "x", "path": path}), 400, "not traced")


@pytest.mark.parametrize(
    "header", [("user-agent", ROBOT), ("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")]
)
def test_robots_and_pages_loaded_in_advance_send_none(header: tuple[str, str]) -> None:
    reader = Reader()
    reader.accept()
    reader.headers = [header]
    is_refused(reader.tell(), 403, "Robots")
    assert reader.events == []


@pytest.mark.parametrize("headers", [[("sec-fetch-site", "cross-site")], [("origin", "https://other.example")], []])
def test_other_sites_send_none(reader: Reader, headers: Fields) -> None:
    body = json.dumps(DOWNLOAD).encode()
    is_refused(reader.request("POST", EVENTS, [BEACON, *headers], body), 403, "own pages")
    assert reader.events == []


@pytest.mark.slow
def test_a_visitor_sends_so_many_in_a_minute_and_others_as_many() -> None:
    clock = Clock()
    reader = Reader(clock=clock)
    reader.accept()
    assert {reader.tell().status for _ in range(120)} == {204}
    clock.forward(seconds=20)
    reply = reader.tell()
    is_refused(reply, 429)
    assert reply.get("retry-after") == "40"
    other = Visitor(reader.app, reader.headers)
    other.accept()
    assert other.post(DOWNLOAD, path=EVENTS).status == 204
    clock.forward(seconds=40)
    assert reader.tell().status == 204
    assert len(reader.events) == 122


def test_without_an_access_log_there_is_nothing_to_send_them_to() -> None:
    reader = Reader(access_log=None)
    reader.accept()
    is_refused(reader.tell(), 404, "access log")


# What is taken for an event.


def test_all_that_an_event_may_say() -> None:
    said: dict[str, Any] = {
        "name": "a_1.b:c-d",
        "path": "/",
        "query": "a=b",
        "properties": {"text": "x" * 200, "k" * 40: -1.5, "no": False, "most": 2**53 - 1},
        "duration_ms": 0,
        "purpose": "media",
    }
    assert read_event(json.dumps(said).encode()) == Event(**said)
    assert read_event(b'{"name": "x", "path": "/"}') == Event(name="x", path="/")


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
    "duration_ms": [-1, "1", True, 10**9, None],
    "purpose": [1, None, [], "x" * 201],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_what_is_wrong_with_an_event_is_said(reader: Reader, key: str, value: Any) -> None:
    is_refused(reader.tell({**DOWNLOAD, key: value}), 400, f'"{key}": Write ')
    assert reader.events == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 4000, "JSON"),
        (b"[]", "JSON object"),
        (b'"x"', "JSON object"),
        (b'{"name": "x", "name": "y", "path": "/"}', "each key once"),
        (b'{"path": "/"}', '"name" is missing: Write '),
        (b'{"name": "x"}', '"path" is missing: Write '),
        (b'{"name": "x", "path": "/", "visitor": "y"}', "'visitor'"),
        (b'{"name": "x", "path": "/", "duration_ms": NaN}', "JSON"),
        (b'{"name": "x", "path": "/", "properties": {"a": 1e999}}', '"properties"'),
        (b'{"name": "x", "path": "/", "purpose": "medai"}', '"media"'),
        (b'{"name": "x", "path": "/", "purpose": "necessary"}', "'necessary'"),
    ],
)
def test_what_is_no_event_is_refused(reader: Reader, body: bytes, detail: str) -> None:
    is_refused(reader.tell(body), 400, detail)
    is_refused(reader.request("POST", EVENTS, [BEACON, OWN], body), 400, detail)
    assert reader.events == []


def test_a_body_is_of_4_kib_at_most_and_of_two_types(reader: Reader) -> None:
    event = json.dumps(DOWNLOAD).encode()
    assert reader.tell(event.ljust(4096)).status == 204
    is_refused(reader.tell(event.ljust(4097)), 413)
    is_refused(reader.tell(event.ljust(70_000)), 413)
    for kind in ("", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"):
        is_refused(reader.request("POST", EVENTS, [("content-type", kind), OWN], event), 400, "text/plain")
    assert len(reader.events) == 1


def test_events_are_posted_and_nothing_else(reader: Reader) -> None:
    reply = reader.get(EVENTS, [("accept", "text/html")])
    is_refused(reply, 405)
    assert reply.get("allow") == "POST"


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
def test_whatever_is_sent_is_an_event_or_refused_and_fits_into_a_line(body: bytes) -> None:
    try:
        event = read_event(body)
    except Problem:
        return
    assert re.fullmatch(r"[a-z0-9_.:-]{1,64}", event.name)
    assert event.path.startswith("/")
    assert len(event.path) <= 1024
    assert len(json.dumps(dict(event.properties), ensure_ascii=False).encode()) < 10_000


# The script.


def test_the_script_is_under_1500_bytes_and_stores_nothing() -> None:
    script = assets()["track.js"].content
    assert len(brotli.compress(script, quality=11)) < 1500
    never = (b"cookie;", b".cookie", b"cookieStore", b"Storage", b"indexedDB", b"caches", b"HTML =", b"eval(", b"http:")
    assert [word for word in never if word in script] == []


def test_the_address_of_the_script_says_which_purposes_trace() -> None:
    reply = call(install(), path=f"{PREFIX}/track.js")
    assert reply.get("content-type") == "text/javascript; charset=utf-8"
    assert reply.text == f'export * from "./assets/{script_address(["analytics"])}";\n'
    assert script_address({"b", "a"}).endswith(".js?for=a&for=b")
    name, _, query = script_address(["analytics"]).partition("?")
    script = call(install(), path=f"{PREFIX}/assets/{name}", query=query.encode())
    assert (script.status, script.body) == (200, assets()["track.js"].content)


def test_a_template_brings_the_script_to_those_who_allow_tracing(tmp_path: Path) -> None:
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
    reader = Visitor(Starlette(routes=[Route("/{path:path}", page)], middleware=[middleware]))
    assert "<p></p>" in reader.get("/").text
    reader.accept()
    address = f"{PREFIX}/assets/{assets()['track.js'].name}?for=analytics&amp;for=study"
    assert reader.get("/").text == f'<p><script type="module" src="{address}"></script></p>'
    assert reader.get("/", query=b"nonce=a%22").text == (
        f'<p><script type="module" src="{address}" nonce="a&#34;"></script></p>'
    )
    assert reader.get("/", headers=[("dnt", "1")]).text == "<p></p>"
    reader.save(media=True)
    assert reader.get("/").text == "<p></p>"
