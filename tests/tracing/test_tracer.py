"""Tests of access records: who is traced, each field and their schema, and when records are written."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.addresses import truncate_address
from cookie_consent.ledgers.glossary import ACCESS_RECORD
from cookie_consent.sinks import MemorySink
from cookie_consent.tracing.access_record import LONGEST_LAG, VisitorLag, route_of
from cookie_consent.tracing.events import Event
from cookie_consent.tracing.tracer import Trace, Tracing, new_record_id, traced_fields
from tests.support.asgi import (
    NOW,
    PHONE,
    PREFIX,
    ROBOT,
    SITE,
    Clock,
    Fields,
    Visitor,
    bodies,
    drive,
    install,
    page_app,
    policy,
    raw_headers,
    reply_app,
    request_time,
    scope,
)
from tests.support.policies import KEY
from tests.support.waiting import eventually
from tests.tracing.test_counts import APP, BROWSER, counts

DOCS = Path(__file__).parents[2] / "docs" / "access-record.md"


class Traced(Visitor):
    """A visitor who granted all, and the records of the requests after that."""

    def __init__(self, app: ASGIApp | None = None, headers: Fields = (("user-agent", PHONE),), **options: Any) -> None:
        self.sink = MemorySink()
        super().__init__(install(app, **{"access_log": self.sink, **options}), headers)
        self.accept()

    def record(self, path: str = "/", headers: Fields = (), **more: Any) -> dict[str, Any]:
        """Get a page and return its record."""
        before = len(self.sink.records)
        self.get(path, headers, **more)
        (record,) = self.sink.records[before:]
        return record

    def scope(self) -> Scope:
        """Return the scope of a request, for an app that is driven by hand."""
        return scope(headers=[("user-agent", PHONE), ("cookie", self.cookies)])

    def statuses(self) -> list[int]:
        return [record["http.response.status_code"] for record in self.sink.records]


def record_of(headers: Fields = (), came: float = NOW, **request: Any) -> dict[str, Any]:
    """Return the record of a traced request."""
    sink = MemorySink()
    made = scope(headers=headers, **request)
    Tracing(sink, ["utm_*"]).write(made, Trace(traced_fields(made["headers"]), "v", "0" * 16, came))
    return sink.records[0]


# Who is traced.


@pytest.mark.requirement("TR-01", "LF-05")
def test_only_visitors_who_allowed_tracing_are_recorded() -> None:
    sink = MemorySink()
    visitor = Visitor(install(access_log=sink), [("user-agent", PHONE)])
    visitor.get("/unknown")
    visitor.refuse()
    visitor.get("/refused")
    visitor.save(media=True)
    visitor.get("/partial")
    visitor.save(analytics=True)
    visitor.get("/allowed")
    visitor.get("/by-signal", [("dnt", "1")])
    visitor.get("/whois/search")
    visitor.refuse()
    visitor.get("/withdrawn")
    assert [record["url.path"] for record in sink.records] == ["/allowed"]


@pytest.mark.requirement("CS-06")
@pytest.mark.parametrize(
    "header",
    [
        ("user-agent", ROBOT),
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("purpose", "Prefetch"),
    ],
)
def test_robots_and_prefetched_pages_are_not_traced(header: tuple[str, str]) -> None:
    visitor = Traced(headers=[] if header[1] == ROBOT else [("user-agent", PHONE)])
    del visitor.jar["__Host-visitor"]
    assert visitor.get("/", [header]).all("set-cookie") == []
    assert visitor.sink.records == []


def test_own_endpoints_and_assets_are_not_traced() -> None:
    visitor = Traced()
    for path in ("", "/state", "/receipt", "/export", "/policy", "/nowhere", "/assets/x.js"):
        visitor.get(PREFIX + path)
    visitor.get("/.well-known/gpc.json")
    visitor.accept()
    assert visitor.sink.records == []


@pytest.mark.parametrize(
    "options", [{"access_log": None}, {"text": SITE.replace("traces = true", "traces = false")}], ids=["log", "purpose"]
)
def test_nobody_is_traced_without(options: dict[str, Any]) -> None:
    visitor = Traced(**options)
    assert visitor.get().all("set-cookie") == []
    assert visitor.sink.records == []
    assert "__Host-visitor" not in visitor.jar


class Untouched(bytes):
    """A user agent that fails the test when it is read."""

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("the user agent was read")

    def decode(self, *args: object, **kwargs: object) -> str:
        raise AssertionError("the user agent was read")


class Untouchable:
    """An address that fails the test when it is read."""

    def __getitem__(self, key: object) -> str:
        raise AssertionError("the address was read")


@pytest.mark.requirement("EU-07", "TR-02")
@pytest.mark.parametrize("answer", [None, {}, {"media": True}, {"media": True, "analytics": True}])
def test_address_and_user_agent_are_not_read_without_consent(answer: dict[str, bool] | None) -> None:
    visitor = Visitor(install(reply_app(reads=["media"]), access_log=MemorySink()))
    if answer is not None:
        visitor.save(**answer)
    headers = [("dnt", "1")] if answer and "analytics" in answer else []
    request = scope(headers=[*headers, ("cookie", visitor.cookies)], client=Untouchable())  # type: ignore[arg-type]
    request["headers"].append((b"user-agent", Untouched(PHONE.encode())))
    asyncio.run(drive(visitor.app, request, bodies(b"")))


# The visitor id.


@pytest.mark.requirement("LP-05")
def test_visitor_id_is_kept_and_not_renewed() -> None:
    clock = Clock()
    visitor = Traced(clock=clock)
    token = visitor.jar["__Host-visitor"]
    first = visitor.record()["visitor.id"]
    clock.forward(days=100)
    assert visitor.get().all("set-cookie") == []
    assert visitor.record()["visitor.id"] == first
    assert visitor.jar["__Host-visitor"] == token
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", first)


def test_first_page_sets_missing_visitor_cookie() -> None:
    visitor = Traced()
    del visitor.jar["__Host-visitor"]
    reply = visitor.get("/")
    assert list(reply.set_cookies) == ["__Host-visitor"]
    assert "Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax; Secure" in reply.set_cookies["__Host-visitor"]
    assert reply.get("cache-control") == "private"
    assert visitor.record()["visitor.id"] == visitor.sink.records[0]["visitor.id"]
    assert visitor.jar["__Host-visitor"].startswith(visitor.sink.records[0]["visitor.id"] + ".")


def test_expired_or_forged_visitor_id_is_replaced() -> None:
    clock = Clock()
    long = SITE.replace('retention = "30 days"', 'retention = "800 days"')
    visitor = Traced(clock=clock, consent_days=400, text=long)
    token = visitor.jar["__Host-visitor"]
    old = visitor.record()["visitor.id"]
    clock.forward(days=395, seconds=-1)
    assert visitor.record()["visitor.id"] == old
    clock.forward(seconds=1)
    assert visitor.record()["visitor.id"] != old
    visitor.jar["__Host-visitor"] = token.replace(".", "x.", 1)
    assert not visitor.record()["visitor.id"].startswith(old)


# The record, field by field.


@pytest.mark.requirement("LP-06", "LP-09")
def test_record_has_exactly_the_expected_fields() -> None:
    visitor = Traced(clock=Clock())
    record = visitor.record(
        "/offices",
        [
            ("referer", "https://user:secret@search.example/find?q=secret#part"),
            ("authorization", "Bearer secret"),
            ("cookie", "session=secret; _ga=secret"),
            ("x-forwarded-for", "198.51.100.77"),
            ("x-secret", "secret"),
        ],
        query=b"utm_source=news&utm_medium=mail&token=secret&q=secret&secret",
    ).copy()  # a thread may look at the time of the sink's own
    assert record.pop("duration_ms") >= 0
    assert re.fullmatch(r"[\w-]{16}-[0-9a-f]{16}", record.pop("log.record.uid"))
    assert request_time(record) == pytest.approx(NOW, abs=0.002)
    del record["time"]
    assert record == {
        "record.version": 1,
        "record.kind": "request",
        "http.request.method": "GET",
        "server.address": "site.example",
        "url.path": "/offices",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "visitor.id": visitor.jar["__Host-visitor"].partition(".")[0],
        "client.address": "203.0.113.0",
        "http.request.referrer": "https://search.example",
        "user_agent.name": "Chrome Mobile",
        "user_agent.os": "Android",
        "user_agent.device": "mobile",
        "url.query": "utm_source=news&utm_medium=mail",
        "consent.policy": policy().version,
    }


@pytest.mark.requirement("LP-08")
def test_record_is_one_utf_8_line_of_bounded_length() -> None:
    lines: list[bytes] = []

    class Lines(MemorySink):
        def write(self, line: bytes) -> None:
            lines.append(line)

    visitor = Traced(access_log=Lines())
    odd = '/地図\n\r\x00\x1b[31m\u2028"\\' + "\x7f"
    visitor.get(odd, query=b"utm_x=%0a%22%5c%ff\xff&utm_\n=1")
    visitor.get("/" + "x" * 100_000, query=b"utm_x=" + b"y" * 100_000)
    first, second = lines
    assert first.splitlines() == first.decode().encode().splitlines() == [first.removesuffix(b"\n")]
    assert len(first.decode().splitlines()) == 1
    assert "地図" in first.decode()
    assert json.loads(first)["url.path"] == odd
    assert len(second) < 4000
    assert len(json.loads(second)["url.path"]) == len(json.loads(second)["url.query"]) == 1024


@pytest.mark.parametrize(
    ("now", "written"),
    [
        (NOW, "2025-06-15T15:06:40.250Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_599.9999, "2025-12-31T23:59:59.999Z"),
        (1_767_225_600.0015, "2026-01-01T00:00:00.001Z"),
    ],
)
def test_record_time_is_utc_with_milliseconds(now: float, written: str) -> None:
    assert record_of(came=now)["time"] == written


def test_record_time_lags_by_a_constant_per_visitor() -> None:
    clock = Clock()
    visitor = Traced(clock=clock)
    first = datetime.fromisoformat(visitor.record()["time"]).timestamp()
    assert clock.now - LONGEST_LAG <= first <= clock.now
    clock.forward(days=20, seconds=0.5)
    assert datetime.fromisoformat(visitor.record()["time"]).timestamp() == first + 20 * 86_400 + 0.5


def test_lag_depends_only_on_first_key_and_visitor_id() -> None:
    lag = VisitorLag([KEY, "n" * 32])
    assert lag("one") == VisitorLag(KEY)("one")
    assert lag("one") != VisitorLag("n" * 32)("one")
    lags = sorted(lag(str(number)) for number in range(100))
    assert 0 <= lags[0] < LONGEST_LAG / 10
    assert LONGEST_LAG * 9 / 10 < lags[-1] < LONGEST_LAG


@pytest.mark.requirement("LP-01")
@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2a03:2880:2110:df07:face:b00c::1", "2a03:2880:2110::"),
        ("::ffff:1.2.3.4", "1.2.3.0"),
        ("::1", "::"),
        ("fe80::1%eth0", "fe80::"),
        ("1.2.3.4, 5.6.7.8", None),
        ("1.2.3.4:80", None),
        ("[2a03:2880::1]:443", None),
        ("unix:/run/site.sock", None),
        ("1.2.3", None),
        ("", None),
        (None, None),
    ],
)
def test_client_address_is_truncated_or_absent(address: Any, kept: str | None) -> None:
    assert record_of(client=(address, 80)).get("client.address") == kept


def test_request_without_client_has_no_address() -> None:
    assert "client.address" not in record_of(client=None)


@given(st.ip_addresses(v=4))
def test_ipv4_address_loses_its_last_8_bits(address: Any) -> None:
    assert int(ipaddress.ip_address(truncate_address(str(address)) or "")) == int(address) >> 8 << 8


@pytest.mark.requirement("LP-01")
@given(st.ip_addresses(v=6))
def test_ipv6_address_keeps_at_most_48_bits(address: Any) -> None:
    cut = ipaddress.ip_address(truncate_address(str(address)) or "")
    if isinstance(cut, ipaddress.IPv6Address):
        assert int(cut) == int(address) >> 80 << 80
    else:
        assert str(cut) == truncate_address(str(address.ipv4_mapped))


@pytest.mark.requirement("TR-07")
@pytest.mark.parametrize(
    ("referrer", "host", "kept"),
    [
        ("https://site.example/from?a=b#c", "site.example", "https://site.example/from"),
        ("https://site.example/", "SITE.example", "https://site.example/"),
        ("http://site.example:8000/x", "site.example:8000", "http://site.example:8000/x"),
        ("https://SITE.example/x", "site.example", "https://site.example/x"),
        ("http://[::1]:8000/x?y", "[::1]:8000", "http://[::1]:8000/x"),
        ("http://[::1]/x?y", "site.example", "http://[::1]"),
        ("https://other.example/secret/path?a=b", "site.example", "https://other.example"),
        ("https://other.example:8443/x", "site.example", "https://other.example:8443"),
        ("https://user:secret@site.example/x", "site.example", "https://site.example/x"),
        ("https://site.example:1234/x", "site.example", "https://site.example:1234"),
        ("android-app://com.example/", "site.example", None),
        ("data:text/html,x", "site.example", None),
        ("/relative", "site.example", None),
        ("https://[broken", "site.example", None),
        ("https://site.example:port/", "site.example", None),
        ("https:///x", "site.example", None),
        ("", "site.example", None),
        ("\xff\xfe", "site.example", None),
    ],
)
def test_referrer_is_own_page_or_foreign_origin(referrer: str, host: str, kept: str | None) -> None:
    assert record_of([("referer", referrer)], host=host).get("http.request.referrer") == kept


@pytest.mark.requirement("TR-06")
@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", None),
        (b"utm_source=a&q=secret&utm_campaign=b%20c", "utm_source=a&utm_campaign=b+c"),
        (b"utm_source=", "utm_source="),
        (b"q=a&gclid=EAIaIQobChMI&msclkid=1", "gclid=&msclkid="),
        (b"utm_source", "utm_source="),
        (b"UTM_source=a&xutm_=b&utm=c", None),
        (b"utm_=%E5%9C%B0", "utm_=%E5%9C%B0"),
        (b"&".join([b"utm_a=1"] * 100), "&".join(["utm_a=1"] * 100)),
        (b"&".join([b"utm_a=1"] * 101), None),
        (b"&&&=&=utm_a", None),
    ],
)
def test_query_keeps_only_allowed_keys(query: bytes, kept: str | None) -> None:
    assert record_of(query=query).get("url.query") == kept


# Routes.


async def _ok(request: Request) -> Response:
    return PlainTextResponse("ok")


def test_starlette_route_template_is_recorded() -> None:
    app = Starlette(
        routes=[
            Route("/offices/{office}", _ok),
            Mount("/shop", routes=[Route("/{item:int}", _ok), Mount("/deep", routes=[Route("/{x}/y", _ok)])]),
            Mount("/plain", reply_app()),
        ]
    )
    visitor = Traced(app)
    routes = [
        visitor.record(path).get("http.route")
        for path in ("/offices/tokyo", "/shop/7", "/shop/deep/a/y", "/nowhere", "/offices/kyoto")
    ]
    assert routes == ["/offices/{office}", "/shop/{item}", "/shop/deep/{x}/y", None, "/offices/{office}"]
    assert route_of({"path": "/offices"}) == ""


@pytest.mark.parametrize("prefix", ["/sub", ""], ids=["path with root_path", "path without root_path"])
def test_route_template_has_root_path_only_if_the_path_has(prefix: str) -> None:
    """Some proxies remove the root path from the path."""
    visitor = Traced(Starlette(routes=[Route("/offices/{office}", _ok)]))
    record = visitor.record(f"{prefix}/offices/tokyo", root_path="/sub")
    assert (record["url.path"], record["http.route"]) == (f"{prefix}/offices/tokyo", f"{prefix}/offices/{{office}}")


def test_fastapi_route_template_is_recorded() -> None:
    app = FastAPI()
    router = APIRouter(prefix="/api")

    @router.get("/offices/{office}")
    async def offices(office: str) -> str:
        return office

    app.include_router(router)
    assert Traced(app).record("/api/offices/tokyo")["http.route"] == "/api/offices/{office}"


# When a record is written, and sinks that fail.


@pytest.mark.requirement("TR-04")
def test_record_is_written_once_after_the_response_ends() -> None:
    visitor = Traced(reply_app([b"a", b"b", b"c"]))
    seen: list[int] = []
    sent = asyncio.run(
        drive(visitor.app, visitor.scope(), bodies(b""), lambda _: seen.append(len(visitor.sink.records)))
    )
    assert seen == [0] * len(sent)
    assert visitor.statuses() == [200]


def test_record_has_the_duration_of_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.06)
        await reply_app()(scope, receive, send)

    visitor = Traced(app)
    began = time.perf_counter()
    milliseconds = visitor.record()["duration_ms"]
    assert 50 <= milliseconds <= (time.perf_counter() - began) * 1000


START: Message = {"type": "http.response.start", "status": 206, "headers": []}


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([START, {"type": "http.response.body", "body": b""}], 206),
        ([START, {"type": "http.response.pathsend", "path": "/srv/file"}], 206),
        ([START, {"type": "http.response.body", "body": b"a", "more_body": True}, ConnectionResetError()], 206),
        ([ConnectionResetError()], 500),
        ([{"type": "http.response.debug", "info": {}}, START, {"type": "http.response.body"}], 206),
        ([{"type": "http.response.push", "path": "/x", "headers": []}, START, {"type": "http.response.body"}], 206),
    ],
    ids=["whole", "pathsend", "interrupted", "app that raises", "after a debug message", "after a push"],
)
def test_record_has_the_status_of(messages: list[Any], status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            if isinstance(message, Exception):
                raise message
            await send(message)

    visitor = Traced(app)
    sent: list[Message] = []
    with suppress(ConnectionResetError):
        asyncio.run(drive(visitor.app, visitor.scope(), bodies(b""), sent.append))
    assert [message["type"] for message in sent] == [message["type"] for message in messages[: len(sent)]]
    assert visitor.statuses() == [status]


class Raising(MemorySink):
    """A sink that refuses records."""

    def write(self, line: bytes) -> None:
        raise OSError("this sink is broken")


@pytest.mark.requirement("DG-06")
@pytest.mark.parametrize("app", [reply_app(), page_app(), reply_app([b"a", b"b"])])
def test_failing_sink_costs_no_page(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    visitor = Traced(app, access_log=Raising())
    for _ in range(3):
        assert visitor.get().status == 200
    assert caplog.messages == ["The sink does not take access records; they are lost: OSError('this sink is broken')"]


def test_records_are_written_before_shutdown_completes(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await reply_app()(scope, receive, send)
            return
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})

    visitor = Traced(app, access_log=path)
    visitor.get("/last")
    lines: dict[str, int] = {}

    def count_lines(message: Message) -> None:
        lines[message["type"]] = len(path.read_text().splitlines()) if path.exists() else 0

    events: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    asyncio.run(drive(visitor.app, {"type": "lifespan", "asgi": {"version": "3.0"}}, events, count_lines))
    assert lines["lifespan.shutdown.complete"] == 1


@pytest.mark.requirement("LP-07")
def test_clock_two_years_ahead_for_one_request_removes_no_records(tmp_path: Path) -> None:
    clock = Clock(time.time())
    log = tmp_path / "access.jsonl"
    site = install(clock=clock, access_log=str(log))
    visitor = Visitor(site, [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/one")
    assert eventually(lambda: log.is_file() and log.stat().st_size)
    clock.forward(days=730)
    Visitor(site).accept()
    clock.forward(days=-730)
    visitor.get("/three")
    access_log = site._site.access_log
    assert access_log is not None
    assert access_log.retention is not None
    access_log.retention.wait()
    access_log.close()
    kept = [json.loads(line)["url.path"] for line in log.read_text("utf-8").splitlines() if line.strip()]
    assert kept == ["/one", "/three"]


_odd = st.text(st.characters(min_codepoint=0, max_codepoint=0xFF), max_size=40)


@given(
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map("/".__add__),
    query=st.binary(max_size=60),
    agent=_odd,
    referrer=_odd,
    host=_odd,
    client=st.one_of(st.none(), st.tuples(st.text(max_size=20), st.integers(0, 65535))),
    method=st.text("GETPOSTXYZ", min_size=1, max_size=8),
)
@pytest.mark.slow
def test_any_request_gives_a_record_that_matches_the_schema(
    path: str, query: bytes, agent: str, referrer: str, host: str, client: Any, method: str
) -> None:
    fields = dict(raw_headers([("user-agent", agent), ("referer", referrer), ("host", host)]))
    sink = MemorySink()
    Tracing(sink, ["utm_*"]).write(scope(method, path, query=query, client=client), Trace(fields, "v", "0" * 16, NOW))
    assert sink.records[0]["url.path"] == path
    assert problems("access_record", sink.records[0]) == []


# The ids of records.


def test_id_is_prefix_of_the_process_and_random_number() -> None:
    made = [new_record_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(re.fullmatch(rb"[\w-]{16}-[0-9a-f]{16}", one) for one in made)
    assert {one[:16] for one in made} == {made[0][:16]}
    assert sorted(made) != made, "ids have no order"


FORKED = """
import os
from cookie_consent.tracing.tracer import new_record_id
new_record_id()
if child := os.fork():
    os.waitpid(child, 0)
print(*(new_record_id().decode() for _ in range(500)), flush=True)
"""


@pytest.mark.slow
def test_forked_process_repeats_no_id_of_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    made = done.stdout.split()
    assert len(set(made)) == len(made) == 1000


# The schemas, and the page of docs about them.


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("cookie_consent").joinpath(f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return found


CHECKERS = {
    name: jsonschema.Draft202012Validator(schema(name), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    for name in ("access_record", "access_count")
}


def problems(name: str, record: object) -> list[str]:
    return [error.message for error in CHECKERS[name].iter_errors(record)]


def test_records_and_counts_match_their_schemas() -> None:
    sink = MemorySink()
    app = install(APP, access_log=sink)
    visitor = Visitor(app, BROWSER)
    visitor.get("/")
    visitor.accept()
    visitor.get("/", [("referer", "https://elsewhere.example/?q=1")], query=b"utm_source=mail")
    visitor.get("/missing", client=("2001:db8::1", 5))
    event = Event(name="download", path="/price-list.pdf", properties={"pages": 3}, duration_ms=5.0)
    Tracing(sink, []).write_event({}, Trace({b"user-agent": PHONE.encode()}, "v", "0" * 16, 0.0), event)
    counts(app, sink)
    assert [problems("access_record", record) for record in sink.records] == [[]] * 3
    assert sink.counts
    assert [problems("access_count", count) for count in sink.counts if problems("access_count", count)] == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"client.address": "203.0.113.77"}, "does not match"),
        ({"user_agent.original": "Mozilla/5.0"}, "Additional properties"),
        ({"record.kind": "event"}, "'event.name' is a required property"),
        ({"time": "2026-11-25 10:00"}, "does not match"),
    ],
    ids=["full address", "full user agent", "event without a name", "format of the time"],
)
def test_record_with_invalid_field_fails_the_schema(change: dict[str, Any], complaint: str) -> None:
    assert any(complaint in problem for problem in problems("access_record", record_of() | change))


@pytest.mark.parametrize(("name", "heading"), [("access_record", "Access records"), ("access_count", "Counts")])
def test_documentation_lists_exactly_the_schema_fields(name: str, heading: str) -> None:
    section = DOCS.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    assert sorted(documented) == sorted(schema(name)["properties"])


def test_documentation_examples_match_the_schemas() -> None:
    examples = re.findall(r"^```json\n(.*?)^```", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    record, count = map(json.loads, examples)
    assert (problems("access_record", record), problems("access_count", count)) == ([], [])


def test_glossary_for_visitors_explains_each_record_field() -> None:
    assert schema("access_record")["properties"].keys() == ACCESS_RECORD.keys()
