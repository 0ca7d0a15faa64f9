"""Tests of the filters for servers' access logs. With real servers: test_other_logs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from logging.config import dictConfig
from pathlib import Path
from typing import Any

import pytest
from hypercorn.config import Config
from hypercorn.logging import AccessLogAtoms
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import TRACE_LOG_LEVEL, AccessFormatter

from cookie_consent.logging import ACCESS_LOGGERS, AccessFilter, filter_access_logs
from cookie_consent.sinks.memory import MemorySink
from tests.support.asgi import PHONE, PREFIX, Visitor, install, reply_app, scope

FILTERED = (*ACCESS_LOGGERS, "uvicorn.error", "uvicorn.asgi")
ADDRESS = "203.0.113.77"
PAGE = (Path(__file__).parents[2] / "docs" / "other-logs.md").read_text(encoding="utf-8")
HEADERS = [("user-agent", PHONE), ("referer", "https://other.example/?q=secret"), ("cookie", "session=secret")]
GRANIAN = {
    "addr": ADDRESS,
    "time": "2026-11-25 12:00:00 +0000",
    "dt_ms": 1.5,
    "status": 200,
    "path": "/page",
    "query_string": "q=secret",
    "method": "GET",
    "scheme": "https",
    "protocol": "HTTP/1.1",
    "_h0": PHONE,
}
GUNICORN = {
    "h": ADDRESS,
    "l": "-",
    "u": "anna",
    "t": "[25/Nov/2026:12:00:00 +0000]",
    "r": "GET /page?q=secret HTTP/1.1",
    "s": "200",
    "m": "GET",
    "U": "/page",
    "q": "q=secret",
    "H": "HTTP/1.1",
    "b": "7",
    "f": "https://other.example/?q=secret",
    "a": PHONE,
    "T": 0,
    "{user-agent}i": PHONE,
    "{set-cookie}o": "session=secret",
    "{http_user_agent}e": PHONE,
}
HYPERCORN = AccessLogAtoms(
    scope(path="/page", headers=HEADERS, query=b"q=secret", client=(ADDRESS, 50123)),  # type: ignore[arg-type]
    {"status": 200, "headers": [(b"set-cookie", b"session=secret")]},
    0.5,
)
ALL_OF_APACHES = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(q)s %(R)s %(Uq)s %({User-Agent}i)s'


@pytest.fixture(autouse=True)
def unfiltered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove our filters from all loggers, as in a fresh process, and restore them afterwards."""
    for name in FILTERED:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])


def record(name: str, message: str, *args: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "server.py", 1, message, args, None)


def masked_line(line: logging.LogRecord) -> str:
    """Return a line as it is written when no visitor is known; with "drop" it is not written."""
    assert AccessFilter("mask").filter(line)
    assert not AccessFilter("drop").filter(line)
    return line.getMessage()


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        ("203.0.113.77:50123", "203.0.113.0"),
        ("203.0.113.77", "203.0.113.0"),
        ("2a03:2880:2110:df07:face:b00c:0:1:443", "2a03:2880:2110::"),
        ("2a03:2880:2110:df07:face:b00c::1:443", "2a03:2880:2110::"),
        ("[2a03:2880:2110:df07::1]:443", "2a03:2880:2110::"),
        ("::ffff:203.0.113.77:443", "203.0.113.0"),
        ("203.0.113.77, 198.51.100.4", "-"),
        ("", "-"),
    ],
)
def test_uvicorn_line_keeps_method_path_and_status(client: str, shown: str) -> None:
    line = record("uvicorn.access", '%s - "%s %s HTTP/%s" %d', client, "GET", "/page?q=secret", "1.1", 404)
    assert masked_line(line) == f'{shown} - "GET /page HTTP/1.1" 404'
    formatted = AccessFormatter('%(client_addr)s "%(request_line)s" %(status_code)s', use_colors=False).format(line)
    assert formatted == f'{shown} "GET /page HTTP/1.1" 404 Not Found'


@pytest.mark.parametrize(
    ("name", "form", "args", "shown"),
    [
        (
            "uvicorn.error",
            '%s - "WebSocket %s" [accepted]',
            ("203.0.113.77:50123", "/page?q=secret"),
            '203.0.113.0 - "WebSocket /page" [accepted]',
        ),
        (
            "uvicorn.error",
            '%s - "WebSocket %s" %d',
            ("203.0.113.77:50123", "/page?q=secret", 403),
            '203.0.113.0 - "WebSocket /page" 403',
        ),
        (
            "gunicorn.access",
            ALL_OF_APACHES,
            (GUNICORN,),
            '203.0.113.0 - - TIME "GET /page HTTP/1.1" 200 7 "-" "-" - GET /page HTTP/1.1 /page -',
        ),
        (
            "hypercorn.access",
            ALL_OF_APACHES,
            (HYPERCORN,),
            '203.0.113.0 - - TIME "GET /page 1.1" 200 - "-" "-" - GET /page 1.1 /page -',
        ),
        (
            "hypercorn.access",
            Config().access_log_format,
            (HYPERCORN,),
            '203.0.113.0 - - TIME "GET /page 1.1" 200 - "-" "-"',
        ),
        (
            "granian.access",
            '%(addr)s %(time)s "%(method)s %(path)s?%(query_string)s %(protocol)s" %(status)d %(dt_ms).3f %(_h0)s',
            (GRANIAN,),
            '203.0.113.0 2026-11-25 12:00:00 +0000 "GET /page?- HTTP/1.1" 200 1.500 -',
        ),
    ],
)
def test_line_keeps_method_path_and_status(name: str, form: str, args: tuple[object, ...], shown: str) -> None:
    line = record(name, form, *args)
    assert re.sub(r"\[\d[^]]+\]", "TIME", masked_line(line)) == shown
    assert not re.search(f"secret|anna|Mozilla|{re.escape(ADDRESS)}", str(line.args))


@pytest.mark.parametrize("name", FILTERED[:4])
@pytest.mark.parametrize("args", [(), ("a text",), (1, 2, 3, 4, 5), ({"h": ADDRESS},)])
def test_line_of_unknown_shape_is_dropped(name: str, args: tuple[object, ...]) -> None:
    assert not AccessFilter("mask").filter(record(name, "203.0.113.77 asked for /page?q=secret", *args))


@pytest.mark.parametrize("mode", ["mask", "drop"])
@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        (record("uvicorn.error", "Uvicorn running on %s://%s:%d", "http", "127.0.0.1", 8000), True),
        (record("uvicorn.error", "Exception in ASGI application\n", level=logging.ERROR), True),
        (record("uvicorn.error", "< %s: %s", "User-Agent", PHONE, level=logging.DEBUG), False),
        (record("uvicorn.error", "%sHTTP connection made", f"{ADDRESS}:50123 - ", level=TRACE_LOG_LEVEL), False),
        (record("uvicorn.asgi", "%s - ASGI [%d] Started", f"{ADDRESS}:50123", 1, level=TRACE_LOG_LEVEL), False),
    ],
)
def test_other_message_of_uvicorn_is_kept_unless_it_is_about_a_connection(
    mode: str, line: logging.LogRecord, is_kept: bool
) -> None:
    before = line.args
    assert AccessFilter(mode).filter(line) is is_kept
    assert line.args == before


def test_each_logger_has_one_filter_with_the_strictest_mode(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "cookie_consent")
    for mode in ("mask", "mask", "drop", "mask", "drop"):
        filter_access_logs(mode)
    for name in FILTERED:
        (one,) = logging.getLogger(name).filters
        assert isinstance(one, AccessFilter)
        assert one.mode == "drop"
    start = "Access logs of the server: lines of visitors who did not consent are "
    assert caplog.messages == [
        f"{start}kept with a truncated address, and without user agent, referrer and query.",
        f"{start}left out.",
    ]


def test_filter_survives_later_logging_setup_of_server(monkeypatch: pytest.MonkeyPatch) -> None:
    filter_access_logs()
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(logging.getLogger(name), attribute, getattr(logging.getLogger(name), attribute))
    dictConfig(LOGGING_CONFIG)
    assert [type(one) for one in logging.getLogger("uvicorn.access").filters] == [AccessFilter]


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"""mode: 'hide' is not valid\. Write "mask" or "drop"\."""):
        filter_access_logs("hide")


@pytest.mark.parametrize(
    ("options", "modes"),
    [
        ({}, ["mask"]),
        ({"server_logs": "drop"}, ["drop"]),
        ({"server_logs": "keep"}, []),
        ({"consent_days": -1}, ["mask"]),
    ],
    ids=["default", "drop", "keep", "another option is invalid"],
)
def test_middleware_filters_unless_server_logs_are_kept(options: Mapping[str, Any], modes: list[str]) -> None:
    with suppress(ValueError):
        install(**options)
    filters = logging.getLogger("uvicorn.access").filters
    assert [one.mode for one in filters if isinstance(one, AccessFilter)] == modes


def test_line_of_consenting_visitor_is_unchanged(caplog: pytest.LogCaptureFixture) -> None:
    """The test writes the line when uvicorn does: when the response starts."""
    caplog.set_level(logging.INFO, "uvicorn.access")
    app = install()

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        async def log_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                logging.getLogger("uvicorn.access").info(
                    '%s - "%s %s HTTP/%s" %d', f"{ADDRESS}:50123", "GET", f"{scope['path']}?q=1", "1.1", 200
                )
            await send(message)

        await app(scope, receive, log_and_send)

    for answer, path in ((Visitor.accept, "/mine"), (Visitor.refuse, "/theirs")):
        visitor = Visitor(server)
        answer(visitor)
        visitor.get(path)
    assert [text for text in caplog.messages if PREFIX not in text] == [
        '203.0.113.77:50123 - "GET /mine?q=1 HTTP/1.1" 200',
        '203.0.113.0 - "GET /theirs HTTP/1.1" 200',
    ]


def example(word: str) -> dict[str, Any]:
    """Run the one Python block of docs/other-logs.md that has a word, and return its names."""
    (code,) = [block for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if word in block]
    names: dict[str, Any] = {}
    exec(compile(code, "other-logs.md", "exec"), names)  # noqa: S102
    return names


def test_documentation_names_every_filtered_logger() -> None:
    assert [name for name in FILTERED if f"`{name}`" not in PAGE] == []


def test_documented_filter_call_works() -> None:
    example("filter_access_logs(")
    (one,) = logging.getLogger("granian.access").filters
    assert isinstance(one, AccessFilter)
    assert one.mode == "drop"


def test_documented_logging_by_the_app_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop")
    note_search = example("note_search")["note_search"]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        note_search("maps", PHONE)
        await reply_app()(scope, receive, send)

    visitor = Visitor(install(app))
    visitor.get()
    visitor.accept()
    visitor.get()
    assert [text for text in caplog.messages if "search" in text] == ["search: one more", f"search: maps by {PHONE}"]


def test_documented_header_for_the_proxy_works() -> None:
    visitor = Visitor(example("telling_the_proxy")["telling_the_proxy"](install(access_log=MemorySink())))
    assert visitor.get().get("x-access-log") == ""
    visitor.accept()
    reply = visitor.get()
    assert reply.get("x-access-log") == "1"
    assert "private" in reply.get("cache-control")
    assert visitor.get(PREFIX).get("x-access-log") == ""


def test_documented_span_filter_works() -> None:
    """What the exporter receives is tested in test_opentelemetry."""
    provider = example("TracerProvider()")["provider"]
    provider.get_tracer("app").start_span("job").end()
    assert provider.force_flush(20_000)
    provider.shutdown()
