"""Tests of access records: who is traced, each field, and when records are written."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

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
from cookie_consent.sinks import JsonLinesSink, MemorySink
from cookie_consent.tracing.access_record import VisitorLag
from cookie_consent.tracing.tracer import Trace, Tracing
from tests.support.asgi import (
    NOW,
    PAGE,
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
    reply_app,
    request_time,
    scope,
)
from tests.support.policies import KEY
from tests.support.waiting import eventually


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


# Who is traced.


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


@pytest.mark.parametrize(
    "headers",
    [
        [("user-agent", ROBOT)],
        [("sec-purpose", "prefetch")],
        [("sec-purpose", "prefetch;prerender")],
        [("purpose", "Prefetch")],
    ],
)
def test_robots_and_prefetched_pages_are_not_traced(headers: Fields) -> None:
    visitor = Traced(headers=[] if ("user-agent", ROBOT) in headers else [("user-agent", PHONE)])
    del visitor.jar["__Host-visitor"]
    reply = visitor.get("/", headers)
    assert visitor.sink.records == []
    assert reply.all("set-cookie") == []


def test_own_endpoints_and_assets_are_not_traced() -> None:
    visitor = Traced()
    for path in ("", "/state", "/receipt", "/export", "/policy", "/nowhere", "/assets/x.js"):
        visitor.get(PREFIX + path)
    visitor.get("/.well-known/gpc.json")
    visitor.accept()
    assert visitor.sink.records == []


def test_nobody_is_traced_without_access_log() -> None:
    visitor = Visitor(install(), [("user-agent", PHONE)])
    visitor.accept()
    assert visitor.get().all("set-cookie") == []


def test_nobody_is_traced_without_tracing_purpose() -> None:
    visitor = Traced(text=SITE.replace("traces = true", "traces = false"))
    visitor.get()
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


@pytest.mark.parametrize("answer", ["none", "refused", "media", "dnt"])
def test_address_and_user_agent_are_not_read_without_consent(answer: str) -> None:
    visitor = Visitor(install(reply_app(reads=["media"]), access_log=MemorySink()))
    if answer == "refused":
        visitor.refuse()
    elif answer == "media":
        visitor.save(media=True)
    headers = [("dnt", "1")] if answer == "dnt" else []
    request = scope(headers=[*headers, ("cookie", _cookies(visitor))], client=Untouchable())  # type: ignore[arg-type]
    request["headers"].append((b"user-agent", Untouched(PHONE.encode())))
    asyncio.run(drive(visitor.app, request, bodies(b"")))


# The visitor id.


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
    visitor = Traced(
        clock=clock, consent_days=400, text=SITE.replace('retention = "30 days"', 'retention = "800 days"')
    )
    token, old = visitor.jar["__Host-visitor"], visitor.record()["visitor.id"]
    clock.forward(days=395)
    assert visitor.record()["visitor.id"] != old
    visitor.jar["__Host-visitor"] = token.replace(".", "x.", 1)
    assert not visitor.record()["visitor.id"].startswith(old)


# The record, field by field.


def test_record_has_exactly_the_expected_fields() -> None:
    visitor = Traced(clock=Clock())
    record = visitor.record(
        "/offices",
        [
            ("referer", "https://search.example/find?q=secret#part"),
            ("authorization", "Bearer secret"),
            ("cookie", "session=secret"),
            ("x-forwarded-for", "198.51.100.77"),
        ],
        query=b"utm_source=news&utm_medium=mail&token=secret&q=secret",
    )
    record = record.copy()  # a thread may look at the time of the sink's own
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


def test_record_holds_no_secret_or_identifying_text(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    visitor = Traced(access_log=sink)
    visitor.get(
        "/offices",
        [
            ("authorization", "Basic c2VjcmV0"),
            ("cookie", "session=secret-session; _ga=secret-ga"),
            ("referer", "https://user:secret-password@site.example/from?secret-query#secret-fragment"),
            ("x-forwarded-for", "198.51.100.77"),
            ("x-secret", "secret-field"),
        ],
        query=b"secret-key=secret-value&secret-flag",
    )
    sink.close()
    text = path.read_text(encoding="utf-8")
    for secret in ("secret", "c2VjcmV0", "203.0.113.77", "198.51.100", PHONE, "Pixel", "AppleWebKit", "142.0"):
        assert secret not in text
    for token in visitor.jar.values():
        assert token not in text


def test_record_is_one_utf_8_line(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    sink = JsonLinesSink(path)
    visitor = Traced(access_log=sink)
    odd = '/地図\n\r\x00\x1b[31m\u2028"\\' + "\x7f"
    visitor.get(odd, query=b"utm_x=%0a%22%5c%ff\xff&utm_\n=1")
    sink.close()
    (line,) = path.read_bytes().split(b"\n")[:-1]
    assert "地図".encode() in line
    assert json.loads(line)["url.path"] == odd


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
    sink = MemorySink()
    Tracing(sink, []).write(scope(), Trace({}, "v", "0" * 16, now))
    assert sink.records[0]["time"] == written


@pytest.mark.slow
def test_record_time_lags_by_a_constant_per_visitor() -> None:
    clock = Clock(1_750_000_000.0)
    visitors = [Traced(clock=clock) for _ in range(30)]
    lags = []
    for visitor in visitors:
        first = datetime.fromisoformat(visitor.record()["time"]).timestamp()
        clock.forward(days=20, seconds=0.5)
        assert datetime.fromisoformat(visitor.record()["time"]).timestamp() == first + 20 * 86_400 + 0.5
        clock.now = 1_750_000_000.0
        lags.append(clock.now - first)
    assert all(0 <= lag <= 900 for lag in lags)
    assert max(lags) - min(lags) > 300, "lags are random"


def test_lag_depends_only_on_first_key_and_visitor_id() -> None:
    lag = VisitorLag([KEY, "n" * 32])
    assert lag("one") == VisitorLag(KEY)("one") != lag("two")
    assert VisitorLag("n" * 32)("one") != lag("one")


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("192.168.20.100", "192.168.20.0"),
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
    ],
)
def test_client_address_is_truncated_or_absent(address: str, kept: str | None) -> None:
    assert truncate_address(address) == kept
    assert Traced().record(client=(address, 80)).get("client.address") == kept


@pytest.mark.parametrize("client", [None, (None, None)])
def test_request_without_client_address_has_none_in_record(client: Any) -> None:
    assert "client.address" not in Traced().record(client=client)


@given(st.ip_addresses(v=4))
def test_ipv4_address_loses_its_last_8_bits(address: Any) -> None:
    cut = truncate_address(str(address))
    assert cut is not None
    assert cut.rsplit(".", 1) == [str(address).rsplit(".", 1)[0], "0"]


@given(st.ip_addresses(v=6))
def test_ipv6_address_keeps_at_most_48_bits(address: Any) -> None:
    cut = ipaddress.ip_address(truncate_address(str(address)) or "")
    if isinstance(cut, ipaddress.IPv6Address):
        assert int(cut) == int(address) >> 80 << 80
    else:
        assert str(cut) == truncate_address(str(address.ipv4_mapped))


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
        ("about:blank", "site.example", None),
        ("/relative", "site.example", None),
        ("https://[broken", "site.example", None),
        ("https://site.example:port/", "site.example", None),
        ("https:///x", "site.example", None),
        ("", "site.example", None),
        ("\xff\xfe", "site.example", None),
    ],
)
def test_referrer_is_own_page_or_foreign_origin(referrer: str, host: str, kept: str | None) -> None:
    record = Traced().record(headers=[("referer", referrer)], host=host)
    assert record.get("http.request.referrer") == kept


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", None),
        (b"q=secret", None),
        (b"utm_source=a&q=secret&utm_campaign=b%20c", "utm_source=a&utm_campaign=b+c"),
        (b"utm_source=", "utm_source="),
        (b"q=a&gclid=EAIaIQobChMI&msclkid=1", "gclid=&msclkid="),
        (b"utm_source", "utm_source="),
        (b"UTM_source=a&xutm_=b&utm=c", None),
        (b"utm_=%E5%9C%B0", "utm_=%E5%9C%B0"),
        (b"&".join([b"utm_a=1"] * 101), None),
        (b"&&&=&=utm_a", None),
    ],
)
def test_query_keeps_only_allowed_keys(query: bytes, kept: str | None) -> None:
    assert Traced().record(query=query).get("url.query") == kept


def test_long_path_and_query_are_cut() -> None:
    record = Traced().record("/" + "x" * 100_000, query=b"utm_x=" + b"y" * 100_000)
    assert len(record["url.path"]) == len(record["url.query"]) == 1024
    assert len(json.dumps(record)) < 4000


def _cookies(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.jar.items())


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 503])
def test_response_status_is_recorded(status: int) -> None:
    assert Traced(reply_app(b"", status=status)).record()["http.response.status_code"] == status


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


@pytest.mark.parametrize("prefix", ["/sub", ""], ids=["path with root_path", "path without root_path"])
def test_route_template_has_root_path_only_if_the_path_has(prefix: str) -> None:
    """Some proxies remove the root path from the path."""
    visitor = Traced(Starlette(routes=[Route("/offices/{office}", _ok)]))
    record = visitor.record(f"{prefix}/offices/tokyo", root_path="/sub")
    assert (record["url.path"], record["http.route"]) == (f"{prefix}/offices/tokyo", f"{prefix}/offices/{{office}}")


def test_fastapi_route_template_is_recorded() -> None:
    app, router = FastAPI(), APIRouter(prefix="/api")

    @router.get("/offices/{office}")
    async def offices(office: str) -> str:
        return office

    app.include_router(router)
    assert Traced(app).record("/api/offices/tokyo")["http.route"] == "/api/offices/{office}"


# When a record is written, and sinks that fail.


def test_record_is_written_once_after_the_response_ends() -> None:
    visitor = Traced(reply_app([b"a", b"b", b"c"]))
    seen: list[int] = []
    request = scope(headers=[("user-agent", PHONE), ("cookie", _cookies(visitor))])
    asyncio.run(drive(visitor.app, request, bodies(b""), lambda _: seen.append(len(visitor.sink.records))))
    assert seen == [0, 0, 0, 0]
    assert len(visitor.sink.records) == 1


def test_record_has_the_duration_of_the_app() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.06)
        await reply_app()(scope, receive, send)

    visitor, began = Traced(app), time.perf_counter()
    milliseconds = visitor.record()["duration_ms"]
    assert 50 <= milliseconds <= (time.perf_counter() - began) * 1000


def test_app_that_raises_is_recorded_with_status_500() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a bug of the app")

    visitor = Traced(app)
    with pytest.raises(ValueError, match="a bug of the app"):
        visitor.get("/broken")
    (record,) = visitor.sink.records
    assert (record["url.path"], record["http.response.status_code"]) == ("/broken", 500)


def test_interrupted_response_is_recorded_with_sent_status() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 206, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise ConnectionResetError

    visitor = Traced(app)
    with pytest.raises(ConnectionResetError):
        visitor.get()
    assert [record["http.response.status_code"] for record in visitor.sink.records] == [206]


@pytest.mark.parametrize(
    "before",
    [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.early_hint", "links": []},
        {"type": "http.response.push", "path": "/x", "headers": []},
    ],
)
def test_message_before_the_response_does_not_end_it(before: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(before)
        await reply_app(status=201)(scope, receive, send)

    visitor = Traced(app)
    request = scope(headers=[("user-agent", PHONE), ("cookie", _cookies(visitor))])
    sent = asyncio.run(drive(visitor.app, request, bodies(b"")))
    assert sent[0] == before
    assert [record["http.response.status_code"] for record in visitor.sink.records] == [201]


def test_pathsend_response_is_recorded() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/srv/file"})

    visitor = Traced(app)
    request = scope(headers=[("user-agent", PHONE), ("cookie", _cookies(visitor))])
    asyncio.run(drive(visitor.app, request, bodies(b"")))
    assert [record["http.response.status_code"] for record in visitor.sink.records] == [200]


class Raising(MemorySink):
    """A sink that refuses records."""

    def write(self, line: bytes) -> None:
        raise OSError("this sink is broken")


@pytest.mark.parametrize("app", [reply_app(), page_app(), reply_app([b"a", b"b"])])
def test_failing_sink_costs_no_page(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    visitor = Traced(app, access_log=Raising())
    for _ in range(3):
        assert visitor.get().status == 200
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "this sink is broken" in warning


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
    lines: list[tuple[str, int]] = []

    def seen(message: Message) -> None:
        lines.append((message["type"], len(path.read_text().splitlines()) if path.exists() else 0))

    events: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    asyncio.run(drive(visitor.app, {"type": "lifespan", "asgi": {"version": "3.0"}}, events, seen))
    assert [kind for kind, _ in lines] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert lines[-1][1] == 1


# Arbitrary requests.

_FIELDS = ACCESS_RECORD.keys()
_odd = st.text(st.characters(min_codepoint=0, max_codepoint=0xFF), max_size=40)


@pytest.fixture(scope="module")
def traced() -> Traced:
    return Traced(headers=[])


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
def test_any_request_gives_a_record_of_known_fields(
    traced: Traced, path: str, query: bytes, agent: str, referrer: str, host: str, client: Any, method: str
) -> None:
    if path.startswith(PREFIX):
        return
    before = len(traced.sink.records)
    request = scope(
        method,
        path,
        [("user-agent", agent), ("referer", referrer), ("cookie", _cookies(traced))],
        query=query,
        client=client,
        raw_path=b"",
    )
    request["headers"][0] = (b"host", host.encode("latin-1"))
    asyncio.run(drive(traced.app, request, bodies(b"")))
    for record in traced.sink.records[before:]:
        assert record.keys() <= _FIELDS
        assert record["url.path"] == path
        assert record["user_agent.device"] in ("mobile", "tablet", "pc", "other")


def test_traced_and_refusing_visitors_get_the_same_page() -> None:
    visitor, nobody = Traced(page_app()), Visitor(install(page_app()), [("user-agent", PHONE)])
    nobody.refuse()
    assert visitor.get().body == nobody.get().body == PAGE


def test_page_of_traced_visitor_is_private() -> None:
    app = install(reply_app(headers=[("cache-control", "public, s-maxage=60")]), access_log=MemorySink())
    visitor = Visitor(app, [("user-agent", PHONE)])
    assert visitor.get().get("cache-control") == "public, s-maxage=60"
    visitor.accept()
    reply = visitor.get()
    assert reply.get("cache-control") == "private"
    assert "Cookie" in (reply.get("vary") or "")


def test_clock_two_years_ahead_for_one_request_removes_no_records(tmp_path: Path) -> None:
    clock, log = Clock(time.time()), tmp_path / "access.jsonl"
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
